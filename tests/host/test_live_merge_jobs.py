"""Block jobs of the real libvirt: taken over, given up, and what ends them from outside."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from contracts.hypervisor_beds import LiveBed, content_of, disk_xml, domain_xml, new_id, run

from vmsnap.errors import LibvirtError
from vmsnap.model import DomainId
from vmsnap.ports import LiveMerge, MergeKind

pytestmark = pytest.mark.live
SLOW = 256 * 1024
SIZE = "8M"
every_kind = pytest.mark.parametrize("kind", MergeKind)
BLOCK_JOBS = {
    MergeKind.COMMIT_ACTIVE: ("blockcommit", "--active", "--base", "{base}"),
    MergeKind.COMMIT: ("blockcommit", "--top", "{top}", "--base", "{base}"),
    MergeKind.PULL: ("blockpull", "--base", "{base}"),
}


@pytest.fixture
def bed() -> Iterator[LiveBed]:
    bed = LiveBed()
    yield bed
    bed.close()


@pytest.fixture
def chain(bed: LiveBed) -> tuple[Path, ...]:
    """Make four layers on each other, bottom first, with 4 MiB of data in each."""
    made: list[Path] = []
    for number in range(4):
        backing = ("-b", str(made[-1]), "-F", "qcow2") if made else ()
        path = bed.folder / f"vda-{number}.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path), SIZE)
        run("qemu-io", "-c", f"write -P {number + 1} {number}M 4M", str(path))
        made.append(path)
    return tuple(made)


@pytest.fixture
def domain_id(bed: LiveBed, chain: tuple[Path, ...]) -> DomainId:
    domain_id = new_id()
    bed.hypervisor.define(domain_xml(domain_id, disk_xml(chain[-1], "vda")))
    bed.start(domain_id)
    return domain_id


def order_of(kind: MergeKind, chain: tuple[Path, ...], bandwidth: int = 0) -> LiveMerge:
    """Order the same of each kind: two layers become one."""
    top, base = {
        MergeKind.COMMIT_ACTIVE: (3, 2),
        MergeKind.COMMIT: (2, 1),
        MergeKind.PULL: (3, 1),
    }[kind]
    return LiveMerge(kind, "vda", chain[top], chain[base], bandwidth)


def begin(bed: LiveBed, domain_id: DomainId, order: LiveMerge, bytes_: int = SLOW) -> None:
    """Begin a job as a run would that is killed then."""
    words = [
        word.format(top=order.top, base=order.base)
        for word in (*BLOCK_JOBS[order.kind], "--bandwidth", str(bytes_), "--bytes")
    ]
    bed.virsh(words[0], domain_id, "vda", *words[1:])


def hurry(bed: LiveBed, domain_id: DomainId) -> None:
    """Take a job's limit away, if it is still there."""
    with suppress(LibvirtError):
        bed.virsh("blockjob", domain_id, "vda", "--bandwidth", "0")


def test_a_bandwidth_is_kept_and_bytes_are_told(bed, domain_id, chain):
    moved: list[tuple[int, int]] = []
    order = order_of(MergeKind.COMMIT, chain, 4 * 1024 * 1024)
    began = time.monotonic()
    bed.hypervisor.merge_live(domain_id, order, lambda *done: moved.append(done))
    assert time.monotonic() - began > 0.5
    assert max(total for _, total in moved) >= 4 * 1024 * 1024
    assert moved == sorted(moved)


@every_kind
def test_a_job_that_a_killed_run_left_is_taken_over(bed, domain_id, chain, kind):
    """H44: not begun twice; whether it waits for its pivot or is in the middle."""
    order = order_of(kind, chain)
    begin(bed, domain_id, order)
    assert len(bed.hypervisor.domain(domain_id).block_jobs) == 1
    speed_up = threading.Timer(0.5, hurry, (bed, domain_id))
    speed_up.start()
    bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)
    speed_up.join()
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.block_jobs, len(domain.chains["vda"])) == ((), 3)


