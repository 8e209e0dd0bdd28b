"""One look at a domain: its state, its definitions, what is going on with it."""

from collections.abc import Sequence

import libvirt

from vmsnap.errors import LibvirtError
from vmsnap.host.foreign_xml import foreign_snapshot
from vmsnap.host.hypervisor.link import Handle, except_for
from vmsnap.host.live_xml import agent_state, disk_chains
from vmsnap.model import Definition, Domain, DomainState, ForeignSnapshot, Job
from vmsnap.ports import Definitions

INACTIVE_XML = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE

# A domain is also paused while libvirt does something with it; then it is not ours to judge.
PAUSED_BY_LIBVIRT = frozenset(
    {
        libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
        libvirt.VIR_DOMAIN_PAUSED_SAVE,
        libvirt.VIR_DOMAIN_PAUSED_DUMP,
        libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN,
        libvirt.VIR_DOMAIN_PAUSED_SNAPSHOT,
        libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY,
        libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED,
    }
)
BLOCK_JOBS = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: "block pull",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY: "block copy",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT: "block commit",
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT: "active block commit",
}
DOMAIN_JOBS = {
    libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE: "save",
    libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN: "migration",
    libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT: "migration",
    libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT: "snapshot",
    libvirt.VIR_DOMAIN_JOB_OPERATION_DUMP: "dump",
    libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP: "backup",
}

# A domain may be started or stopped while it is looked at.
LOOKS = 5


def look(definitions: Definitions, domain: Handle) -> Domain:
    """Look until the state was the same before and after."""
    for _ in range(LOOKS):
        before = domain.state()
        try:
            seen = _look_once(definitions, domain, before)
        except libvirt.libvirtError:
            if domain.state() == before:
                raise
            continue
        if domain.state() == before:
            return seen
    raise LibvirtError(f"domain '{domain.name()}' does not keep still to be looked at")


def domain_state(state_and_reason: Sequence[int]) -> DomainState:
    """Say in our words what virDomain.state() returns."""
    state, reason = state_and_reason
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return DomainState.SHUT_OFF
    if state in {libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED}:
        return DomainState.RUNNING
    if state == libvirt.VIR_DOMAIN_PAUSED and reason not in PAUSED_BY_LIBVIRT:
        return DomainState.PAUSED
    return DomainState.OTHER


def both_xmls(domain: Handle) -> tuple[str, ...]:
    """Return the inactive definition, and the live one of an active domain."""
    return (domain.XMLDesc(INACTIVE_XML), *((domain.XMLDesc(0),) if domain.isActive() else ()))


def _look_once(definitions: Definitions, domain: Handle, state: Sequence[int]) -> Domain:
    is_active = bool(domain.isActive())
    xml = domain.XMLDesc(INACTIVE_XML)
    definition = definitions.parse(xml)
    live_xml = domain.XMLDesc(0) if is_active else None
    live = definitions.parse(live_xml) if live_xml is not None else None
    current = live or definition
    return Domain(
        id=definition.id,
        name=definition.name,
        state=domain_state(state),
        is_persistent=bool(domain.isPersistent()),
        has_managed_save=bool(domain.hasManagedSaveImage(0)),
        xml=xml,
        definition=definition,
        active_paths={disk.target: disk.path for disk in current.disks if disk.path},
        chains=disk_chains(live_xml) if live_xml is not None else {},
        live=live,
        agent=agent_state(live_xml) if live_xml is not None else None,
        block_jobs=_jobs(domain, current) if is_active else (),
        checkpoints=_checkpoints(domain),
        foreign_snapshots=_snapshots(domain),
    )


def _jobs(domain: Handle, current: Definition) -> tuple[Job, ...]:
    """Return the jobs on the disks of an active domain, and on the whole of it."""
    found = []
    with except_for(libvirt.VIR_ERR_NO_SUPPORT):
        for disk in current.disks:
            job = domain.blockJobInfo(disk.target, 0) if disk.path else None
            # A backup has a job on each disk, but can only be ended as a whole.
            if job and job["type"] != libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP:
                found.append(Job(BLOCK_JOBS.get(job["type"], "block job"), disk.target))
    with except_for(libvirt.VIR_ERR_NO_SUPPORT):
        stats = domain.jobStats(0)
        if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE:
            operation = stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION)
            found.append(Job(DOMAIN_JOBS.get(operation, "job")))
    return tuple(found)


def _checkpoints(domain: Handle) -> tuple[str, ...]:
    """Return the names of a domain's checkpoints; none where libvirt has no such thing."""
    with except_for(libvirt.VIR_ERR_NO_SUPPORT):
        return tuple(sorted(item.getName() for item in domain.listAllCheckpoints(0)))
    return ()


def _snapshots(domain: Handle) -> tuple[ForeignSnapshot, ...]:
    """Return libvirt's own snapshots by name; none where libvirt has no such thing."""
    found = []
    with except_for(libvirt.VIR_ERR_NO_SUPPORT):
        for item in domain.listAllSnapshots(0):
            with except_for(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT):
                found.append(foreign_snapshot(item.getXMLDesc(0)))
    return tuple(sorted(found, key=lambda snapshot: snapshot.name))
