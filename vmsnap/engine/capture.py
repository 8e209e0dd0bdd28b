"""Capturing the host files of a machine: which there are, their bytes, and what a backup says."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from vmsnap.engine.assess import assess_nvram, assess_tpm
from vmsnap.engine.results import PartVerdict
from vmsnap.engine.steps.host_files import Witness
from vmsnap.errors import HostFileChangedError, UnsupportedError
from vmsnap.model import (
    Backup,
    BackupId,
    Capture,
    Definition,
    Digest,
    Domain,
    HostFileType,
    ResourceId,
    TpmDefinition,
)
from vmsnap.ports import HostFileReading, HostFileSpec, Ports

READS = 20


@dataclass(frozen=True, slots=True)
class Captured:
    """One type of host file as it was captured; `spec` is None where there is no such file."""

    type: HostFileType
    capture: Capture
    spec: HostFileSpec | None
    reading: HostFileReading | None
    signature: str | None = None
    secret_id: str | None = None

    def looked_at(self) -> HostFileSpec | None:
        """Say which file has to keep still; None if there is none, or it is left out."""
        return None if self.capture is Capture.SKIPPED else self.spec

    def read_again(self, readings: Mapping[HostFileType, HostFileReading | None]) -> "Captured":
        """Return what was read later in place of this, if it was."""
        if self.type not in readings or self.spec is None:
            return self
        return _read(self.spec, readings[self.type], self.secret_id)

    def witness(self) -> Witness | None:
        """Return what proves later that the file has not moved; None if it was not looked at."""
        if self.spec is None or self.capture is Capture.SKIPPED:
            return None
        return Witness(self.type, self.spec.path, self.signature, self.spec.is_file)


def host_file_spec(definition: Definition, type_: HostFileType) -> HostFileSpec | None:
    """Say where a definition has its host file of one type; None if it has none on this host."""
    part = definition.nvram if type_ is HostFileType.NVRAM else definition.tpm
    if part is None or part.path is None or not verdict_on(definition, type_).is_taken:
        return None
    is_file = isinstance(part, TpmDefinition) and part.source_type == "file"
    return HostFileSpec(type_, part.path, is_file)


def verdict_on(definition: Definition, type_: HostFileType) -> PartVerdict:
    """Say whether a definition's host file of one type can be captured."""
    if type_ is HostFileType.NVRAM:
        return assess_nvram(definition.nvram)
    return assess_tpm(definition.tpm)


def capture(
    ports: Ports, definition: Definition, without: frozenset[HostFileType] = frozenset()
) -> tuple[Captured, ...]:
    """Read all host files of a definition; one that moves meanwhile is read again, some times.

    Raises UnsupportedError for one that cannot be captured and is not in `without`, and
    HostFileChangedError for one that never keeps still.
    """
    return tuple(
        _capture(ports, definition, type_, is_skipped=type_ in without) for type_ in HostFileType
    )


def capture_present(
    ports: Ports, domain: Domain, without: frozenset[HostFileType] = frozenset()
) -> tuple[Captured, ...]:
    """Read all host files that a domain uses now, whether it runs or not.

    Raises UnsupportedError, too, where it runs with another file than a start would use: what is
    kept has to fit the definition that it comes back to.
    """
    for type_ in HostFileType:
        used, defined = (
            host_file_spec(definition, type_) for definition in (domain.current, domain.definition)
        )
        if used != defined and type_ not in without:
            message = (
                f"domain '{domain.name}' runs with another {type_.value} than its definition names"
            )
            raise UnsupportedError(message, hint=f"--without {type_.value} goes on without it")
    return capture(ports, domain.current, without)


def backups_of(
    captured: Iterable[Captured], resource_id: ResourceId, now: datetime, ports: Ports
) -> tuple[Backup, ...]:
    """Make the rows that say what was captured."""
    return tuple(
        Backup(
            id=BackupId(ports.clock.new_id()),
            resource_id=resource_id,
            type=item.type,
            capture=item.capture,
            captured_at=now,
            digest=item.reading.digest if item.reading else None,
            size_bytes=len(item.reading.content) if item.reading else None,
            meta=item.reading.meta if item.reading else None,
            path=item.spec.path if item.spec else None,
            secret_id=item.secret_id if item.reading else None,
        )
        for item in captured
    )


def contents_of(captured: Iterable[Captured]) -> dict[Digest, bytes]:
    """Collect the bytes of what was captured."""
    return {item.reading.digest: item.reading.content for item in captured if item.reading}


def witnesses_of(captured: Iterable[Captured]) -> tuple[Witness, ...]:
    """Collect what proves later that nothing has moved."""
    return tuple(found for item in captured if (found := item.witness()) is not None)


def _capture(
    ports: Ports, definition: Definition, type_: HostFileType, *, is_skipped: bool
) -> Captured:
    part = definition.nvram if type_ is HostFileType.NVRAM else definition.tpm
    spec = host_file_spec(definition, type_)
    if part is None:
        return Captured(type_, Capture.ABSENT, None, None)
    if is_skipped:
        return Captured(type_, Capture.SKIPPED, spec, None)
    if spec is None:
        message = f"domain '{definition.name}': {verdict_on(definition, type_).reason}"
        raise UnsupportedError(message, hint=f"--without {type_.value} goes on without it")
    secret_id = definition.tpm.secret_id if type_ is HostFileType.TPM and definition.tpm else None
    return _read(spec, _read_still(ports, spec), secret_id)


def _read_still(ports: Ports, spec: HostFileSpec) -> HostFileReading | None:
    """Read a host file between two writes of its guest."""
    for _ in range(READS - 1):
        with suppress(HostFileChangedError):
            return ports.host_files.read(spec)
    return ports.host_files.read(spec)


def _read(spec: HostFileSpec, reading: HostFileReading | None, secret_id: str | None) -> Captured:
    signature = reading.signature if reading is not None else None
    if reading is None or _is_empty(spec.type, reading):
        return Captured(spec.type, Capture.NOT_CREATED, spec, None, signature, secret_id)
    return Captured(spec.type, Capture.CAPTURED, spec, reading, signature, secret_id)


def _is_empty(type_: HostFileType, reading: HostFileReading) -> bool:
    # A tar without members is all zeros. libvirt takes an empty TPM directory or file for none.
    return type_ is HostFileType.TPM and not any(reading.content)
