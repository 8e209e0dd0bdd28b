"""The reading verbs on domains: what a machine is made of, and what a snapshot would take."""

from vmsnap.engine.assess import AssessedDisk, assess_disks, verdict_by_definition
from vmsnap.engine.capture import host_file_spec, verdict_on
from vmsnap.engine.find import find_domain
from vmsnap.engine.paths import is_same
from vmsnap.engine.results import DiskView, DomainView, HostFileView, PartVerdict
from vmsnap.errors import DomainNotFoundError, HostFileError
from vmsnap.model import DiskDefinition, Domain, DomainState, HostFileType
from vmsnap.ports import HostFileSpec, Ports


def list_domains(ports: Ports) -> tuple[DomainView, ...]:
    """Look at all domains, without reading images or host files."""
    views = []
    for summary in ports.hypervisor.domains():
        try:
            domain = ports.hypervisor.domain(summary.id)
        except DomainNotFoundError:
            # It went away between the list and the look.
            continue
        disks = tuple(
            DiskView(
                target=disk.target,
                device=disk.device,
                source_type=disk.source_type,
                path=domain.active_paths.get(disk.target, disk.path),
                format=disk.format,
                chain=(),
                verdict=verdict_by_definition(disk),
            )
            for disk in domain.definition.disks
        )
        files = tuple(_host_file(domain, type_) for type_ in HostFileType)
        holder = ports.locks.holder(domain.id)
        views.append(DomainView(domain, disks, files, _notes(domain), holder))
    return tuple(views)


def show_domain(ports: Ports, domain: str) -> DomainView:
    """Look at one domain: chains, sizes, and for each part whether a snapshot would take it."""
    found = find_domain(ports, domain)
    disks = tuple(_disk(found, assessed) for assessed in assess_disks(ports.images, found.current))
    files = tuple(
        _measured(ports, _host_file(found, type_), host_file_spec(found.definition, type_))
        for type_ in HostFileType
    )
    return DomainView(found, disks, files, _notes(found), ports.locks.holder(found.id))


def _disk(domain: Domain, assessed: AssessedDisk) -> DiskView:
    disk, verdict = assessed.disk, assessed.verdict
    if verdict.is_taken and not _is_as_defined(domain, disk):
        reason = (
            f"it runs with '{disk.path}', which its definition does not name for the next start"
        )
        verdict = PartVerdict(disk.target, is_taken=False, reason=reason, must_be_excluded=True)
    return DiskView(
        target=disk.target,
        device=disk.device,
        source_type=disk.source_type,
        path=domain.active_paths.get(disk.target, disk.path),
        format=disk.format,
        chain=assessed.chain,
        verdict=verdict,
    )


def _is_as_defined(domain: Domain, disk: DiskDefinition) -> bool:
    """Tell whether a start would use the file that a running domain uses; create demands it."""
    defined = {item.target: item.path for item in domain.definition.disks}
    return domain.live is None or is_same(disk.path, defined.get(disk.target))


def _host_file(domain: Domain, type_: HostFileType) -> HostFileView:
    definition = domain.definition
    part = definition.nvram if type_ is HostFileType.NVRAM else definition.tpm
    path = part.path if part is not None else None
    return HostFileView(type_, path, None, verdict_on(definition, type_))


def _measured(ports: Ports, view: HostFileView, spec: HostFileSpec | None) -> HostFileView:
    if spec is None:
        return view
    try:
        reading = ports.host_files.read(spec)
    except HostFileError as error:
        verdict = PartVerdict(
            view.type.value, is_taken=False, reason=error.message, must_be_excluded=True
        )
        return HostFileView(view.type, view.path, None, verdict)
    size = len(reading.content) if reading is not None else None
    return HostFileView(view.type, view.path, size, view.verdict)


def _notes(domain: Domain) -> tuple[str, ...]:
    notes = []
    if not domain.is_persistent:
        notes.append("transient: no snapshot, it has no definition to come back to")
    if domain.state is DomainState.OTHER:
        notes.append("being started, stopped, saved or migrated: no snapshot before that is done")
    if domain.definition.is_fenced:
        notes.append("fenced by an interrupted operation: no snapshot before 'vmsnap recover'")
    if domain.has_managed_save:
        notes.append("has a managed-save image: no snapshot, no revert until it is gone")
    if domain.block_jobs:
        jobs = ", ".join(map(str, domain.block_jobs))
        notes.append(f"busy with another job ({jobs}): no snapshot before that is done")
    if domain.checkpoints:
        names = ", ".join(domain.checkpoints)
        notes.append(f"has libvirt checkpoints ({names}): no change of its layers while it is off")
    return tuple(notes)