@every_kind
def test_a_merge_that_is_interrupted_leaves_the_chain_and_no_job(bed, domain_id, chain, kind):
    """H44: Ctrl-C; a second run goes on."""
    before = bed.hypervisor.domain(domain_id)
    read = content_of(chain[3])

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bed.hypervisor.merge_live(domain_id, order_of(kind, chain, SLOW), interrupt)
    domain = bed.hypervisor.domain(domain_id)
    assert (domain.block_jobs, domain.chains) == ((), before.chains)
    bed.hypervisor.merge_live(domain_id, order_of(kind, chain), lambda _done, _total: None)
    top = bed.hypervisor.domain(domain_id).active_paths["vda"]
    bed.stop(domain_id)
    assert content_of(top) == read


@every_kind
def test_a_job_of_another_kind_is_left_alone(bed, domain_id, chain, kind):
    other = MergeKind.COMMIT if kind is MergeKind.PULL else MergeKind.PULL
    begin(bed, domain_id, order_of(other, chain))
    jobs = bed.hypervisor.domain(domain_id).block_jobs
    with pytest.raises(LibvirtError, match="somebody else"):
        bed.hypervisor.merge_live(domain_id, order_of(kind, chain), lambda _done, _total: None)
    assert bed.hypervisor.domain(domain_id).block_jobs == jobs


@every_kind
def test_a_guest_that_ends_in_the_middle_ends_the_merge(bed, domain_id, chain, kind):
    """H26: nothing is taken for merged; what the disk reads is whole."""
    read = content_of(chain[3])

    def stop(_done: int, _total: int) -> None:
        bed.stop(domain_id)

    with pytest.raises(LibvirtError):
        bed.hypervisor.merge_live(domain_id, order_of(kind, chain, SLOW), stop)
    domain = bed.hypervisor.domain(domain_id)
    assert domain.definition.disks[0].path == chain[3]
    assert content_of(chain[3]) == read


def test_a_job_that_somebody_cancels_is_not_taken_for_a_merge(bed, domain_id, chain):
    """H44."""

    def cancel(_done: int, _total: int) -> None:
        if bed.hypervisor.domain(domain_id).block_jobs:
            bed.virsh("blockjob", domain_id, "vda", "--abort")

    # A quick look is enough: the chain is not going to change any more.
    bed.hypervisor._merge_limits = type(bed.hypervisor._merge_limits)(ending_seconds=0.2)
    with pytest.raises(LibvirtError, match="before it was complete"):
        bed.hypervisor.merge_live(domain_id, order_of(MergeKind.COMMIT, chain, SLOW), cancel)
    assert len(bed.hypervisor.domain(domain_id).chains["vda"]) == 4


def test_layers_are_found_through_links(bed, domain_id, chain):
    """libvirt compares paths letter by letter."""
    link = bed.folder / "pool"
    link.symlink_to(bed.folder)
    order = LiveMerge(MergeKind.COMMIT, "vda", link / chain[2].name, link / chain[1].name)
    bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)
    assert bed.hypervisor.domain(domain_id).chains["vda"] == (chain[3], chain[1], chain[0])


@pytest.mark.parametrize("kind", [MergeKind.COMMIT_ACTIVE, MergeKind.COMMIT])
def test_what_was_committed_is_on_the_disk_when_the_merge_has_ended(bed, domain_id, chain, kind):
    """H44: QEMU is killed right behind it, and the merged layer's file is gone already."""
    order = order_of(kind, chain)
    read = content_of(chain[3])
    bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)
    top = bed.hypervisor.domain(domain_id).active_paths["vda"]
    order.top.unlink()
    pid = next(Path("/run/libvirt/qemu").glob("vmsnap-test-*.pid")).read_text().strip()
    subprocess.run(["kill", "-9", pid], check=True)
    assert content_of(top) == read
