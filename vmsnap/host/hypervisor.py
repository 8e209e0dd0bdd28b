"""Talk to libvirt: the only module that imports it."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import libvirt

from vmsnap.errors import DomainNotFoundError, LibvirtError
from vmsnap.host.bounded_calls import BoundedCalls
from vmsnap.host.chain_limits import deepest_chain
from vmsnap.host.host_identity import stable_host_id
from vmsnap.host.libvirt_folders import folders_of, refuse_remote, sync
from vmsnap.host.live_merge import MergeLimits, definition_after_merge, merge_active
from vmsnap.host.live_xml import Mirror, host_uuid, mirror_of
from vmsnap.host.reconnecting import Reconnecting
from vmsnap.host.snapshot_xml import switch_request
from vmsnap.host.volumes import located
from vmsnap.model import Definition, Domain, DomainId, DomainState, DomainSummary, HostId
from vmsnap.ports import Definitions

T = TypeVar("T")
# libvirt-python has annotations only in its newer versions, and some of them are wrong.
Connection: TypeAlias = Any
Handle: TypeAlias = Any
"""A virDomain; it never leaves this module."""

log = logging.getLogger(__name__)

SWITCH_FLAGS = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
)
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
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP: "backup",
}

# A domain may be started or stopped while it is looked at.
LOOKS = 5


class LibvirtHypervisor:
    """The Hypervisor port over libvirt; connects at the first call.

    `timeout_seconds` bounds each call that leaves the process.
    """

    def __init__(
        self,
        uri: str,
        definitions: Definitions,
        *,
        timeout_seconds: float = 30.0,
        merge_limits: MergeLimits | None = None,
    ) -> None:
        self._definitions = definitions
        self._folders = folders_of(uri)
        self._merge_limits = merge_limits or MergeLimits()
        self._link: Reconnecting[Connection] = Reconnecting(
            lambda: _connect(uri), _is_alive, libvirt.libvirtError, BoundedCalls(timeout_seconds)
        )

    def host_id(self) -> HostId:
        """Return the host's UUID, one that is the same after the next boot."""
        capabilities = self.read("read the capabilities", lambda c: c.getCapabilities())
        return HostId(stable_host_id(host_uuid(capabilities)))

    def domains(self) -> tuple[DomainSummary, ...]:
        """Return all domains, sorted by name."""

        def summary(domain: Handle) -> DomainSummary:
            return DomainSummary(
                DomainId(domain.UUIDString()), domain.name(), _state(domain.state())
            )

        found = self.read("list the domains", lambda c: _of_each(c.listAllDomains(0), summary))
        return tuple(sorted(found, key=lambda domain: domain.name))

    def domain(self, domain_id: DomainId) -> Domain:
        """Look at one domain afresh."""
        return self.read("look at the domain", _on(domain_id, self._look))

    def definitions(self) -> tuple[Definition, ...]:
        """Read the inactive definition of every domain, and each live one that differs."""
        xmls = self.read("read all definitions", lambda c: _of_each(c.listAllDomains(0), _xmls))
        found = dict.fromkeys(self._definitions.parse(xml) for both in xmls for xml in both)
        return located(found, self._volume_path)

    def define(self, xml: str) -> None:
        """Define a persistent domain; the definition is on stable storage afterwards."""
        self.change("define the domain", lambda c: c.defineXML(xml))
        sync(self._folders.definitions)

    def switch_disks(self, domain_id: DomainId, overlays: Mapping[str, Path]) -> None:
        """Make each target use its prepared overlay; without overlays nothing is asked."""
        if not overlays:
            return
        definition = self._definitions.parse(self.live_xml(domain_id))
        request = switch_request([disk.target for disk in definition.disks], overlays)
        self.change(
            "switch the disks",
            _on(domain_id, lambda domain: domain.snapshotCreateXML(request, SWITCH_FLAGS)),
        )
        sync(self._folders.definitions)

    def commit_active(self, domain_id: DomainId, target: str, base: Path) -> None:
        """Merge the active layer of a running domain's disk into `base` and pivot to it.

        A merge into the same base that an interrupted run left is taken over, and nothing is
        merged if the disk uses `base` already. Afterwards the inactive definition names `base`
        too. A merge that fails or is given up is cancelled.
        """
        before = self.domain(domain_id).active_paths.get(target)
        if before != base:
            merge_active(_Merge(self, domain_id, target, base), target, base, self._merge_limits)
        domain = self.domain(domain_id)
        if domain.active_paths.get(target) != base:
            raise LibvirtError(f"disk '{target}' does not use '{base}' after its merge")
        if not domain.is_persistent:
            return
        current = self._definitions.parse(self.live_xml(domain_id))
        self.define(definition_after_merge(self._definitions, domain, current, (target, before)))

    def remove_managed_save(self, domain_id: DomainId) -> None:
        """Remove the managed-save image if there is one."""

        def remove(domain: Handle) -> None:
            if domain.hasManagedSaveImage(0):
                domain.managedSaveRemove(0)

        self.change("remove the managed-save image", _on(domain_id, remove))
        sync(self._folders.saves)

    def managed_save_xml(self, domain_id: DomainId) -> str | None:
        """Return the definition inside the managed-save image, or None without an image."""

        def xml(domain: Handle) -> str | None:
            if not domain.hasManagedSaveImage(0):
                return None
            return str(domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))

        return self.read("read the managed-save image", _on(domain_id, xml))

    def redefine_managed_save(self, domain_id: DomainId, xml: str) -> None:
        """Replace the definition inside the managed-save image, on stable storage."""

        def redefine(domain: Handle) -> str:
            domain.managedSaveDefineXML(xml, 0)
            return str(domain.name())

        name = self.change("change the managed-save image", _on(domain_id, redefine))
        sync(self._folders.saves / f"{name}.save")

    def has_secret(self, secret_id: str) -> bool:
        """Tell whether a libvirt secret of that UUID is defined (its value is never read)."""

        def found(connection: Connection) -> bool:
            with _except_for(libvirt.VIR_ERR_NO_SECRET, libvirt.VIR_ERR_NO_SUPPORT):
                connection.secretLookupByUUIDString(secret_id)
                return True
            return False

        return self.read("look for the secret", found)

    def max_chain_depth(self) -> int:
        """Return how many layers a disk may have on this libvirt before it refuses to start."""
        return deepest_chain(self.read("ask for the version", lambda c: c.getLibVersion()))

    def live_xml(self, domain_id: DomainId) -> str:
        """Return the XML of what a domain uses now, without secrets; inactive if it is off."""
        xml = self.read("read the definition", _on(domain_id, lambda domain: domain.XMLDesc(0)))
        return str(xml)

    def read(self, what: str, work: Callable[[Connection], T]) -> T:
        """Run a call that changes nothing; once more if the connection turns out to be lost."""
        log.debug("libvirt: %s", what)
        try:
            return self._link.read(work)
        except libvirt.libvirtError as error:
            raise LibvirtError(f"libvirt cannot {what}: {_reason(error)}") from error

    def change(self, what: str, work: Callable[[Connection], T]) -> T:
        """Run a call that changes something, once."""
        log.debug("libvirt: %s", what)
        try:
            return self._link.change(work, probe=lambda connection: connection.getLibVersion())
        except libvirt.libvirtError as error:
            raise LibvirtError(f"libvirt cannot {what}: {_reason(error)}") from error

    def _volume_path(self, pool: str, name: str) -> Path | None:
        """Return the path of a volume, None if it cannot be had: of an inactive pool, say."""
        with suppress(LibvirtError):
            return self.read(
                f"look up volume '{name}' of pool '{pool}'",
                lambda c: Path(c.storagePoolLookupByName(pool).storageVolLookupByName(name).path()),
            )
        return None

    def _look(self, domain: Handle) -> Domain:
        """Look until the state was the same before and after."""
        for _ in range(LOOKS):
            before = domain.state()
            try:
                seen = self._look_once(domain, before)
            except libvirt.libvirtError:
                if domain.state() == before:
                    raise
                continue
            if domain.state() == before:
                return seen
        raise LibvirtError(f"domain '{domain.name()}' does not keep still to be looked at")

    def _look_once(self, domain: Handle, state: Sequence[int]) -> Domain:
        is_active = bool(domain.isActive())
        xml = domain.XMLDesc(INACTIVE_XML)
        definition = self._definitions.parse(xml)
        current = self._definitions.parse(domain.XMLDesc(0)) if is_active else definition
        return Domain(
            id=definition.id,
            name=definition.name,
            state=_state(state),
            is_persistent=bool(domain.isPersistent()),
            has_managed_save=bool(domain.hasManagedSaveImage(0)),
            xml=xml,
            definition=definition,
            active_paths={disk.target: disk.path for disk in current.disks if disk.path},
            block_jobs=_jobs(domain, current) if is_active else (),
            checkpoints=_names(lambda: domain.listAllCheckpoints(0)),
            foreign_snapshots=_names(lambda: domain.listAllSnapshots(0)),
        )


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of one disk of a running domain, as MergeCalls."""

    hypervisor: LibvirtHypervisor
    domain_id: DomainId
    target: str
    base: Path

    def mirror(self) -> Mirror | None:
        return mirror_of(self.hypervisor.live_xml(self.domain_id), self.target)

    def progress(self) -> tuple[int, int]:
        job = self.hypervisor.read(
            "read the progress of the merge",
            _on(self.domain_id, lambda domain: domain.blockJobInfo(self.target, 0) or {}),
        )
        return job.get("cur", 0), job.get("end", 0)

    def start(self) -> None:
        order = (self.target, str(self.base), None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        self.hypervisor.change(
            f"merge disk '{self.target}'",
            _on(self.domain_id, lambda domain: domain.blockCommit(*order)),
        )

    def pivot(self) -> None:
        self._end(libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)

    def cancel(self) -> None:
        self._end(0)

    def _end(self, flags: int) -> None:
        self.hypervisor.change(
            f"end the merge of disk '{self.target}'",
            _on(self.domain_id, lambda domain: domain.blockJobAbort(self.target, flags)),
        )


def _on(domain_id: DomainId, work: Callable[[Handle], T]) -> Callable[[Connection], T]:
    """Return a call that looks a domain up and works on it."""

    def call(connection: Connection) -> T:
        try:
            return work(connection.lookupByUUIDString(domain_id))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            raise DomainNotFoundError(
                f"this host has no domain with the UUID '{domain_id}'", hint="vmsnap vm list"
            ) from error

    return call


def _xmls(domain: Handle) -> tuple[str, ...]:
    """Return the inactive definition, and the live one of an active domain."""
    return (domain.XMLDesc(INACTIVE_XML), *((domain.XMLDesc(0),) if domain.isActive() else ()))


def _of_each(domains: Sequence[Handle], work: Callable[[Handle], T]) -> list[T]:
    """Return something of each domain that is still there."""
    found = []
    for domain in domains:
        with _except_for(libvirt.VIR_ERR_NO_DOMAIN):
            found.append(work(domain))
    return found


def _connect(uri: str) -> Connection:
    """Connect to the libvirt of this host; raises ConfigError for a remote one."""
    refuse_remote(uri)
    libvirt.registerErrorHandler(_keep_quiet, None)
    open_connection: Callable[[str], Connection] = libvirt.open
    try:
        connection = open_connection(uri)
        # The URI may have been an alias of libvirt.conf.
        refuse_remote(connection.getURI())
    except libvirt.libvirtError as error:
        raise LibvirtError(
            f"cannot connect to libvirt at '{uri}': {_reason(error)}",
            hint="systemctl status libvirtd",
        ) from error
    return connection


def _is_alive(connection: Connection) -> bool:
    with suppress(libvirt.libvirtError):
        return bool(connection.isAlive())
    return False


def _keep_quiet(_context: object, _error: object) -> None:
    """Take libvirt's errors, which it would print on stderr otherwise."""


