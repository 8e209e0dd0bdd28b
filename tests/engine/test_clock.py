"""A clock that is set back between two operations: nothing is mixed up or left out."""

from datetime import timedelta

import pytest

from vmsnap.engine.history import list_history
from vmsnap.engine.listing import group_tree, list_groups
from vmsnap.engine.requests import RestoreRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.errors import UndoRefusedError

BACK = {"an hour": timedelta(hours=1), "a year": timedelta(days=365)}


@pytest.fixture(params=BACK)
def turned(world, request):
    """Three groups on each other; after each the clock is set back."""
    for value, name in enumerate(("one", "two", "three"), start=1):
        world.fill(value)
        world.create(name)
        world.ports.clock.time -= BACK[request.param]
    world.fill(9)
    return world


def names_in(nodes):
    """The names of all groups of a tree."""
    return [name for node in nodes for name in (node.view.group.name, *names_in(node.children))]


def names(world):
    return {group.name for group in world.rows()[0]}


def test_all_children_are_deleted_although_they_look_older(turned):
    """H42: those that stand on it, and no others."""
    turned.delete("two", with_children=True)
    assert names(turned) == {"one"}


def test_a_revert_is_undone_although_older_groups_look_as_if_they_were_made_since(turned):
    """H37."""
    before = turned.machine()
    turned.revert("one")
    assert turned.machine() != before
    turned.ports.clock.time -= timedelta(days=365)
    turned.undo()
    assert turned.machine() == before


def test_a_restore_is_undone_although_older_groups_look_as_if_they_were_made_since(turned):
    """H37."""
    before = turned.machine()
    restore_backup(turned.ports, turned.name, "one", RestoreRequest())
    assert turned.machine() != before
    turned.undo()
    assert turned.machine() == before


def test_a_group_that_was_made_since_refuses_although_it_looks_older(turned):
    """H37: and so does one that stands on it once that was deleted."""
    turned.revert("one")
    for name in ("four", "five"):
        turned.ports.clock.time -= timedelta(days=1000)
        turned.create(name)
        with pytest.raises(UndoRefusedError, match=name):
            turned.undo()
    turned.delete("four")
    with pytest.raises(UndoRefusedError, match="five"):
        turned.undo()
    turned.delete("five")
    turned.undo()


@pytest.mark.parametrize("is_later_first", [True, False])
def test_an_undo_knows_what_was_made_since_also_when_groups_below_are_gone(turned, is_later_first):
    """H37: a delete moves what the machine stands on, and what it stood on then."""
    before = turned.machine()
    turned.revert("two")
    if is_later_first:
        turned.create("four")
    turned.delete("two")
    if not is_later_first:
        turned.undo()
        assert turned.machine() == before
        return
    with pytest.raises(UndoRefusedError, match="four"):
        turned.undo()
    turned.delete("four")
    turned.undo()
    assert turned.machine() == before


def test_the_history_names_the_group_that_a_create_made(turned):
    """It is called by the time of the day, and older ones look newer."""
    made = turned.create().group.group.name
    lines = list_history(turned.ports, turned.name, limit=50).lines
    assert made in {line.entry.operation.subject for line in lines}


def test_lists_and_trees_show_every_group_once(turned):
    turned.revert("one")
    turned.create("four")
    listed = [view.group.name for view in list_groups(turned.ports, turned.name).groups]
    assert sorted(listed) == sorted(names(turned))
    assert sorted(names_in(group_tree(turned.ports, turned.name).roots)) == sorted(listed)


def test_two_safety_groups_of_one_second_have_two_names(turned):
    """H37, H51: a clock that is set back gives the same second twice."""
    began = turned.ports.clock.time
    for name in ("one", "two", "one"):
        turned.ports.clock.time = began
        turned.revert(name)
    assert len([name for name in names(turned) if name.startswith("safety-")]) == 3
