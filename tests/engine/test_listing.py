"""Listing groups and drawing their tree."""

import pytest

from vmsnap.engine.listing import group_tree, list_groups, show_group
from vmsnap.errors import DomainNotFoundError, GroupNotFoundError
from vmsnap.model import HostId


def names(nodes):
    return {node.view.group.name: names(node.children) for node in nodes}


def test_groups_are_listed_oldest_first_with_their_space(world):
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    views = list_groups(world.ports, world.name).groups
    assert [view.group.name for view in views] == ["monday", "tuesday"]
    assert [view.is_current for view in views] == [False, True]
    for view in views:
        assert view.size_bytes > sum(disk.size_bytes for disk in view.disks) > 0
    first, second = views
    assert first.disks[0].frozen_path == world.disks["vda"]
    assert first.disks[0].active_path == second.disks[0].frozen_path
    assert second.disks[0].active_path == world.active("vda")


def test_one_group_is_shown(world):
    world.create("monday", description="before the upgrade")
    view = show_group(world.ports, world.name, "monday")
    assert view.group.resource.description == "before the upgrade"
    with pytest.raises(GroupNotFoundError):
        show_group(world.ports, world.name, "tuesday")


def test_listing_changes_nothing(world):
    world.create("monday")
    before = world.everything()
    list_groups(world.ports, None)
    group_tree(world.ports, world.name)
    assert world.everything() == before


def test_the_groups_of_a_machine_that_is_gone_are_still_listed(world):
    world.create("monday")
    world.hypervisor.undefine(world.uuid)
    assert len(list_groups(world.ports, world.name).groups) == 1
    with pytest.raises(DomainNotFoundError):
        list_groups(world.ports, "nobody")


def test_another_hosts_groups_are_listed_only_when_asked_for(world):
    """H61."""
    world.create("monday")
    world.hypervisor.host = HostId("99999999-2222-4333-8444-555555555555")
    assert list_groups(world.ports, None).groups == ()
    (view,) = list_groups(world.ports, None, all_hosts=True).groups
    # The same path on this host is another file.
    assert all(disk.size_bytes == 0 for disk in view.disks)


def test_the_tree_has_branches_and_says_where_the_machine_stands(world):
    world.create("one")
    world.create("two")
    world.revert("one")
    world.create("branch")
    tree = group_tree(world.ports, world.name)
    safety = next(group.name for group in world.rows()[0] if group.name.startswith("safety"))
    assert names(tree.roots) == {"one": {"two": {safety: {}}, "branch": {}}}
    assert tree.stands_on_nothing is False
    assert tree.current_size_bytes > 0


def test_a_machine_whose_groups_are_gone_stands_on_nothing(world):
    world.create("one")
    world.delete("one")
    tree = group_tree(world.ports, world.name)
    assert tree.roots == ()
    assert tree.stands_on_nothing
