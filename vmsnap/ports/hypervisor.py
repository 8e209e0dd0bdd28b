"""The libvirt of this host, and the definitions that it keeps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from vmsnap.model import Definition, Domain, DomainId, DomainSummary, HostId
from vmsnap.ports.run import Progress


class MergeKind(Enum):
    """What a block job of libvirt does with a part of a disk's chain."""

    COMMIT_ACTIVE = "commit_active"
    """The active layer is written into `base`, which becomes the active one (pivot)."""
    COMMIT = "commit"
    """`top`, a layer below the active one, is written into `base`; what stood on it is moved."""
    PULL = "pull"
    """What lies between `base` (None: nothing stays) and the active layer is written into that."""


@dataclass(frozen=True, slots=True)
class LiveMerge:
    """One merge on a running domain; `bandwidth` is bytes per second, 0 without a limit."""

    kind: MergeKind
    target: str
    top: Path
    base: Path | None
    bandwidth: int = 0


class Hypervisor(Protocol):
    """The libvirt of this host. Errors of libvirt, and no answer in time, are LibvirtError."""

    def host_id(self) -> HostId:
        """Return the host's UUID."""

    def domains(self) -> tuple[DomainSummary, ...]:
        """Return all domains, sorted by name."""

    def domain(self, domain_id: DomainId) -> Domain:
        """Look at one domain afresh.

        Raises DomainNotFoundError if it is not (or no longer) there.
        """

    def definitions(self) -> tuple[Definition, ...]:
        """Read every inactive definition, and each live one that differs; volumes have paths."""

    def define(self, xml: str) -> None:
        """Define a persistent domain; the XML is used as it is."""

    def switch_disks(
        self, domain_id: DomainId, overlays: Mapping[str, Path], targets: Collection[str] = ()
    ) -> float:
        """Make each target use its prepared qcow2 overlay, in one call for all of them.

        libvirt's snapshotCreateXML with DISK_ONLY, ATOMIC, NO_METADATA and REUSE_EXT; disks that
        are not named are left alone. Takes the domain's job, so a start cannot slip in between.
        Returns how long libvirt's call took, in milliseconds. Of a running domain, libvirt leaves
        `<backingStore>` in the inactive definition: define it anew afterwards (H53).
        `targets` are those of all its disks, from a look just before; without them they are looked
        up. If a disk was attached since, nothing is switched. The definition that libvirt writes
        survives a power loss only after `sync_definitions` or `define`.
        """

    def sync_definitions(self) -> None:
        """Make the definitions that libvirt has written survive a power loss."""

    def suspend(self, domain_id: DomainId) -> None:
        """Stop the processors of a running domain."""

    def resume(self, domain_id: DomainId) -> None:
        """Let a paused domain run; one that runs already is fine."""

    def freeze(self, domain_id: DomainId, timeout_seconds: int) -> None:
        """Freeze the guest's file systems through its agent.

        Raises LibvirtError if the agent does not answer within `timeout_seconds`; it may have
        frozen some all the same, so that a thaw has to follow in any case.
        """

    def thaw(self, domain_id: DomainId) -> None:
        """Thaw the guest's file systems; nothing happens to those that are not frozen."""

    def start(self, domain_id: DomainId) -> None:
        """Start a domain."""

    def shut_down(self, domain_id: DomainId) -> None:
        """Ask the guest to shut down (ACPI or agent, as libvirt chooses); do not wait for it."""

    def merge_live(self, domain_id: DomainId, order: LiveMerge, progress: Progress) -> None:
        """On a running domain, merge layers of one disk by a block job, and wait for its end.

        A job of the same order that an interrupted run left is taken over; one that did its work
        already counts. A merge that fails, stands still or is given up is cancelled, so that QEMU
        goes on with the chain that it had. Afterwards the inactive definition names the file that
        the disk uses now, without `<backingStore>`.

        A layer that is in no chain is taken for committed: only the caller knows of branches (H40).
        What was committed is on the disk then. What was pulled may not be before QEMU flushes or
        ends, although the header stands on `base` (seen on 7.2): a QEMU that is killed loses it.
        """

    def remove_managed_save(self, domain_id: DomainId) -> None:
        """Remove the managed-save image if there is one."""

    def managed_save_xml(self, domain_id: DomainId) -> str | None:
        """Return the definition inside the managed-save image, or None without an image."""

    def redefine_managed_save(self, domain_id: DomainId, xml: str) -> None:
        """Replace the definition inside the managed-save image."""

    def has_secret(self, secret_id: str) -> bool:
        """Tell whether a libvirt secret of that UUID is defined (its value is never read)."""

    def qemu_owner(self) -> tuple[int, int] | None:
        """Return uid and gid that QEMU runs with; None if libvirt gives it no other ones."""

    def max_chain_depth(self) -> int:
        """Return how many layers a disk may have on this libvirt before it refuses to start."""


class Definitions(Protocol):
    """Reading and patching domain XML; pure, nothing outside is asked or changed.

    Every XML that a function returns has no `<backingStore>` in any disk and is otherwise the same
    as what was given, except for what the function says.
    """

    def parse(self, xml: str) -> Definition:
        """Read a domain's XML. Raises UnsupportedError if it cannot be understood."""

    def with_sources(self, xml: str, sources: Mapping[str, tuple[Path, str]]) -> str:
        """Give the disks of these targets another file (path, format)."""

    def with_disks_of(self, xml: str, other_xml: str, targets: Sequence[str]) -> str:
        """Replace the disks of these targets by `other_xml`'s.

        A target that only `xml` has is removed, one that only `other_xml` has is added.
        """

    def with_name(self, xml: str, name: str) -> str:
        """Give the domain another name."""

    def with_fence(self, xml: str) -> str:
        """Add the fence: a read-only disk whose file does not exist. Once, if called twice."""

    def without_fence(self, xml: str) -> str:
        """Take the fence away; without one nothing else is changed."""

    def with_missing_source(self, xml: str) -> str:
        """Point the first disk with a file at the fence's path (for a managed-save image)."""

    def shown_lines(self, xml: str) -> tuple[str, ...]:
        """Return a definition as lines for people: indented, passwords and the like hidden."""

    def same(self, xml: str, other_xml: str) -> bool:
        """Tell whether two definitions mean the same, apart from fence, name and backingStore."""
