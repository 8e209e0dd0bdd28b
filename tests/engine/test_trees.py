"""Random sequences of what happens to a machine, held against a model of bytes after each step.

More of them: `--tree-sequences N`; others: `--tree-seed S`. A failure prints its script, and
`--tree-sequences 1 --tree-seed S` plays that sequence alone.
"""

import subprocess

import pytest
from engine.patient import counting
from engine.treebed.bed import Bed
from engine.treebed.dice import Dice
from engine.treebed.trap import Trap

STEPS = 13
KIB = 1024
DISK_SIZE = "1M"


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--tree-seed")
        count = metafunc.config.getoption("--tree-sequences")
        metafunc.parametrize("seed", range(first, first + count))


def put_on_template(world, seed):
    """Put the qcow2 disk on a template: raw or qcow2, larger or not, named relatively or not."""
    format_ = ("qcow2", "raw")[seed // 3 % 2]
    template = world.folder / "templates" / f"debian.{format_}"
    template.parent.mkdir()
    disk = world.disks["vda"]
    disk.unlink()
    run("qemu-img", "create", "-q", "-f", format_, template, f"{640 + seed % 5 * 128}K")
    run("qemu-io", "-f", format_, "-c", "write -q -P 201 0 600K", template)
    name = template if seed // 6 % 2 else f"../templates/{template.name}"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", name, "-F", format_, disk, DISK_SIZE)
    return template


def run(*argv):
    subprocess.run(list(map(str, argv)), check=True, capture_output=True)


@pytest.fixture
def bed(world, monkeypatch):
    """A machine without a template below its disks."""
    return Bed(world, monkeypatch)


def test_random_sequences_keep_every_group_and_the_machine(world, monkeypatch, seed):
    """H23, H36, H40, H41, H44, H54, H59: branches, resized layers, interruptions and all."""
    template = put_on_template(world, seed) if seed % 3 == 0 else None
    bed = Bed(world, monkeypatch, template)
    try:
        # A quarter of the sequences never runs; of all steps, half are done on a running machine.
        Dice(bed, seed, running_share=0.95 if seed % 4 else 0.0).play(STEPS)
        assert counting(world) == [], "doctor takes a healthy machine for ill"
        bed.finish()
    except BaseException as error:
        error.add_note("\n".join([f"--tree-seed {seed}, the script:", *bed.script]))
        raise


# --- the nasty ones, on purpose ---------------------------------------------------------------

FULL = ("P", 0, 1024 * KIB, 7)


def test_a_disk_shrunk_and_grown_with_a_group_between_keeps_zeros(bed):
    """H54: neither way of merging may bring back what was cut off."""
    bed.write("vda", FULL)
    bed.create("before")
    bed.resize("vda", 512 * KIB)
    bed.create("small")
    bed.resize("vda", 1024 * KIB)
    bed.create("large")
    bed.delete("small")
    bed.delete("before")
    bed.finish()


@pytest.mark.parametrize("size", [899 * KIB, 960 * KIB])
def test_what_lay_behind_the_end_of_a_shrunk_image_stays_hidden(bed, size):
    """H54: QEMU's commit would grow the image and let its last cluster's old bytes be read."""
    for target in ("vda", "vdb"):
        bed.write(target, FULL)
        bed.resize(target, size)
    bed.create("small")
    for target in ("vda", "vdb"):
        bed.resize(target, 1024 * KIB)
    bed.delete("small")
    bed.finish()


@pytest.mark.parametrize("sizes", [(512, 768, 1024), (1024, 768, 512), (768, 1024, 512)])
@pytest.mark.parametrize("ends", [("middle",), ("first", "middle"), ("middle", "last")])
def test_middle_layers_of_other_sizes_are_merged_in_either_direction(bed, sizes, ends):
    """H54: each group keeps its own size, and zeros where it was grown."""
    for name, size in zip(("first", "middle", "last"), sizes, strict=True):
        for value, target in enumerate(("vda", "vdb"), 1):
            bed.resize(target, size * KIB)
            bed.write(target, ("P", (size - 96) * KIB, 96 * KIB, value + size // 32))
        bed.create(name)
    bed.resize("vda", 1024 * KIB)
    bed.resize("vdb", 640 * KIB)
    bed.delete(*ends)
    bed.finish()


def branches(bed):
    """Make three branches on one group, of different sizes."""
    bed.create("root")
    for number, size in enumerate((1024, 640, 1152), 1):
        bed.write("vda", ("P", number * 64 * KIB, 192 * KIB, number))
        bed.resize("vdb", size * KIB)
        bed.create(f"branch{number}")
        bed.touch_firmware(number)
        bed.revert("root", safety=number != 2)


@pytest.mark.parametrize(
    "ends",
    [
        ("root",),
        ("root", "branch1"),
        ("branch1", "branch2"),
        ("root", "branch1", "branch2"),
        ("branch3", "root", "branch2"),
    ],
)
def test_a_layer_under_branches_stays_until_one_is_left(bed, ends):
    """H40: what two others stand on is not merged into either."""
    branches(bed)
    assert bed.branched == {"vda", "vdb"}
    bed.delete(*ends)
    for name in [name for name in bed.model.groups if name.startswith("branch")]:
        bed.revert(name)
    bed.finish()


def test_children_go_along_over_all_branches(bed):
    """H42: and only when they are asked for."""
    branches(bed)
    bed.revert("branch1")
    bed.create("leaf")
    bed.delete("branch1", children=True)
    assert "leaf" not in bed.model.groups
    bed.delete("root", children=True)
    assert bed.model.groups == {}
    bed.finish()


def test_an_undo_can_be_undone_again_and_again(bed):
    """H37: nothing is lost on the way there and back."""
    bed.create("one")
    bed.write("vda", FULL)
    bed.touch_firmware(9)
    bed.revert("one")
    for value in range(4):
        bed.write("vdb", ("P", value * 64 * KIB, 64 * KIB, value + 1))
        bed.undo()
    assert len(bed.model.groups) == 2
    bed.finish()


def test_a_safety_group_can_be_reverted_to_and_deleted(bed):
    """H14: it is a group like any other."""
    bed.create("one")
    bed.write("vda", FULL)
    bed.revert("one")
    first = bed.model.safety
    bed.write("vdb", FULL)
    bed.revert(first)
    bed.resize("vda", 640 * KIB)
    bed.revert("one", safety=False)
    bed.undo()
    bed.revert(first, keep=True)
    bed.undo()
    bed.delete(first)
    bed.finish()


def test_the_current_group_can_be_deleted(bed):
    bed.create("one")
    bed.write("vda", FULL)
    bed.create("two")
    bed.write("vdb", FULL)
    bed.delete("two")
    assert bed.model.current == "one"
    bed.delete("one")
    assert {path for _, path in bed.world.disks.items()} == {
        bed.disk(target).path for target in bed.model.disks
    }
    bed.finish()


def test_a_detached_disk_keeps_its_bytes_until_it_is_attached_again(bed):
    """H43: whatever is deleted, reverted or undone meanwhile."""
    bed.create("one")
    bed.write("vdb", FULL)
    bed.detach("vdb")
    bed.create("two")
    bed.revert("one")
    bed.delete("one")
    bed.undo(force=True)
    bed.delete("two")
    while bed.model.disks.keys() != {"vda", "vdb"}:
        bed.attach(0)
    bed.finish()


def test_what_a_detached_disk_stands_on_is_merged_into_its_file(bed):
    """H43: its file has to be there when somebody attaches it again."""
    bed.create("one")
    bed.write("vdb", ("P", 64 * KIB, 128 * KIB, 8))
    bed.detach("vdb")
    bed.delete("one")
    bed.attach(0)
    bed.finish()


def test_undo_keeps_what_it_cannot_bring_back_when_a_disk_was_detached_since(bed):
    """H37: the safety group stays, because the detached disk's part of it is nowhere else."""
    bed.create("one")
    bed.write("vda", FULL)
    bed.revert("one")
    kept = bed.model.safety
    bed.detach("vda")
    bed.undo()
    assert "vda" in bed.model.groups[kept].disks
    bed.revert(kept)
    bed.finish()


# --- deletes that end early, and then again -----------------------------------------------------


def test_an_unlink_that_takes_effect_and_fails_leaves_no_row(bed):
    """H44: only the sync of the folder failed (seed 3063)."""
    bed.create("one")
    bed.write("vda", FULL)
    bed.delete("one", trap=Trap(1, "error", True, method="images.remove_overlay"))
    assert bed.model.groups == {}
    bed.finish()


@pytest.mark.parametrize("is_pulled", [False, True])
def test_an_unlink_that_fails_is_left_to_the_next_delete(bed, is_pulled):
    """H44: the row that is left names a file that is there."""
    lone_layer_under_branches(bed, is_pulled=is_pulled)
    bed.delete("one", trap=Trap(1, "error", False, method="images.remove_overlay"))
    bed.finish()


def lone_layer_under_branches(bed, *, is_pulled):
    """Make a group that is merged with one on which two others stand."""
    bed.create("zero")
    bed.write("vda", ("P", 0, 64 * KIB, 3))
    bed.create("one")
    for value, target in enumerate(("vda", "vdb"), 1):
        if is_pulled:
            bed.resize(target, 512 * KIB)
        bed.write(target, ("P", 64 * KIB, 64 * KIB, value))
    bed.create("two")
    bed.write("vda", ("P", 128 * KIB, 64 * KIB, 9))
    bed.create("three")
    bed.revert("two")


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("number", "method", "failing"),
    [
        (1, "images.commit", "images.commit"),
        (2, "images.commit", "images.commit"),
        (1, "images.set_backing", "images.commit"),
        (2, "images.set_backing", "images.set_backing"),
        (1, "images.rebase", "images.rebase"),
        (1, "qemu_img", "images.rebase"),
        (2, "qemu_img", "images.rebase"),
        (3, "qemu_img", "images.rebase"),
        (3, "qemu_img", "qemu_img"),
        (1, "images.remove_overlay", "images.remove_overlay"),
    ],
)
def test_what_a_killed_merge_wrote_is_known_when_recover_fails(
    bed, number, method, failing, is_after
):
    """H1, H44: its files are not taken for changed by somebody, nor its headers for wrong."""
    lone_layer_under_branches(bed, is_pulled=failing in {"images.rebase", "qemu_img"})
    recovery = Trap(1, "error", False, method=failing)
    bed.delete("one", trap=Trap(number, "kill", is_after, recovery, method))
    for name in ("two", "three"):
        bed.revert(name)
    if "one" in bed.model.groups:
        bed.delete("one")
    assert bed.branched == {"vda", "vdb"}
    bed.finish()


# --- while the machine runs ----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["error", "signal", "kill"])
@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("toggles", [False, True], ids=["running", "off"])
def test_data_that_a_block_job_wrote_before_it_ended_change_nothing(bed, how, name, toggles):
    """H44: what is below has them already, whether QEMU goes on or the power was cut."""
    for value, group in enumerate(("one", "two"), 1):
        bed.create(group)
        for target in ("vda", "vdb"):
            bed.write(target, ("P", value * 64 * KIB, 96 * KIB, value))
    bed.start()
    bed.write("vda", ("P", 128 * KIB, 64 * KIB, 9))
    for at in (1, 2):
        if name in bed.model.groups:
            bed.delete(name, trap=Trap(at, how, True, method="block_job", toggles=toggles))
    bed.finish()


@pytest.mark.parametrize("at", [1, 2])
def test_a_header_that_a_killed_qemu_wrote_before_the_data_is_not_believed(bed, at):
    """H44: what the layer above stands on by then is committed once more."""
    for value, group in enumerate(("one", "two", "three"), 1):
        for target in ("vda", "vdb"):
            bed.write(target, ("P", value * 64 * KIB, 96 * KIB, value))
        bed.create(group)
    bed.start()
    bed.delete("one", trap=Trap(at, "kill", True, method="torn_job", toggles=True))
    assert bed.model.groups.keys() == {"two", "three"}
    bed.finish()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_running", [False, True], ids=["goes-on", "goes-off"])
@pytest.mark.parametrize(
    "method", ["images.create_overlay", "hypervisor.switch_disks", "catalog.commit"]
)
def test_a_killed_create_is_settled_although_the_machine_went_off_or_on(
    bed, method, is_running, is_after
):
    """H26, H44: by then it runs on the overlays, or would start on them."""
    bed.create("zero")
    if is_running:
        bed.start()
    bed.write("vda", FULL)
    bed.create("one", trap=Trap(1, "kill", is_after, method=method, toggles=True))
    assert bed.is_running is not is_running
    bed.finish()


def test_groups_of_a_running_machine_are_gone_back_to_once_it_is_off(bed):
    """H40: what waited on the branch that is left is merged first."""
    bed.create("root")
    bed.start()
    bed.write("vda", ("P", 0, 128 * KIB, 1))
    bed.create("left")
    bed.write("vdb", ("P", 0, 128 * KIB, 2))
    bed.create("leaf")
    bed.revert("root")
    bed.stop()
    bed.revert("root")
    bed.start()
    bed.write("vda", ("P", 64 * KIB, 128 * KIB, 3))
    bed.create("right")
    bed.delete("left", "root")
    assert bed.model.deleting() == ["left"]
    bed.stop()
    bed.finish_deletes()
    bed.revert("leaf")
    bed.finish()
