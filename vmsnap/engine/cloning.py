"""What of a source is given to other machines, and whether it fits them (nothing is changed)."""

from dataclasses import dataclass, field, replace

from vmsnap.engine.capture import host_file_spec, verdict_on
from vmsnap.engine.find import find_domain, find_known_domain, pick_resource
from vmsnap.engine.hints import operands
from vmsnap.engine.requests import CloneRequest, TpmChoice
from vmsnap.engine.restore import require_kept, require_secret
from vmsnap.errors import (
    HostFileChangedError,
    NotAvailableError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import (
    Definition,
    Digest,
    Domain,
    DomainId,
    FileMeta,
    HostFileType,
    Resource,
)
from vmsnap.ports import HostFileReading, HostFileSpec, Ports

_TRIES = 5
_QCOW2 = b"QFI\xfb"
_TPM_FOLDERS = {"tpm2": "2.0", "tpm1.2": "1.2"}


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A host file that is given away; `secret_id` and `version` are a TPM's, None if unknown."""

    digest: Digest
    content: bytes = field(repr=False)
    meta: FileMeta
    secret_id: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What is given to other machines, whose it is, and in words where it is from."""

    domain_id: DomainId
    domain_name: str
    words: str
    nvram: GivenFile
    tpm: GivenFile | None
    """None: the TPM of the others starts anew."""


def read_origin(ports: Ports, source: str, request: CloneRequest) -> Origin:
    """Read the NVRAM, and if it is to be kept the TPM state, of a domain or of its backup.

    Those of a domain are read until two readings are equal, because it may run. Raises
    HostFileChangedError if they never are, NotAvailableError and UnsupportedError for what is not
    there.
    """
    if request.backup is not None:
        return _read_backup(ports, source, request.backup, request.tpm)
    domain = find_domain(ports, source)
    _require_settled(ports, domain)
    nvram, tpm = _read_twice(ports, domain, request.tpm)
    _require_settled(ports, ports.hypervisor.domain(domain.id))
    return Origin(domain.id, domain.name, f"domain '{domain.name}'", nvram, tpm)


def fitting_spec(
    ports: Ports, origin: Origin, definition: Definition, type_: HostFileType
) -> HostFileSpec:
    """Say where a target takes a type of host file; UnsupportedError if it does not fit there."""
    given = origin.nvram if type_ is HostFileType.NVRAM else origin.tpm
    spec = host_file_spec(definition, type_)
    if spec is None or given is None:
        reason = verdict_on(definition, type_).reason
        message = f"domain '{definition.name}' cannot take {type_.value} of {origin.words}"
        raise UnsupportedError(f"{message}: {reason}", hint=_see(definition))
    if type_ is HostFileType.NVRAM:
        _require_same_store(ports, origin, definition, spec)
    else:
        _require_same_tpm(ports, given, definition, spec)
    return spec


def _read_backup(ports: Ports, source: str, backup: str, tpm: TpmChoice) -> Origin:
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, source, host_id)
    resource = pick_resource(ports, ports.catalog.resources(host_id, domain_id), name, backup)
    words = f"backup '{resource.name}' of domain '{name}'"
    nvram = _kept_file(ports, resource, HostFileType.NVRAM)
    state = None
    if tpm is TpmChoice.KEEP:
        state = replace(
            _kept_file(ports, resource, HostFileType.TPM), version=_version(ports, resource)
        )
    return Origin(domain_id, name, words, nvram, state)


def _kept_file(ports: Ports, resource: Resource, type_: HostFileType) -> GivenFile:
    hint = "--tpm reset"
    if type_ is HostFileType.NVRAM:
        hint = f"vmsnap backup list {operands(resource.domain_name)}"
    backup = require_kept(ports, resource, type_, hint)
    if backup.digest is None or backup.meta is None:
        message = f"backup '{resource.name}' holds no {type_.value}: {backup.capture.value}"
        raise NotAvailableError(message, hint=hint)
    content = ports.catalog.content(backup.digest)
    return GivenFile(backup.digest, content, backup.meta, backup.secret_id)


def _version(ports: Ports, resource: Resource) -> str | None:
    """Find out of which version a kept TPM is: a backup's row does not say so."""
    groups = ports.catalog.groups(resource.host_id, resource.domain_id)
    group = next((item for item in groups if item.id == resource.id), None)
    if group is not None:
        xml = ports.catalog.content(group.definition_digest).decode()
        tpm = ports.definitions.parse(xml).tpm
        return tpm.version if tpm is not None else None
    backup = resource.backup(HostFileType.TPM)
    path = backup.path if backup is not None else None
    return _TPM_FOLDERS.get(path.name) if path is not None else None


def _read_twice(ports: Ports, domain: Domain, tpm: TpmChoice) -> tuple[GivenFile, GivenFile | None]:
    for _ in range(_TRIES):
        try:
            first = _read_once(ports, domain, tpm)
            second = _read_once(ports, domain, tpm)
        except HostFileChangedError:
            continue
        if first == second:
            return second[0]
    message = f"the host files of domain '{domain.name}' change while they are read"
    raise HostFileChangedError(message, hint="run the command again, or use --from BACKUP")


def _read_once(
    ports: Ports, domain: Domain, tpm: TpmChoice
) -> tuple[tuple[GivenFile, GivenFile | None], tuple[str, ...]]:
    """Read what is given, with signatures that tell whether it moves."""
    nvram, signature = _read_live(ports, domain, HostFileType.NVRAM)
    if tpm is TpmChoice.RESET:
        return (nvram, None), (signature,)
    state, other = _read_live(ports, domain, HostFileType.TPM)
    return (nvram, state), (signature, other)


def _read_live(ports: Ports, domain: Domain, type_: HostFileType) -> tuple[GivenFile, str]:
    definition = domain.current
    spec = host_file_spec(definition, type_)
    if spec is None:
        reason = verdict_on(definition, type_).reason
        message = f"domain '{domain.name}' has no {type_.value} to give: {reason}"
        raise UnsupportedError(message, hint=_see(definition))
    reading = ports.host_files.read(spec)
    if reading is None or is_empty(type_, reading):
        message = f"domain '{domain.name}' has no {type_.value} file yet: it was never started"
        raise NotAvailableError(message, hint=f"virsh start {operands(domain.name)}")
    secret_id = version = None
    if type_ is HostFileType.TPM and definition.tpm is not None:
        secret_id, version = definition.tpm.secret_id, definition.tpm.version
        require_secret(ports, secret_id)
    given = GivenFile(reading.digest, reading.content, reading.meta, secret_id, version)
    return given, reading.signature


def is_empty(type_: HostFileType, reading: HostFileReading) -> bool:
    """Tell whether there is no TPM state: libvirt takes an empty one for none."""
    return type_ is HostFileType.TPM and not any(reading.content)


def _require_settled(ports: Ports, domain: Domain) -> None:
    """Refuse a source that is being changed, or was left half changed."""
    if domain.definition.is_fenced or domain.id in ports.journals.pending():
        message = f"the host files of domain '{domain.name}' are being changed by vmsnap"
        raise StateError(message, hint="vmsnap recover, if that was interrupted")


def _require_same_store(
    ports: Ports, origin: Origin, definition: Definition, spec: HostFileSpec
) -> None:
    content = origin.nvram.content
    format_ = "qcow2" if content.startswith(_QCOW2) else "raw"
    if definition.nvram is not None and definition.nvram.format != format_:
        message = (
            f"the NVRAM of {origin.words} is {format_}, that of domain '{definition.name}' is"
            f" to be {definition.nvram.format}"
        )
        raise UnsupportedError(message, hint=_see(definition))
    live = ports.host_files.read(spec)
    if live is not None and _store_bytes(live.content) != _store_bytes(content):
        message = (
            f"the NVRAM of {origin.words} has {_store_bytes(content)} bytes, that of domain"
            f" '{definition.name}' has {_store_bytes(live.content)}: their firmware differs"
        )
        raise UnsupportedError(message, hint=_see(definition))


def _store_bytes(content: bytes) -> int:
    """Return the size of a variable store, of a qcow2 that of what it holds."""
    if content.startswith(_QCOW2):
        return int.from_bytes(content[24:32], "big")
    return len(content)


def _require_same_tpm(
    ports: Ports, given: GivenFile, definition: Definition, spec: HostFileSpec
) -> None:
    tpm = definition.tpm
    name = definition.name
    if tpm is None or (given.version is not None and tpm.version != given.version):
        version = tpm.version if tpm is not None else None
        message = f"the TPM of domain '{name}' is of version {version}, not {given.version}"
        raise UnsupportedError(message, hint="--tpm reset")
    if tpm.secret_id != given.secret_id:
        message = (
            f"the TPM state is encrypted with secret '{given.secret_id or 'none'}', but the"
            f" definition of domain '{name}' names '{tpm.secret_id or 'none'}'"
        )
        raise UnsupportedError(message, hint="--tpm reset")
    require_secret(ports, given.secret_id)
    if not ports.host_files.fits(spec, given.content):
        message = f"the TPM state has not the form of '{spec.path}' of domain '{name}'"
        raise UnsupportedError(message, hint="--tpm reset")


def _see(definition: Definition) -> str:
    return f"vmsnap vm show {operands(definition.name)}"
