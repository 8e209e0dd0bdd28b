"""Block jobs of libvirt that merge layers of a running domain's disk."""

from dataclasses import dataclass
from pathlib import Path

import libvirt

from vmsnap.errors import LibvirtError
from vmsnap.host.hypervisor.link import Link, on
from vmsnap.host.hypervisor.looking import look
from vmsnap.host.live_merge import MergeLimits, definition_after_merge, merge_active
from vmsnap.host.live_xml import Mirror, mirror_of
from vmsnap.model import Domain, DomainId
from vmsnap.ports import Definitions, LiveMerge, MergeKind, Progress


class Merging:
    """Merges on running domains, one at a time."""

    def __init__(self, link: Link, definitions: Definitions, limits: MergeLimits) -> None:
        self._link = link
        self._definitions = definitions
        self._limits = limits

    def merge(self, domain_id: DomainId, order: LiveMerge, progress: Progress) -> str | None:
        """Merge; return the definition to be defined, None for a transient domain.

        A merge into the same base that an interrupted run left is taken over, and nothing is
        merged if the disk uses `base` already. A merge that fails or is given up is cancelled.
        """
        target, base = order.target, order.base
        if order.kind is not MergeKind.COMMIT_ACTIVE or base is None:
            raise LibvirtError(f"libvirt cannot do '{order.kind.value}' on disk '{target}'")
        before = self._look(domain_id).active_paths.get(target)
        if before != base:
            merge_active(_Merge(self._link, domain_id, target, base), target, base, self._limits)
        domain = self._look(domain_id)
        if domain.active_paths.get(target) != base:
            raise LibvirtError(f"disk '{target}' does not use '{base}' after its merge")
        if not domain.is_persistent:
            return None
        return definition_after_merge(self._definitions, domain, domain.current, (target, before))

    def _look(self, domain_id: DomainId) -> Domain:
        return self._link.read(
            "look at the domain", on(domain_id, lambda handle: look(self._definitions, handle))
        )


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of one disk of a running domain, as MergeCalls."""

    link: Link
    domain_id: DomainId
    target: str
    base: Path

    def mirror(self) -> Mirror | None:
        return mirror_of(self._live_xml(), self.target)

    def progress(self) -> tuple[int, int]:
        job = self.link.read(
            "read the progress of the merge",
            on(self.domain_id, lambda domain: domain.blockJobInfo(self.target, 0) or {}),
        )
        return job.get("cur", 0), job.get("end", 0)

    def start(self) -> None:
        order = (self.target, str(self.base), None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        self.link.change(
            f"merge disk '{self.target}'",
            on(self.domain_id, lambda domain: domain.blockCommit(*order)),
        )

    def pivot(self) -> None:
        self._end(libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)

    def cancel(self) -> None:
        self._end(0)

    def _end(self, flags: int) -> None:
        self.link.change(
            f"end the merge of disk '{self.target}'",
            on(self.domain_id, lambda domain: domain.blockJobAbort(self.target, flags)),
        )

    def _live_xml(self) -> str:
        xml = self.link.read("read the definition", on(self.domain_id, lambda d: d.XMLDesc(0)))
        return str(xml)
