"""Planning how the host files of a backup take the place of the live ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
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
from vmsnap.engine.steps.proof import ExpectedHostFile
from vmsnap.errors import NotAvailableError
from vmsnap.model import (
    Backup,
    Capture,
    Definition,
    Digest,
    FileMeta,
    HostFileType,
    OperationId,
    Resource,
)
from vmsnap.ports import HostFileReading, HostFileSpec, Ports


@dataclass(frozen=True, slots=True)
class Placing:
    """The steps for host files: before the commit, and behind it.

    `witnesses` are the live files as they were planned, `expected` what they have to be before the
    commit; `changes` are readable lines.
    """

    before: tuple[Step, ...] = ()
    behind: tuple[Step, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    changes: tuple[str, ...] = ()
    expected: tuple[ExpectedHostFile, ...] = ()


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
    parts = []
    for type_ in HostFileType:
        if type_ not in types:
            continue
        backup = resource.backup(type_)
        if backup is None or backup.capture in {Capture.SKIPPED, Capture.LOST}:
            message = f"'{resource.name}' holds no {type_.value}"
            raise NotAvailableError(message, hint=f"--leave {type_.value}")
        if backup.capture is Capture.CAPTURED:
            parts.append(_plan_captured(ports, operation_id, backup, definitions))
        elif backup.capture is Capture.ABSENT:
            parts.append(_plan_absent(ports, operation_id, type_, definitions))
    return joined(parts)


def joined(parts: Iterable[Placing]) -> Placing:
    """Put several plans together, in their order."""
    found = tuple(parts)
    return Placing(
        before=tuple(chain.from_iterable(part.before for part in found)),
        behind=tuple(chain.from_iterable(part.behind for part in found)),
        witnesses=tuple(chain.from_iterable(part.witnesses for part in found)),
        changes=tuple(chain.from_iterable(part.changes for part in found)),
        expected=tuple(chain.from_iterable(part.expected for part in found)),
    )


def place(
    ports: Ports,
    operation_id: OperationId,
    spec: HostFileSpec,
    content: tuple[Digest, FileMeta],
    live: HostFileReading | None,
) -> Placing:
    """Plan that a host file, which reads as `live` now, becomes a content of the catalog."""
    digest, meta = content
    expected = ExpectedHostFile(spec.type, spec.path, digest, spec.is_file)
    if live is not None and (live.digest, live.meta) == content:
        return Placing(expected=(expected,))
    staged = staged_path(spec, operation_id)
    identity = ports.host_files.identity(spec.path)
    how = Swap.PLACE if identity is None else Swap.EXCHANGE
    discard = DiscardHostFile(spec.type, spec.path, staged, spec.is_file)
    word = "is made again" if identity is None else "is put back"
    return Placing(
        before=(
            StageHostFile(spec.type, spec.path, staged, digest, meta, spec.is_file),
            SwapHostFile(spec.type, spec.path, staged, how, digest, identity, spec.is_file),
        ),
        behind=() if identity is None else (discard,),
        witnesses=(_witness(spec, live),),
        changes=(f"{spec.type.value}: '{spec.path}' {word}",),
        expected=(expected,),
    )


def set_aside(ports: Ports, operation_id: OperationId, spec: HostFileSpec, why: str) -> Placing:
    """Plan that a host file goes; without one there is nothing to do. `why` is for people."""
    identity = ports.host_files.identity(spec.path)
    if identity is None:
        return Placing()
    live = ports.host_files.read(spec)
    staged = staged_path(spec, operation_id)
    swap = SwapHostFile(spec.type, spec.path, staged, Swap.SET_ASIDE, None, identity, spec.is_file)
    return Placing(
        before=(swap,),
        behind=(DiscardHostFile(spec.type, spec.path, staged, spec.is_file),),
        witnesses=(_witness(spec, live),),
        changes=(f"{spec.type.value}: '{spec.path}' is removed: {why}",),
        expected=(ExpectedHostFile(spec.type, spec.path, None, spec.is_file),),
    )


def _plan_captured(
    ports: Ports,
    operation_id: OperationId,
    backup: Backup,
    definitions: tuple[Definition, Definition],
) -> Placing:
    today, after = definitions
    type_ = backup.type
    spec = host_file_spec(after, type_)
    if spec is None or backup.digest is None or backup.meta is None:
        message = f"the definition has no {type_.value} to take what was kept"
        raise NotAvailableError(message, hint=f"--leave {type_.value} goes on without it")
    live = ports.host_files.read(spec)
    if live is not None and live.digest != backup.digest:
        _require_kept(today, spec, live)
    if not ports.host_files.fits(spec, ports.catalog.content(backup.digest)):
        was, is_ = ("directory", "file") if spec.is_file else ("file", "directory")
        message = f"the {type_.value} was kept of a {was}, but '{spec.path}' is to be a {is_}"
        raise NotAvailableError(message, hint=f"--leave {type_.value} goes on without it")
    return place(ports, operation_id, spec, (backup.digest, backup.meta), live)


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
    operation_id: OperationId,
    type_: HostFileType,
    definitions: tuple[Definition, Definition],
) -> Placing:
    today, after = definitions
    if host_file_spec(after, type_) is not None:
        message = f"the backup says that the machine had no {type_.value}, today's definition has"
        raise NotAvailableError(message, hint=f"--leave {type_.value} keeps the live one")
    spec = host_file_spec(today, type_)
    if spec is None:
        return Placing()
    return set_aside(ports, operation_id, spec, "the machine had none")


def _witness(spec: HostFileSpec, live: HostFileReading | None) -> Witness:
    return Witness(spec.type, spec.path, live.signature if live else None, spec.is_file)


def staged_path(spec: HostFileSpec, operation_id: OperationId) -> Path:
    """Name what is staged for a host file: beside it, hidden, of one operation."""
    token = operation_id.replace("-", "")[:12]
    return spec.path.parent / f".vmsnap-{token}-{spec.type.value}"
