"""The merge of a running domain's disk: taken over, given up, cancelled."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vmsnap.errors import LibvirtError
from vmsnap.host.live_merge import Job, MergeLimits, merge_layers
from vmsnap.host.live_xml import Mirror
from vmsnap.ports import LiveMerge, MergeKind

BASE, MIDDLE, TOP = (Path(f"/images/{name}.qcow2") for name in ("base", "middle", "top"))
LIMITS = MergeLimits(total_seconds=5, stall_seconds=5, ending_seconds=0.1)
ORDERS = {
    MergeKind.COMMIT_ACTIVE: LiveMerge(MergeKind.COMMIT_ACTIVE, "vda", TOP, MIDDLE),
    MergeKind.COMMIT: LiveMerge(MergeKind.COMMIT, "vda", MIDDLE, BASE),
    MergeKind.PULL: LiveMerge(MergeKind.PULL, "vda", TOP, BASE),
}
RESULTS = {
    MergeKind.COMMIT_ACTIVE: (MIDDLE, BASE),
    MergeKind.COMMIT: (TOP, BASE),
    MergeKind.PULL: (TOP, BASE),
}
every_kind = pytest.mark.parametrize("kind", MergeKind)


@dataclass
class Disk:
    """A disk whose merge is done after some looks."""

    kind: MergeKind
    looks_until_done: float = 2
    job_kind: MergeKind | None = None
    mirror: Path | None = None
    is_steady: bool = False
    has_job: bool = False
    layers: tuple[Path, ...] = (TOP, MIDDLE, BASE)
    calls: list[str] = field(default_factory=list)
    looks: int = 0

    def chain(self) -> tuple[Path, ...]:
        return self.layers

    def job(self) -> Job | None:
        if not self.has_job:
            return None
        self.looks += 1
        is_done = self.looks > self.looks_until_done
        kind = self.job_kind or self.kind
        if is_done and kind is not MergeKind.COMMIT_ACTIVE:
            self.end()
            return None
        mirror = None
        if kind is MergeKind.COMMIT_ACTIVE:
            mirror = Mirror(self.mirror or MIDDLE, is_done)
        return Job(kind, mirror, 0 if self.is_steady else self.looks, 100)

    def start(self) -> None:
        self.calls.append("start")
        self.has_job = True

    def pivot(self) -> None:
        self.calls.append("pivot")
        self.end()

    def cancel(self) -> None:
        self.calls.append("cancel")
        self.has_job = False

    def end(self) -> None:
        self.has_job, self.layers = False, RESULTS[self.kind]


def merge(disk, limits=LIMITS, progress=lambda _done, _total: None):
    merge_layers(disk, ORDERS[disk.kind], limits, progress)


def pivoted(kind, *calls):
    return [*calls, *(["pivot"] if kind is MergeKind.COMMIT_ACTIVE else [])]


@every_kind
def test_a_merge_is_started_awaited_and_ended(kind):
    disk, seen = Disk(kind), []
    merge(disk, progress=lambda done, total: seen.append((done, total)))
    assert disk.calls == pivoted(kind, "start")
    assert seen[:2] == [(1, 100), (2, 100)]


@every_kind
def test_a_merge_that_an_interrupted_run_left_is_taken_over(kind):
    """H44: not begun twice, and not taken for finished."""
    disk = Disk(kind, has_job=True)
    merge(disk)
    assert disk.calls == pivoted(kind)
    assert disk.layers == RESULTS[kind]


@every_kind
def test_a_merge_that_is_done_is_not_begun_again(kind):
    """H44."""
    disk = Disk(kind, layers=RESULTS[kind])
    merge(disk)
    assert disk.calls == []


@every_kind
def test_a_job_of_somebody_else_is_left_alone(kind):
    """Of two jobs of one kind libvirt says only for an active layer which layers they are about."""
    elsewhere = Mirror(Path("/backup/copy.qcow2"), is_ready=True)
    kinds = {*MergeKind, None} - ({kind} - {MergeKind.COMMIT_ACTIVE})
    for other in kinds:
        _require_left_alone(Disk(kind), Job(other, elsewhere, 1, 2))


def _require_left_alone(disk, job):
    disk.job = lambda: job
    with pytest.raises(LibvirtError, match="somebody else"):
        merge(disk)
    assert disk.calls == []


@every_kind
@pytest.mark.parametrize(
    "chain", [(), (BASE, TOP), (BASE, TOP, MIDDLE), (Path("/new"), TOP)], ids=len
)
def test_an_order_that_does_not_fit_the_chain_is_refused(kind, chain):
    """H40: nothing but this keeps libvirt from merging other layers than meant."""
    disk = Disk(kind, layers=chain)
    with pytest.raises(LibvirtError, match="in this way"):
        merge(disk)
    assert disk.calls == []


@every_kind
@pytest.mark.parametrize(
    ("is_steady", "limits", "message"),
    [
        (True, MergeLimits(5, 0.1, 0.1), "stands still"),
        (False, MergeLimits(0.1, 5, 0.1), r"did not end within 0.1 s"),
    ],
)
def test_a_merge_that_never_ends_is_cancelled(kind, is_steady, limits, message):
    """H4: every wait has a limit."""
    disk = Disk(kind, float("inf"), is_steady=is_steady)
    with pytest.raises(LibvirtError, match=message):
        merge(disk, limits)
    assert disk.calls == ["start", "cancel"]


def test_a_merge_that_is_meant_to_be_slow_does_not_stand_still():
    """H4: QEMU moves by chunks, which take long at a small bandwidth."""
    disk = Disk(MergeKind.COMMIT, 10, is_steady=True)
    order = replace(ORDERS[disk.kind], bandwidth=1024)
    merge_layers(disk, order, MergeLimits(5, 0.01, 0.1), lambda _done, _total: None)
    assert disk.calls == ["start"]


@every_kind
def test_a_merge_that_ends_by_itself_is_not_taken_for_complete(kind):
    """H44: QEMU gave up, for instance because the disk is full."""
    disk = Disk(kind, 10**9)

    def vanish(_done: int, _total: int) -> None:
        disk.has_job = False

    with pytest.raises(LibvirtError, match="before it was complete"):
        merge(disk, progress=vanish)
    assert disk.calls == ["start"]


@every_kind
def test_an_interrupted_merge_is_cancelled_and_its_end_awaited(kind):
    disk, ended = Disk(kind, 10**9), []

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    def linger() -> None:
        # QEMU ends a job when it has written what is on its way.
        disk.calls.append("cancel")
        real = disk.job

        def job() -> Job | None:
            ended.append(True)
            if len(ended) > 2:
                disk.has_job = False
            return real()

        disk.job = job

    disk.cancel = linger
    with pytest.raises(KeyboardInterrupt):
        merge(disk, progress=interrupt)
    assert disk.calls == ["start", "cancel"]
    assert not disk.has_job
