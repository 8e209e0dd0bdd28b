"""The merge of a running domain's disk: taken over, given up, cancelled."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vmsnap.errors import LibvirtError
from vmsnap.host.live_merge import MergeLimits, merge_active
from vmsnap.host.live_xml import Mirror

BASE = Path("/images/base.qcow2")
LIMITS = MergeLimits(total_seconds=5, stall_seconds=5)


@dataclass
class Disk:
    """A disk whose merge is ready after some looks."""

    looks_until_ready: int = 2
    mirrored_to: Path | None = None
    is_steady: bool = False
    calls: list[str] = field(default_factory=list)
    looks: int = 0

    def mirror(self) -> Mirror | None:
        if self.mirrored_to is None:
            return None
        self.looks += 1
        return Mirror(self.mirrored_to, self.looks > self.looks_until_ready)

    def progress(self) -> tuple[int, int]:
        return (0 if self.is_steady else self.looks, 100)

    def start(self) -> None:
        self.calls.append("start")
        self.mirrored_to = BASE

    def pivot(self) -> None:
        self.calls.append("pivot")
        self.mirrored_to = None

    def cancel(self) -> None:
        self.calls.append("cancel")
        self.mirrored_to = None


def test_a_merge_is_started_awaited_and_pivoted():
    disk = Disk()
    merge_active(disk, "vda", BASE, LIMITS)
    assert disk.calls == ["start", "pivot"]


def test_a_merge_that_an_interrupted_run_left_is_taken_over():
    """H44: not begun twice, and not taken for finished."""
    disk = Disk(mirrored_to=BASE)
    merge_active(disk, "vda", BASE, LIMITS)
    assert disk.calls == ["pivot"]


def test_a_job_that_goes_elsewhere_is_left_alone():
    disk = Disk(mirrored_to=Path("/backup/copy.qcow2"))
    with pytest.raises(LibvirtError, match="another file"):
        merge_active(disk, "vda", BASE, LIMITS)
    assert disk.calls == []


@pytest.mark.parametrize(
    ("disk", "limits", "message"),
    [
        (Disk(10**9, is_steady=True), MergeLimits(5, 0.1), "stands still"),
        (Disk(10**9), MergeLimits(0.1, 5), r"did not end within 0.1 s"),
    ],
)
def test_a_merge_that_never_ends_is_cancelled(disk, limits, message):
    """H4: every wait has a limit."""
    with pytest.raises(LibvirtError, match=message):
        merge_active(disk, "vda", BASE, limits)
    assert disk.calls == ["start", "cancel"]


def test_a_merge_that_ends_by_itself_is_not_taken_for_complete():
    """H44: QEMU gave up, for instance because the disk is full."""
    disk = Disk(10**9)
    progress = disk.progress

    def vanish() -> tuple[int, int]:
        disk.mirrored_to = None
        return progress()

    disk.progress = vanish
    with pytest.raises(LibvirtError, match="before it was complete"):
        merge_active(disk, "vda", BASE, LIMITS)
    assert disk.calls == ["start"]


def test_an_interrupted_merge_is_cancelled():
    disk = Disk(10**9)

    def interrupt() -> tuple[int, int]:
        raise KeyboardInterrupt

    disk.progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        merge_active(disk, "vda", BASE, LIMITS)
    assert disk.calls == ["start", "cancel"]
