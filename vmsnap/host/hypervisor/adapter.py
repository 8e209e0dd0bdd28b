"""The Hypervisor port over libvirt."""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import libvirt

from vmsnap.errors import LibvirtError
from vmsnap.host.chain_limits import deepest_chain
from vmsnap.host.host_identity import stable_host_id
from vmsnap.host.hypervisor.guests import Guests
from vmsnap.host.hypervisor.link import Connection, Handle, Link, except_for, of_each, on
from vmsnap.host.hypervisor.looking import both_xmls, domain_state, look
from vmsnap.host.hypervisor.merging import Merging
from vmsnap.host.libvirt_folders import folders_of, sync
from vmsnap.host.live_merge import MergeLimits
from vmsnap.host.live_xml import host_uuid, qemu_owner
from vmsnap.host.snapshot_xml import switch_request
from vmsnap.host.volumes import located
from vmsnap.model import Definition, Domain, DomainId, DomainSummary, HostId
from vmsnap.ports import Definitions, LiveMerge, Progress

SWITCH_FLAGS = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
)


class LibvirtHypervisor(Guests):
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
        super().__init__(Link(uri, timeout_seconds))
        self._definitions = definitions
        self._folders = folders_of(uri)
        self._merge_limits = merge_limits or MergeLimits()

    def host_id(self) -> HostId:
        """Return the host's UUID, one that is the same after the next boot."""
        capabilities = self._link.read("read the capabilities", lambda c: c.getCapabilities())
        return HostId(stable_host_id(host_uuid(capabilities)))

    def domains(self) -> tuple[DomainSummary, ...]:
        """Return all domains, sorted by name."""

        def summary(domain: Handle) -> DomainSummary:
            return DomainSummary(
                DomainId(domain.UUIDString()), domain.name(), domain_state(domain.state())
            )

        found = self._link.read("list the domains", lambda c: of_each(c.listAllDomains(0), summary))
        return tuple(sorted(found, key=lambda domain: domain.name))

    def domain(self, domain_id: DomainId) -> Domain:
        """Look at one domain afresh."""
        return self._link.read(
            "look at the domain", on(domain_id, lambda domain: look(self._definitions, domain))
        )

    def definitions(self) -> tuple[Definition, ...]:
        """Read the inactive definition of every domain, and each live one that differs."""
        xmls = self._link.read(
            "read all definitions", lambda c: of_each(c.listAllDomains(0), both_xmls)
        )
        found = dict.fromkeys(self._definitions.parse(xml) for both in xmls for xml in both)
        return located(found, self._volume_path)

    def define(self, xml: str) -> None:
        """Define a persistent domain; the definition is on stable storage afterwards."""
        self._link.change("define the domain", lambda c: c.defineXML(xml))
        sync(self._folders.definitions)

    def switch_disks(
        self, domain_id: DomainId, overlays: Mapping[str, Path], targets: Collection[str] = ()
    ) -> float:
        """Make each target use its prepared overlay; without overlays nothing is asked.

        `targets` are those of all disks; without them they are looked up. Returns how long
        libvirt's own call took, in milliseconds.
        """
        if not overlays:
            return 0.0
        request = switch_request(targets, overlays) if targets else None

        def switch(domain: Handle) -> float:
            asked = request or switch_request(self._targets(domain), overlays)
            began = time.monotonic()
            domain.snapshotCreateXML(asked, SWITCH_FLAGS)
            return (time.monotonic() - began) * 1000

        return self._link.change("switch the disks", on(domain_id, switch), is_urgent=True)

    def sync_definitions(self) -> None:
        """Make the definitions that libvirt has written survive a power loss."""
        sync(self._folders.definitions)

    def merge_live(self, domain_id: DomainId, order: LiveMerge, progress: Progress) -> None:
        """On a running domain, merge layers of one disk by a block job, and wait for its end."""
        merging = Merging(self._link, self._definitions, self._merge_limits)
        xml = merging.merge(domain_id, order, progress)
        if xml is not None:
            self.define(xml)

    def remove_managed_save(self, domain_id: DomainId) -> None:
        """Remove the managed-save image if there is one."""

        def remove(domain: Handle) -> None:
            if domain.hasManagedSaveImage(0):
                domain.managedSaveRemove(0)

        self._link.change("remove the managed-save image", on(domain_id, remove))
        sync(self._folders.saves)

    def managed_save_xml(self, domain_id: DomainId) -> str | None:
        """Return the definition inside the managed-save image, or None without an image."""

        def xml(domain: Handle) -> str | None:
            if not domain.hasManagedSaveImage(0):
                return None
            return str(domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))

        return self._link.read("read the managed-save image", on(domain_id, xml))

    def redefine_managed_save(self, domain_id: DomainId, xml: str) -> None:
        """Replace the definition inside the managed-save image, on stable storage."""

        def redefine(domain: Handle) -> str:
            domain.managedSaveDefineXML(xml, 0)
            return str(domain.name())

        name = self._link.change("change the managed-save image", on(domain_id, redefine))
        sync(self._folders.saves / f"{name}.save")

    def has_secret(self, secret_id: str) -> bool:
        """Tell whether a libvirt secret of that UUID is defined (its value is never read)."""

        def found(connection: Connection) -> bool:
            with except_for(libvirt.VIR_ERR_NO_SECRET, libvirt.VIR_ERR_NO_SUPPORT):
                connection.secretLookupByUUIDString(secret_id)
                return True
            return False

        return self._link.read("look for the secret", found)

    def qemu_owner(self) -> tuple[int, int] | None:
        """Return uid and gid that QEMU runs with; None if libvirt gives it no other ones."""
        return qemu_owner(self._link.read("read the capabilities", lambda c: c.getCapabilities()))

    def max_chain_depth(self) -> int:
        """Return how many layers a disk may have on this libvirt before it refuses to start."""
        return deepest_chain(self._link.read("ask for the version", lambda c: c.getLibVersion()))

    def _targets(self, domain: Handle) -> tuple[str, ...]:
        return tuple(disk.target for disk in self._definitions.parse(domain.XMLDesc(0)).disks)

    def _volume_path(self, pool: str, name: str) -> Path | None:
        """Return the path of a volume, None if it cannot be had: of an inactive pool, say."""
        with suppress(LibvirtError):
            return self._link.read(
                f"look up volume '{name}' of pool '{pool}'",
                lambda c: Path(c.storagePoolLookupByName(pool).storageVolLookupByName(name).path()),
            )
        return None
