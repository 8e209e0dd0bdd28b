"""Block jobs of libvirt that merge layers of a running domain's disk."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import libvirt

from vmsnap.errors import LibvirtError
from vmsnap.host.hypervisor.link import Handle, Link, on
from vmsnap.host.hypervisor.looking import look
from vmsnap.host.live_merge import (
    Job,
    MergeLimits,
    definition_after_merge,
    is_merged,
    merge_layers,
)
from vmsnap.host.live_xml import disk_chains, mirror_of
from vmsnap.model import Domain, DomainId
from vmsnap.ports import Definitions, LiveMerge, MergeKind, Progress

KINDS = {
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_PULL: MergeKind.PULL,
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT: MergeKind.COMMIT,
    libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT: MergeKind.COMMIT_ACTIVE,
}


class Merging:
    """Merges on running domains, one at a time."""

    def __init__(self, link: Link, definitions: Definitions, limits: MergeLimits) -> None:
        self._link = link
        self._definitions = definitions
        self._limits = limits

    def merge(self, domain_id: DomainId, order: LiveMerge, progress: Progress) -> str | None:
        """Merge; return the definition to be defined, None for a transient domain.

        A job of the same order that an interrupted run left is taken over, and nothing is merged
        if the chain shows that it was. A merge that fails or is given up is cancelled.
        """
        before = self._look(domain_id)
        if not before.chains:
            raise LibvirtError(
                f"libvirt cannot merge disk '{order.target}': the domain is not running"
            )
        order = _as_spelt(order, before.chains.get(order.target, ()))
        merge_layers(_Merge(self._link, domain_id, order), order, self._limits, progress)
        domain = self._look(domain_id)
        if not is_merged(domain.chains.get(order.target, ()), order):
            raise LibvirtError(f"disk '{order.target}' does not use '{order.base}' after its merge")
        if not domain.is_persistent:
            return None
        return definition_after_merge(
            self._definitions, domain, order, before.active_paths.get(order.target)
        )

    def _look(self, domain_id: DomainId) -> Domain:
        return self._link.read(
            "look at the domain", on(domain_id, lambda handle: look(self._definitions, handle))
        )


def _as_spelt(order: LiveMerge, chain: tuple[Path, ...]) -> LiveMerge:
    """Spell the paths of an order as QEMU does: libvirt compares them letter by letter."""
    spelt = {os.path.realpath(path): path for path in chain}
    base = order.base
    return replace(
        order,
        top=spelt.get(os.path.realpath(order.top), order.top),
        base=base if base is None else spelt.get(os.path.realpath(base), base),
    )


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of one disk of a running domain, as MergeCalls."""

    link: Link
    domain_id: DomainId
    order: LiveMerge

    def chain(self) -> tuple[Path, ...]:
        return disk_chains(self._live_xml()).get(self.order.target, ())

    def job(self) -> Job | None:
        target = self.order.target
        info = self.link.read(
            "read the progress of the merge",
            on(self.domain_id, lambda domain: domain.blockJobInfo(target, 0)),
        )
        if not info:
            return None
        kind = KINDS.get(info["type"])
        # Only this kind has one, and the definition is long.
        mirror = mirror_of(self._live_xml(), target) if kind is MergeKind.COMMIT_ACTIVE else None
        return Job(kind, mirror, info.get("cur", 0), info.get("end", 0))

    def start(self) -> None:
        self.link.change(f"merge disk '{self.order.target}'", on(self.domain_id, self._start))

    def pivot(self) -> None:
        self._end(libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)

    def cancel(self) -> None:
        self._end(0)

    def _start(self, domain: Handle) -> None:
        order = self.order
        base = None if order.base is None else str(order.base)
        if order.kind is MergeKind.PULL:
            flags = libvirt.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES
            domain.blockRebase(order.target, base, order.bandwidth, flags)
            return
        flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES
        if order.kind is MergeKind.COMMIT_ACTIVE:
            flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
        domain.blockCommit(order.target, base, str(order.top), order.bandwidth, flags)

    def _end(self, flags: int) -> None:
        self.link.change(
            f"end the merge of disk '{self.order.target}'",
            on(self.domain_id, lambda domain: domain.blockJobAbort(self.order.target, flags)),
        )

    def _live_xml(self) -> str:
        xml = self.link.read("read the definition", on(self.domain_id, lambda d: d.XMLDesc(0)))
        return str(xml)
