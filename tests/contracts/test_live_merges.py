"""What every hypervisor promises of merges on a running domain; in the fake, qemu-img does them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.hypervisor_beds import (
    Bed,
    FakeBed,
    LiveBed,
    content_of,
    disk_xml,
    domain_xml,
    make_image,
    new_id,
    run,
)
from fakes.merging import merging_images

from vmsnap.errors import LibvirtError
from vmsnap.model import DomainId
from vmsnap.ports import LiveMerge, MergeKind


@pytest.fixture(params=["fake", pytest.param("live", marks=pytest.mark.live)])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = FakeBed(tmp_path) if request.param == "fake" else LiveBed()
    if isinstance(bed, FakeBed):
        bed.hypervisor.on_merge = merging_images(bed.hypervisor)
    yield bed
    bed.close()


@pytest.fixture
def chain(bed: Bed) -> tuple[Path, ...]:
    """Make four layers on each other, bottom first; each holds something of its own."""
    made: list[Path] = []
    for number in range(4):
        made.append(make_image(bed.folder / f"vda-{number}.qcow2", made[-1] if made else None))
        run("qemu-io", "-c", f"write -P {number + 1} {number * 64}k 128k", str(made[-1]))
    return tuple(made)


@pytest.fixture
def domain_id(bed: Bed, chain: tuple[Path, ...]) -> DomainId:
    """Define a domain and start it."""
    domain_id = new_id()
    bed.hypervisor.define(domain_xml(domain_id, disk_xml(chain[-1], "vda")))
    bed.start(domain_id)
    return domain_id


def header(path: Path) -> tuple[str | None, str | None]:
    """Return what an image says that it stands on."""
    info = json.loads(run("qemu-img", "info", "-U", "--output=json", str(path)))
    return info.get("full-backing-filename"), info.get("backing-filename-format")


# What is merged (kind, top, base; None is none), and which of the four layers are left.
ORDERS = {
    "the active into the one below": (MergeKind.COMMIT_ACTIVE, 3, 2, (2, 1, 0)),
    "all into the first": (MergeKind.COMMIT_ACTIVE, 3, 0, (0,)),
    "a middle one into the one below": (MergeKind.COMMIT, 2, 1, (3, 1, 0)),
    "the second into the first": (MergeKind.COMMIT, 1, 0, (3, 2, 0)),
    "one into the active": (MergeKind.PULL, 3, 1, (3, 1, 0)),
    "all into the active": (MergeKind.PULL, 3, None, (3,)),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_merge_leaves_the_right_chain_and_what_every_layer_reads(bed, domain_id, chain, order):
    """H34, H40, H44, H53: those that are left read as before, or as what was merged into them."""
    kind, top, base, left = order
    before = [content_of(path) for path in chain]
    moved: list[tuple[int, int]] = []
    wanted = LiveMerge(kind, "vda", chain[top], None if base is None else chain[base])
    for _ in range(2):
        bed.hypervisor.merge_live(domain_id, wanted, lambda *done: moved.append(done))
    domain = bed.hypervisor.domain(domain_id)
    assert domain.chains["vda"] == tuple(chain[number] for number in left)
    assert domain.definition.disks[0].path == domain.active_paths["vda"] == chain[left[0]]
    assert "backingStore" not in domain.xml
    assert domain.block_jobs == ()
    assert moved == sorted(moved)
    if kind is MergeKind.PULL:
        bed.stop(domain_id)  # QEMU keeps what it pulled in its memory for a while
    for number, below in zip(left, (*left[1:], None), strict=True):
        merged = top if number == base and kind is not MergeKind.PULL else number
        assert content_of(chain[number]) == before[merged]
        expected = (None, None) if below is None else (str(chain[below]), "qcow2")
        assert header(chain[number]) == expected


def test_layers_that_the_disk_does_not_use_in_this_way_are_not_merged(bed, domain_id, chain):
    """H40: libvirt knows nothing of branches."""
    branch = make_image(bed.folder / "branch.qcow2", chain[1])
    for order in (
        LiveMerge(MergeKind.COMMIT_ACTIVE, "vda", chain[2], chain[1]),
        LiveMerge(MergeKind.COMMIT, "vda", chain[1], chain[2]),
        LiveMerge(MergeKind.PULL, "vda", chain[2], chain[0]),
        LiveMerge(MergeKind.PULL, "vda", branch, chain[0]),
        LiveMerge(MergeKind.COMMIT, "vda", chain[2], branch),
    ):
        with pytest.raises(LibvirtError, match="'vda'"):
            bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)
    assert bed.hypervisor.domain(domain_id).chains["vda"] == tuple(reversed(chain))


@pytest.mark.parametrize("kind", MergeKind)
def test_nothing_is_merged_on_a_domain_that_is_off(bed, domain_id, chain, kind):
    bed.stop(domain_id)
    before = [path.read_bytes() for path in chain]
    top, base = (chain[2], chain[1]) if kind is MergeKind.COMMIT else (chain[3], chain[2])
    order = LiveMerge(kind, "vda", top, chain[1] if kind is MergeKind.PULL else base)
    with pytest.raises(LibvirtError, match="cannot merge disk 'vda'"):
        bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)
    assert [path.read_bytes() for path in chain] == before
