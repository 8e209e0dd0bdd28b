"""A clock that is set back between two operations: nothing is mixed up or left out."""

from datetime import timedelta

import pytest

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


def names(world):
    return {group.name for group in world.rows()[0]}


def test_all_children_are_deleted_although_they_look_older(turned):
    """H42: those that stand on it, and no others."""
    turned.delete("two", with_children=True)
    assert names(turned) == {"one"}


def test_a_revert_and_its_undo_know_their_groups_by_more_than_their_time(turned):
    """H37: it may have to be forced, since older groups look as if they were made since."""
    before = turned.machine()
    turned.revert("one")
    assert turned.machine() != before
    turned.ports.clock.time -= timedelta(days=365)
    turned.undo(force=True)
    assert turned.machine() == before


def test_two_safety_groups_of_one_second_have_two_names(turned):
    """H37, H51: a clock that is set back gives the same second twice."""
    began = turned.ports.clock.time
    for name in ("one", "two", "one"):
        turned.ports.clock.time = began
        turned.revert(name)
    assert len([name for name in names(turned) if name.startswith("safety-")]) == 3
