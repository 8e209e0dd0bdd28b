"""Merge layers of a running domain's disk by a block job, with an end on every path."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmsnap.errors import LibvirtError, VmsnapError
from vmsnap.host.live_xml import Mirror
from vmsnap.model import Domain
from vmsnap.ports import Definitions, LiveMerge, MergeKind, Progress

# A short merge is awaited eagerly; one that takes hours must not keep libvirtd busy.
SHORTEST_POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 0.5
# At most so much is written by a job of QEMU before it looks at its limit again.
CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """The block job on a disk; `kind` is None for one that merges nothing, such as a copy.

    `mirror` is where an active layer is written to; of other merges libvirt does not say which
    layers they are about. `done` and `total` are bytes.
    """

    kind: MergeKind | None
    mirror: Mirror | None
    done: int
    total: int

    def is_of(self, order: LiveMerge) -> bool:
        """Tell whether it may be the job of this order."""
        if self.kind is not order.kind:
            return False
        if order.kind is not MergeKind.COMMIT_ACTIVE:
            return True
        return self.mirror is not None and self.mirror.path == order.base

    @property
    def is_ready(self) -> bool:
        """Whether it waits for its pivot."""
        return self.mirror is not None and self.mirror.is_ready


class MergeCalls(Protocol):
    """What libvirt can be asked about the merge of one disk of a running domain."""

    def chain(self) -> tuple[Path, ...]:
        """Return the files that QEMU has open for the disk, topmost first."""

    def job(self) -> Job | None:
        """Return the block job on the disk, None if there is none."""

    def start(self) -> None:
        """Start the merge."""

    def pivot(self) -> None:
        """End the merge of an active layer, and go on with the file that it was merged into."""

    def cancel(self) -> None:
        """End the merge, and go on with the chain of before."""


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """How long a whole merge may take, and how long it may stand still.

    `ending_seconds` is how long libvirt may take over the end of a job that QEMU has done.
    """

    total_seconds: float = 7 * 86_400.0
    stall_seconds: float = 300.0
    ending_seconds: float = 30.0


def merge_layers(
    calls: MergeCalls, order: LiveMerge, limits: MergeLimits, progress: Progress
) -> None:
    """Merge as ordered; nothing is done if the chain shows that it has been done.

    A job that may be of the same order, which an interrupted run left, is taken over; another one
    is left alone. A merge that fails or is given up is cancelled, and its end is awaited. The chain
    decides whether it took place. `order` spells its paths as the chain does. Raises LibvirtError.
    """
    if is_merged(calls.chain(), order):
        return
    job = calls.job()
    if job is not None and not job.is_of(order):
        raise LibvirtError(
            f"disk '{order.target}' has a block job of somebody else, or to another file"
        )
    _require_chain(calls.chain(), order)
    try:
        if job is None:
            calls.start()
        _await_end(calls, order, limits, progress)
    except BaseException:
        with suppress(VmsnapError):
            _give_up(calls, order, limits)
        raise


def is_merged(chain: tuple[Path, ...], order: LiveMerge) -> bool:
    """Tell whether a chain is the one that the order leads to.

    A layer that was committed into `base` is in no chain, and neither is one on a branch: the
    caller has to know that the order was possible once.
    """
    if not chain:
        return False
    if order.kind is MergeKind.COMMIT_ACTIVE:
        return chain[0] == order.base
    if order.kind is MergeKind.COMMIT:
        return order.top not in chain and order.base in chain[1:]
    return chain == (order.top,) if order.base is None else chain[:2] == (order.top, order.base)


def definition_after_merge(
    definitions: Definitions, domain: Domain, order: LiveMerge, before: Path | None
) -> str:
    """Return the inactive definition with the file that a merged disk uses now.

    `before` is the file that the disk used before. libvirt leaves `<backingStore>` in the inactive
    definition, which would override the images' headers at the next start (H53). A file that an
    administrator gave the disk for the next start stays.
    """
    merged = {before, order.top} if order.kind is MergeKind.COMMIT_ACTIVE else {before}
    wanted = {disk.target for disk in domain.definition.disks if disk.path in merged}
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.current.disks
        if disk.target == order.target and disk.target in wanted and disk.path is not None
    }
    return definitions.with_sources(domain.xml, sources)


def _require_chain(chain: tuple[Path, ...], order: LiveMerge) -> None:
    """Refuse an order that does not fit what QEMU has open: nothing else would stop libvirt."""
    below = chain[chain.index(order.top) + 1 :] if order.top in chain else ()
    is_top_active = chain[:1] == (order.top,)
    is_possible = (
        order.top in chain
        and is_top_active is (order.kind is not MergeKind.COMMIT)
        and (order.base in below or (order.base is None and order.kind is MergeKind.PULL))
    )
    if not is_possible:
        raise LibvirtError(
            f"disk '{order.target}' does not use '{order.top}' over '{order.base}' in this way"
        )


def _await_end(
    calls: MergeCalls, order: LiveMerge, limits: MergeLimits, progress: Progress
) -> None:
    """Wait until the job is done, then until libvirt shows the chain that it led to."""
    watch = _Watch(order.target, order.bandwidth, limits)
    while (job := calls.job()) is not None:
        if job.total > 0:
            progress(job.done, job.total)
        if job.is_ready:
            calls.pivot()
            break
        watch.require_movement((job.done, job.total))
        watch.pause()
    # QEMU may have ended a job that libvirt has not come to yet.
    if not _is_true_within(limits.ending_seconds, lambda: is_merged(calls.chain(), order)):
        raise LibvirtError(f"the merge of disk '{order.target}' ended before it was complete")


def _give_up(calls: MergeCalls, order: LiveMerge, limits: MergeLimits) -> None:
    """Cancel the job, and wait until QEMU writes to the layers no more."""
    job = calls.job()
    if job is None or not job.is_of(order):
        return
    with suppress(LibvirtError):  # it may end by itself just now
        calls.cancel()
    _is_true_within(limits.ending_seconds, lambda: calls.job() is None)


def _is_true_within(seconds: float, question: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not question():
        if time.monotonic() > until:
            return False
        time.sleep(SHORTEST_POLL_SECONDS)
    return True


class _Watch:
    """Sees to it that a wait has an end."""

    def __init__(self, target: str, bandwidth: int, limits: MergeLimits) -> None:
        self._target = target
        self._limits = limits
        # A slow job moves by whole chunks.
        self._stall_seconds = limits.stall_seconds + (CHUNK_BYTES / bandwidth if bandwidth else 0)
        self._began = self._moved = time.monotonic()
        self._seen: tuple[int, int] | None = None

    def require_movement(self, seen: tuple[int, int]) -> None:
        """Raise LibvirtError if the merge stands still, or takes too long."""
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._moved = seen, now
        if now - self._moved > self._stall_seconds:
            raise LibvirtError(f"the merge of disk '{self._target}' stands still")
        if now - self._began > self._limits.total_seconds:
            raise LibvirtError(
                f"the merge of disk '{self._target}' did not end within"
                f" {self._limits.total_seconds:g} s"
            )

    def pause(self) -> None:
        """Wait a while: the longer, the longer it takes."""
        waited = (time.monotonic() - self._began) / 20
        time.sleep(min(max(SHORTEST_POLL_SECONDS, waited), LONGEST_POLL_SECONDS))
