"""Merge the active layer of a running domain's disk, with an end on every path."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vmsnap.errors import LibvirtError, VmsnapError
from vmsnap.host.live_xml import Mirror
from vmsnap.model import Definition, Domain
from vmsnap.ports import Definitions

POLL_SECONDS = 0.05


class MergeCalls(Protocol):
    """What libvirt can be asked about the merge of one disk."""

    def mirror(self) -> Mirror | None:
        """Return where the disk is being merged or copied to, None if it is not."""

    def progress(self) -> tuple[int, int]:
        """Return how far it is and how far it has to go."""

    def start(self) -> None:
        """Start to merge the active layer."""

    def pivot(self) -> None:
        """End the merge and go on with the file that was merged into."""

    def cancel(self) -> None:
        """End the merge and go on with the active layer."""


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """How long a whole merge may take, and how long it may stand still."""

    total_seconds: float = 86_400.0
    stall_seconds: float = 300.0


def merge_active(calls: MergeCalls, target: str, base: Path, limits: MergeLimits) -> None:
    """Merge the active layer of a disk into `base` and pivot to it.

    A merge into the same base that an interrupted run left is taken over; a job that goes
    elsewhere is left alone. A merge that fails or is given up is cancelled. Raises LibvirtError.
    """
    mirror = calls.mirror()
    if mirror is not None and mirror.path != base:
        raise LibvirtError(f"disk '{target}' is being copied or merged to another file")
    try:
        if mirror is None:
            calls.start()
        _await_ready(calls, target, limits)
        calls.pivot()
    except BaseException:
        with suppress(VmsnapError):
            mirror = calls.mirror()
            if mirror is not None and mirror.path == base:
                calls.cancel()
        raise


def definition_after_merge(
    definitions: Definitions, domain: Domain, current: Definition, merged: tuple[str, Path | None]
) -> str:
    """Return the inactive definition with the file that a merged disk uses now.

    `current` is the live definition, `merged` the disk's target and the file that it used before.
    libvirt leaves `<backingStore>` in the inactive definition, which would override the images'
    headers at the next start. A file that an administrator gave the disk for the next start stays.
    """
    target, before = merged
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in current.disks
        if disk.target == target and disk.path is not None
    }
    wanted = {disk.target for disk in domain.definition.disks if disk.path == before}
    return definitions.with_sources(
        domain.xml, {name: source for name, source in sources.items() if name in wanted}
    )


def _await_ready(calls: MergeCalls, target: str, limits: MergeLimits) -> None:
    """Wait until the merge has caught up with what the guest writes."""
    began = moved = time.monotonic()
    progress: tuple[int, int] | None = None
    while True:
        mirror = calls.mirror()
        if mirror is None:
            raise LibvirtError(f"the merge of disk '{target}' ended before it was complete")
        if mirror.is_ready:
            return
        now = time.monotonic()
        seen = calls.progress()
        if seen != progress:
            progress, moved = seen, now
        if now - moved > limits.stall_seconds:
            raise LibvirtError(f"the merge of disk '{target}' stands still")
        if now - began > limits.total_seconds:
            raise LibvirtError(
                f"the merge of disk '{target}' did not end within {limits.total_seconds:g} s"
            )
        time.sleep(POLL_SECONDS)