@contextmanager
def _except_for(*codes: int) -> Iterator[None]:
    """Let errors of these codes pass in silence."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in codes:
            raise


def _reason(error: libvirt.libvirtError) -> str:
    # The first line only: behind it libvirt quotes the XML that it could not read.
    lines = (error.get_error_message() or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else "it gives no reason"


def _state(state_and_reason: Sequence[int]) -> DomainState:
    state, reason = state_and_reason
    if state == libvirt.VIR_DOMAIN_SHUTOFF:
        return DomainState.SHUT_OFF
    if state in {libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED}:
        return DomainState.RUNNING
    if state == libvirt.VIR_DOMAIN_PAUSED and reason not in PAUSED_BY_LIBVIRT:
        return DomainState.PAUSED
    return DomainState.OTHER


def _jobs(domain: Handle, current: Definition) -> tuple[str, ...]:
    """Return the jobs on the disks of an active domain, and on the whole of it, in words."""
    found = []
    with _except_for(libvirt.VIR_ERR_NO_SUPPORT):
        for disk in current.disks:
            job = domain.blockJobInfo(disk.target, 0) if disk.path else None
            if job:
                found.append(f"{BLOCK_JOBS.get(job['type'], 'block job')} on {disk.target}")
    with _except_for(libvirt.VIR_ERR_NO_SUPPORT):
        if domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
            found.append("migration, save or backup")
    return tuple(found)


def _names(listed: Callable[[], Sequence[Any]]) -> tuple[str, ...]:
    """Return the names of a domain's snapshots or checkpoints; none where they do not exist."""
    with _except_for(libvirt.VIR_ERR_NO_SUPPORT):
        return tuple(sorted(item.getName() for item in listed()))
    return ()
