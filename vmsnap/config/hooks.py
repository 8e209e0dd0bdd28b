"""The programs that the administrator wants run around operations: the tables [[hook]]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from vmsnap.config.reference import HOOK, OPERATIONS
from vmsnap.config.tables import Table
from vmsnap.config.values import (
    UnfitValueError,
    list_of_words,
    some_seconds,
    texts,
    word_of,
)
from vmsnap.errors import ConfigError

Value = TypeVar("Value")

_TIMEOUT_SECONDS = 60.0


class HookMoment(Enum):
    """When a hook runs."""

    BEFORE = "before"
    AFTER = "after"


class OnFailure(Enum):
    """What a hook's failure does."""

    WARN = "warn"
    STOP = "stop"
    """The operation is refused; only a hook that runs before it can."""


@dataclass(frozen=True, slots=True)
class HookSettings:
    """A program to run, and around what; `operations` and `domains` (patterns) empty mean all."""

    when: HookMoment
    run: tuple[str, ...]
    """An absolute path, and arguments."""
    operations: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.WARN
    timeout_seconds: float = _TIMEOUT_SECONDS
    source: str = ""
    """As in `Settings.sources`: "file PATH [[hook]] 1"."""

    def fits(self, name: str) -> bool:
        """Tell whether it is for a domain of that name."""
        return not self.domains or any(fnmatchcase(name, pattern) for pattern in self.domains)


def read_hooks(file: Path, values: Mapping[str, object]) -> tuple[HookSettings, ...]:
    """Read a file's hooks in their order. Raises ConfigError for one that cannot be meant so."""
    found = values.get(HOOK, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ConfigError(f"the hooks of '{file}' are no list", hint="write [[hook]] above each")
    return tuple(
        _hook(Table(file, f"[[hook]] {number}", item)) for number, item in enumerate(found, 1)
    )


def _hook(table: Table) -> HookSettings:
    table.require_known(HOOK)
    for key in ("when", "run"):
        if key not in table.values:
            raise table.error(f"lacks the key '{key}'")
    hook = HookSettings(
        when=table.value("when", word_of(HookMoment)),
        run=table.value("run", _command),
        operations=_read(table, "operations", list_of_words(OPERATIONS, "a list of verbs"), ()),
        domains=_read(table, "domains", _patterns, ()),
        on_failure=_read(table, "on_failure", word_of(OnFailure), OnFailure.WARN),
        timeout_seconds=_read(table, "timeout", some_seconds, _TIMEOUT_SECONDS),
        source=table.source,
    )
    if hook.when is HookMoment.AFTER and hook.on_failure is OnFailure.STOP:
        raise table.error('cannot stop what is done already: on_failure of an after hook is "warn"')
    return hook


def _read(table: Table, key: str, read: Callable[[object], Value], default: Value) -> Value:
    return table.value(key, read) if key in table.values else default


def _command(value: object) -> tuple[str, ...]:
    wanted = "a list of the absolute path of a program and its arguments"
    # Arguments may be empty; nothing that is run may hold a zero byte.
    if not isinstance(value, list) or not value:
        raise UnfitValueError(wanted)
    if not all(isinstance(item, str) and "\0" not in item for item in value):
        raise UnfitValueError(wanted)
    if not value[0].startswith("/"):
        raise UnfitValueError(wanted)
    return tuple(value)


def _patterns(value: object) -> tuple[str, ...]:
    found = texts(value)
    if not found:
        raise UnfitValueError("a list of patterns, at least one; without the key it is all domains")
    return found
