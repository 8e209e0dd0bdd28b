"""Run the administrator's hooks around an operation, under its lock."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from vmsnap.engine.history import error_class
from vmsnap.errors import HookError, LeftChangedError
from vmsnap.model import Operation, Outcome
from vmsnap.ports import Hook, HookMoment, Ports

_PARTIAL = 3
_MENDING = frozenset({"doctor", "db rebuild"})
"""Verbs without hooks, as recover is: none may keep what is broken from being mended."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ended: its exit status, the code word of an error, what it came to."""

    exit_code: int = 0
    code: str = ""
    is_changed: bool = True


def run_before(ports: Ports, operation: Operation) -> None:
    """Run the hooks of before an operation; raises HookError if one that may stops it."""
    for hook in _fitting(ports, operation, HookMoment.BEFORE):
        try:
            ports.hooks.run(hook, _variables(hook, operation), ports.is_cancelled)
        except HookError as error:
            if hook.may_stop:
                message = f"{operation.verb} of domain '{operation.domain_name}': {error.message}"
                raise HookError(message) from error
            _warn(ports, operation, error)


def run_after(ports: Ports, operation: Operation, ending: Ending) -> None:
    """Run the hooks of after an operation, however it ended; their failures are only warned of.

    A signal meanwhile ends them, and tells with `vmsnap_changed` what the operation had come to.
    """
    # What was cancelled before has its hooks all the same.
    is_cancelled = (lambda: False) if ports.is_cancelled() else ports.is_cancelled
    variables = {
        "VMSNAP_HOOK_STATUS": str(ending.exit_code),
        "VMSNAP_HOOK_CODE": ending.code,
        "VMSNAP_HOOK_CHANGED": "true" if ending.is_changed else "false",
    }
    for hook in _fitting(ports, operation, HookMoment.AFTER):
        try:
            ports.hooks.run(hook, {**_variables(hook, operation), **variables}, is_cancelled)
        except HookError as error:
            _warn(ports, operation, error)
        except BaseException as signal:
            signal.vmsnap_changed = ending.is_changed  # type: ignore[attr-defined] # read where errors are shown
            raise


def failed(error: BaseException) -> Ending:
    """Return the ending of an operation that an error or a signal ended."""
    kind = error_class(error)
    changed = getattr(error, "vmsnap_changed", isinstance(error, LeftChangedError))
    return Ending(kind.exit_code, kind.code, is_changed=bool(changed))


def done(outcome: Outcome) -> Ending:
    """Return the ending of an operation that came to its end."""
    return Ending(_PARTIAL if outcome is Outcome.PARTIAL else 0)


def _fitting(ports: Ports, operation: Operation, moment: HookMoment) -> Iterator[Hook]:
    for hook in () if operation.verb in _MENDING else ports.hooks.configured:
        name = operation.domain_name
        fits_verb = not hook.operations or operation.verb in hook.operations
        fits_domain = not hook.domains or any(fnmatchcase(name, item) for item in hook.domains)
        if hook.moment is moment and fits_verb and fits_domain:
            yield hook


def _variables(hook: Hook, operation: Operation) -> dict[str, str]:
    return {
        "VMSNAP_HOOK_WHEN": hook.moment.value,
        "VMSNAP_HOOK_OPERATION": operation.verb,
        "VMSNAP_HOOK_DOMAIN": operation.domain_name,
        "VMSNAP_HOOK_DOMAIN_UUID": operation.domain_id,
        "VMSNAP_HOOK_NAME": operation.subject,
    }


def _warn(ports: Ports, operation: Operation, error: HookError) -> None:
    ports.reporter.warn(f"{operation.verb} of domain '{operation.domain_name}': {error.message}")
