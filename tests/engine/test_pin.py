"""Pinning groups: what is pinned is neither deleted nor ungrouped, and stays so."""

import json

import pytest
from engine.patient import codes
from engine.test_rebuild import lose_database, run

from vmsnap.engine.pin import pin_groups
from vmsnap.engine.purge import purge_domain
from vmsnap.engine.requests import PinRequest, PurgeRequest, UngroupRequest
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import GroupNotFoundError, ImageError, PinnedError, StateError
from vmsnap.model import CatalogChange, GroupKind


def pin(world, *names, **options):
    return pin_groups(world.ports, world.name, names, PinRequest(**options))


def unpin(world, *names):
    return pin(world, *names, pinned=False)


def pinned(world):
    return [group.name for group in world.rows()[0] if group.is_pinned]


def told(world):
    return [(item.operation.verb, item.operation.subject) for item in world.ports.catalog.history()]


def record_of(world):
    (path,) = world.disks["vda"].parent.glob(".*.vmsnap.json")
    return path


@pytest.fixture
def groups(world):
    """Two groups on each other."""
    world.create("one")
    world.fill(2)
    world.create("two")
    world.fill(3)
    return world


def test_groups_are_pinned_and_unpinned(groups):
    result = pin(groups, "one", "two")
    assert (result.groups, result.is_pinned, result.is_done) == (("one", "two"), True, True)
    assert pinned(groups) == ["one", "two"]
    result = unpin(groups, groups.rows()[0][0].id[:8])
    assert (result.groups, result.is_pinned, result.is_done) == (("one",), False, True)
    assert pinned(groups) == ["two"]
    assert told(groups)[2:] == [("group pin", "one, two"), ("group unpin", "one")]


def test_what_is_so_already_is_said_and_no_operation(groups):
    pin(groups, "one")
    history = told(groups)
    result = pin(groups, "one", "one")
    assert (result.groups, result.is_done) == ((), False)
    assert result.notes == ("group 'one' is pinned already",)
    assert unpin(groups, "two").notes == ("group 'two' is not pinned",)
    assert told(groups) == history
    assert pin(groups, "one", "two").groups == ("two",)


def test_a_dry_run_changes_nothing(groups):
    before = groups.everything()
    result = pin(groups, "one", dry_run=True)
    assert (result.groups, result.is_done) == (("one",), False)
    assert groups.everything() == before


def test_a_group_that_is_not_there_is_refused_before_any_other_is_pinned(groups):
    with pytest.raises(GroupNotFoundError):
        pin(groups, "one", "three")
    assert pinned(groups) == []


def test_a_group_that_is_being_deleted_can_be_unpinned_and_not_pinned(groups):
    (one, _) = groups.rows()[0]
    groups.ports.catalog.apply(CatalogChange(deleting=(one.id,)))
    with pytest.raises(StateError, match="'deleting'"):
        pin(groups, "one")
    groups.ports.catalog.apply(CatalogChange(pins={one.id: True}))
    assert unpin(groups, "one").is_done


@pytest.mark.parametrize("is_running", [True, False])
def test_it_needs_neither_a_machine_that_is_off_nor_one_that_is_defined(groups, is_running):
    if is_running:
        groups.hypervisor.start(groups.uuid)
    else:
        groups.hypervisor.undefine(groups.uuid)
    calls = len(groups.hypervisor.calls)
    assert pin(groups, "one").is_done
    changing = {"define", "switch_disks", "suspend", "merge_live"}
    assert not changing & {call[0] for call in groups.hypervisor.calls[calls:]}


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.delete("two"),
        lambda world: world.delete("two", dry_run=True),
        lambda world: world.delete("one", "two"),
        lambda world: world.delete("one", with_children=True),
        lambda world: ungroup(world.ports, world.name, "two", UngroupRequest()),
    ],
    ids=["delete", "dry run", "beside", "children", "ungroup"],
)
def test_a_pinned_group_is_refused_before_anything_changes(groups, end):
    """H42."""
    pin(groups, "two")
    before = groups.everything()
    with pytest.raises(PinnedError, match=r"group 'two' of domain '.*' is pinned") as caught:
        end(groups)
    assert (caught.value.exit_code, caught.value.code) == (14, "pinned")
    assert caught.value.hint == f"vmsnap group unpin {groups.name} two"
    assert groups.everything() == before
    unpin(groups, "two")
    end(groups)


def test_several_pinned_groups_are_named(groups):
    pin(groups, "one", "two")
    with pytest.raises(PinnedError, match=r"groups 'one', 'two' of domain '.*' are pinned"):
        groups.delete("one", "two")


def test_a_group_beside_it_is_deleted_and_it_keeps_its_content(groups):
    view = groups.create("three").group
    groups.fill(4)
    pin(groups, "three")
    held = groups.group_disks(view)
    groups.delete("one", "two")
    layers = {layer.id: layer for layer in groups.rows()[2]}
    (left,) = groups.rows()[0]
    assert {item.target: groups.digest(layers[item.layer_id]) for item in left.snapshots} == held
    assert left.is_pinned


def test_what_a_delete_has_begun_is_finished_although_it_is_pinned(groups, monkeypatch):
    """A purge that could not finish, and then the domain was defined again."""

    def fail(*_arguments, **_options):
        raise ImageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(groups.ports.images), "commit", fail)
        patch.setattr(type(groups.ports.images), "rebase", fail)
        assert not groups.delete("one").is_complete
    (one, _) = groups.rows()[0]
    groups.ports.catalog.apply(CatalogChange(pins={one.id: True}))
    assert groups.delete("one").is_complete


def test_a_purge_names_those_that_are_pinned(groups):
    pin(groups, "two")
    groups.hypervisor.undefine(groups.uuid)
    result = purge_domain(groups.ports, groups.name, PurgeRequest(dry_run=True))
    assert result.pinned == ("two",)
    assert purge_domain(groups.ports, groups.name, PurgeRequest()).is_complete


def test_an_undo_leaves_a_safety_group_that_is_pinned(groups):
    there = groups.machine()
    groups.revert("one")
    safety = next(item.name for item in groups.rows()[0] if item.kind is GroupKind.SAFETY)
    pin(groups, safety)
    groups.fill(5)
    groups.undo()
    assert groups.machine() == there
    assert pinned(groups) == [safety]
    unpin(groups, safety)
    assert codes(groups) == []


def test_a_pin_comes_back_with_a_rebuild(groups):
    pin(groups, "one")
    assert codes(groups) == [], "its record is neither stale nor another version's"
    world = lose_database(groups)
    run(world)
    assert pinned(world) == ["one"]
    assert codes(world) == []


def test_a_record_without_a_pin_is_as_earlier_versions_write_and_read_it(groups):
    before = json.loads(record_of(groups).read_text())
    assert before["format"] == 1
    assert all("is_pinned" not in group for group in before["groups"])
    pin(groups, "one")
    record = json.loads(record_of(groups).read_text())
    assert (record["format"], [group["is_pinned"] for group in record["groups"]]) == (
        2,
        [True, False],
    )
    unpin(groups, "one")
    assert json.loads(record_of(groups).read_text()) == before | {
        "generation": before["generation"] + 2
    }
