"""Planning how the host files of a backup take the place of the live ones."""

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.journal import Step
from vmsnap.engine.steps.host_files import (
    DiscardHostFile,
    StageHostFile,
    Swap,
    SwapHostFile,
    Witness,
)
from vmsnap.errors import NotAvailableError
from vmsnap.model import Backup, Capture, Definition, HostFileType, OperationId, Resource
from vmsnap.ports import HostFileReading, HostFileSpec, Ports


@dataclass(frozen=True, slots=True)
class Placing:
    """The steps for all host files: before the commit, and behind it.

    `witnesses` are the live files as they were planned; `changes` are readable lines.
    """

    before: tuple[Step, ...] = ()
    behind: tuple[Step, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Steps:
    before: list[Step] = field(default_factory=list)
    behind: list[Step] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def plan_placing(
    ports: Ports,
    operation_id: OperationId,
    resource: Resource,
    types: frozenset[HostFileType],
    definitions: tuple[Definition, Definition],
) -> Placing:
    """Plan for the given types; `definitions` are today's and the one that will be in force.

    A live file is removed only where the backup says that there was none by definition.
    """
    today, after = definitions
    steps = _Steps()
    for type_ in HostFileType:
        if type_ not in types:
            continue
        backup = resource.backup(type_)
        token = operation_id.replace("-", "")[:12]
        if backup is None or backup.capture is Capture.SKIPPED:
            message = f"'{resource.name}' holds no {type_.value}"
            raise NotAvailableError(message, hint=f"--leave {type_.value}")
        if backup.capture is Capture.CAPTURED:
            _plan_captured(ports, steps, backup, (today, after), token)
        elif backup.capture is Capture.ABSENT:
            _plan_absent(ports, steps, type_, (today, after), token)
    return Placing(
        tuple(steps.before), tuple(steps.behind), tuple(steps.witnesses), tuple(steps.changes)
    )


def _plan_captured(
    ports: Ports,
    steps: _Steps,
    backup: Backup,
    definitions: tuple[Definition, Definition],
    token: str,
) -> None:
    today, after = definitions
    type_ = backup.type
    spec = host_file_spec(after, type_)
    if spec is None or backup.digest is None or backup.meta is None:
        message = f"the definition has no {type_.value} to take what was kept"
        raise NotAvailableError(message, hint=f"--leave {type_.value} goes on without it")
    live = ports.host_files.read(spec)
    if live is not None and live.digest == backup.digest and live.meta == backup.meta:
        return
    if live is not None and live.digest != backup.digest:
        _require_kept(today, spec, live)
    if not ports.host_files.fits(spec, ports.catalog.content(backup.digest)):
        was, is_ = ("directory", "file") if spec.is_file else ("file", "directory")
        message = f"the {type_.value} was kept of a {was}, but '{spec.path}' is to be a {is_}"
        raise NotAvailableError(message, hint=f"--leave {type_.value} goes on without it")
    staged = staged_path(spec, token)
    identity = ports.host_files.identity(spec.path)
    how = Swap.PLACE if identity is None else Swap.EXCHANGE
    steps.before += [
        StageHostFile(type_, spec.path, staged, backup.digest, backup.meta, spec.is_file),
        SwapHostFile(type_, spec.path, staged, how, backup.digest, identity, spec.is_file),
    ]
    if identity is not None:
        steps.behind.append(DiscardHostFile(type_, spec.path, staged, spec.is_file))
    steps.witnesses.append(_witness(spec, live))
    steps.changes.append(
        f"{type_.value}: '{spec.path}' "
        + ("is put back" if identity is not None else "is made again")
    )


def _require_kept(today: Definition, spec: HostFileSpec, live: HostFileReading) -> None:
    """Refuse to overwrite a file that today's definition does not name: no safety group has it."""
    if host_file_spec(today, spec.type) == spec or not any(live.content):
        return
    message = (
        f"'{spec.path}' would be overwritten, but today's definition does not name it as its"
        f" {spec.type.value}, so it is not part of what is kept"
    )
    raise NotAvailableError(message, hint=f"mv {quote(str(spec.path))} {quote(f'{spec.path}.old')}")


def _plan_absent(
    ports: Ports,
    steps: _Steps,
    type_: HostFileType,
    definitions: tuple[Definition, Definition],
    token: str,
) -> None:
    today, after = definitions
    if host_file_spec(after, type_) is not None:
        message = f"the backup says that the machine had no {type_.value}, today's definition has"
        raise NotAvailableError(message, hint=f"--leave {type_.value} keeps the live one")
    spec = host_file_spec(today, type_)
    identity = ports.host_files.identity(spec.path) if spec is not None else None
    if spec is None or identity is None:
        return
    live = ports.host_files.read(spec)
    staged = staged_path(spec, token)
    steps.before.append(
        SwapHostFile(type_, spec.path, staged, Swap.SET_ASIDE, None, identity, spec.is_file)
    )
    steps.behind.append(DiscardHostFile(type_, spec.path, staged, spec.is_file))
    steps.witnesses.append(_witness(spec, live))
    steps.changes.append(f"{type_.value}: '{spec.path}' is removed: the machine had none")


def _witness(spec: HostFileSpec, live: HostFileReading | None) -> Witness:
    return Witness(spec.type, spec.path, live.signature if live else None, spec.is_file)


def staged_path(spec: HostFileSpec, token: str) -> Path:
    """Name what is staged for a host file: beside it, hidden, of one operation."""
    return spec.path.parent / f".vmsnap-{token}-{spec.type.value}"
