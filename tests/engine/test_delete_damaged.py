"""Deletes that merge a layer which somebody wrote to: what is damaged stays so, nothing else is."""

import subprocess

import pytest
from engine.pruning import NOTHING, prune
from engine.test_rebuild import lose_database
from engine.test_rebuild import run as rebuild
from fakes.dying import KilledError, die
from fakes.failing import Failing, raising

from vmsnap.engine.check import check_groups
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import UngroupRequest
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import ImageError

NAMES = ("one", "two", "three", "four")
WRITTEN = "what was written to '{}' after it was frozen is merged too"


@pytest.fixture
def four(world):
    """Four groups on each other; the layer of the second one's vda was written to since."""
    for value, name in enumerate(NAMES, start=1):
        world.fill(value)
        world.create(name)
    world.fill(9)
    scribble(frozen(world, "two"))
    return world


def frozen(world, name, target="vda"):
    layers = {layer.id: layer for layer in world.rows()[2]}
    (group,) = [group for group in world.rows()[0] if group.name == name]
    return layers[group.snapshot(target).layer_id].path


def scribble(path, format_="qcow2"):
    command = ["qemu-io", "-f", format_, "-c", "write -q -P 0x77 0 64k", path]
    subprocess.run(command, check=True)


def damaged(world):
    """Name the groups that are not what they were made as."""
    checks = check_groups(world.ports, world.name, None, only_damage=True)
    codes = {check.group.name: {reason.code for reason in check.reasons} for check in checks}
    return [name for name, found in codes.items() if "layer_changed" in found]


def killed(world, monkeypatch, verb):
    with monkeypatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        with pytest.raises(KilledError):
            verb(world)


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (("one",), ["two", "three", "four"]),
        (("two",), ["three", "four"]),
        (("three",), ["two", "four"]),
        (("one", "two"), ["three", "four"]),
        (("two", "three"), ["four"]),
        (("two", "three", "four"), []),
    ],
    ids=lambda value: "-".join(value) or "none",
)
def test_groups_that_read_a_changed_layer_stay_damaged(four, gone, left):
    """H59: whether it is merged into, or what was written to it gets into another one."""
    assert damaged(four) == ["two", "three", "four"]
    path, before = frozen(four, "two"), four.machine()
    result = four.delete(*gone)
    assert result.is_complete
    assert damaged(four) == left
    assert any(WRITTEN.format(path) in note for note in result.notes) is (gone != ("three",))
    assert path.exists(), "what somebody wrote to is never thrown away"
    assert four.machine() == before


def test_one_delete_after_another_keeps_the_mark(four):
    for count, name in enumerate(NAMES, start=1):
        four.delete(name)
        assert damaged(four) == [item for item in NAMES[count:] if item != "one"]
    four.create("since")
    assert damaged(four) == [], "it holds what the machine reads, whatever that is"


def test_a_dry_run_says_that_a_changed_layer_would_be_merged(four):
    path = frozen(four, "two")
    result = four.delete("one", dry_run=True)
    assert [note for note in result.notes if WRITTEN.format(path) in note]


def test_a_layer_of_damaged_groups_that_nobody_wrote_to_goes_with_them(four):
    kept = frozen(four, "two")
    four.delete(*NAMES)
    assert set(four.folder.glob("pool-*/*vmsnap-*")) == {kept, four.active("vda")}


def test_what_prune_leaves_counts_for_no_rule_after_it_either(four):
    result = prune(four, **NOTHING)
    assert damaged(four) == ["two", "three", "four"]
    assert [note for note in result.notes if "stays damaged" in note]
    again = prune(four, last=1)
    assert [item.point.name for item in again.going] == []


def test_a_snapshot_of_one_disk_leaves_the_others_damaged(four):
    ungroup(four.ports, four.name, "one", UngroupRequest())
    four.delete(singles=("one/vda",))
    assert damaged(four) == ["two", "three", "four"]


def test_a_sibling_that_was_written_to_keeps_its_mark_when_its_header_is_changed(world):
    """H40: two layers stand on the one that is merged away; one of them was written to."""
    for name in ("one", "two", "three"):
        world.create(name)
        world.fill(2)
    world.revert("two")
    world.create("branch")
    scribble(frozen(world, "branch"))
    assert damaged(world) == ["branch"]
    world.delete("one")
    assert damaged(world) == ["branch"]


def test_a_running_machine_waits_and_recover_keeps_the_mark(four):
    four.hypervisor.start(four.uuid)
    assert not four.delete("one").is_complete
    four.hypervisor.stop(four.uuid)
    path = frozen(four, "two")
    (result,) = recover_all(four.ports, dry_run=False)
    assert result.outcome == "finished"
    assert [text for text in four.ports.reporter.warnings if WRITTEN.format(path) in text]
    assert damaged(four) == ["two", "three", "four"]


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_a_kill_within_a_merge_neither_hides_a_damage_nor_makes_one(
    four, monkeypatch, name, is_after
):
    """H44: which layer was whole is known from before the merge, whatever is half done."""
    images = Failing(four.ports.images, "rebase", raising(KilledError()), is_after=is_after)
    killed(four.with_ports(images=images), monkeypatch, lambda seen: seen.delete(name))
    (result,) = recover_all(four.ports, dry_run=False)
    assert result.outcome == "finished"
    assert damaged(four) == [item for item in NAMES[1:] if item != name]


def test_a_merge_that_fails_neither_hides_a_damage_nor_makes_one(four):
    images = Failing(four.ports.images, "rebase", raising(ImageError("no space")))
    assert not four.with_ports(images=images).delete("two").is_complete
    assert not [layer for layer in four.rows()[2] if layer.facts and layer.facts.is_damaged]
    assert four.delete("two").is_complete
    assert damaged(four) == ["three", "four"]


def test_a_layer_that_took_in_a_part_of_what_was_written_is_damaged_for_good(four):
    """H44: though the merge failed then, and the changed layer may be put back."""
    changed, after = frozen(four, "two"), frozen(four, "three")

    def break_off():
        scribble(after)
        raise ImageError("no space")

    images = Failing(four.ports.images, "rebase", break_off)
    assert not four.with_ports(images=images).delete("two").is_complete
    marked = {layer.path for layer in four.rows()[2] if layer.facts and layer.facts.is_damaged}
    assert marked == {after}
    assert changed not in marked


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_rebuilt_database_knows_the_damage(four, name):
    """H36: the records beside the images say it too."""
    four.delete(name)
    world = lose_database(four)
    rebuild(world)
    assert damaged(world) == [item for item in NAMES[1:] if item != name]


def test_what_stands_on_a_layer_that_the_machine_got_back_stays_damaged(world):
    """H41: somebody gave a disk a frozen layer, and then the group that knew it is deleted."""
    for value, name in enumerate(NAMES, start=1):
        world.fill(value)
        world.create(name)
    layer = frozen(world, "two")
    world.edit(str(world.active("vda")), str(layer))
    world.delete("two")
    assert damaged(world) == ["three", "four"]
    scribble(layer)
    assert damaged(world) == ["three", "four"]
    world.create("five")
    assert damaged(world) == ["three", "four"]
    world.delete("three")
    assert damaged(world) == ["four"]
    world.delete("four", "five")
    assert damaged(world) == []
