"""Listing groups and drawing their tree."""

import pytest
from engine.conftest import DISK_BYTES, DOMAIN_XML, disk_xml, qemu_img

from vmsnap.engine.check import check_groups
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


def test_a_renamed_machine_is_listed_under_its_name_of_today(world):
    world.create("monday")
    world.hypervisor.rename(world.uuid, "vmsnap-test-new")
    for text in (world.name, "vmsnap-test-new", world.uuid[:9]):
        (view,) = list_groups(world.ports, text).groups
        assert view.group.resource.domain_name == "vmsnap-test-new"
        assert view.domain_state == "shut off"
    assert group_tree(world.ports, world.name).domain_name == "vmsnap-test-new"


def test_the_state_of_another_hosts_machine_is_not_known(world):
    """H61."""
    world.create("monday")
    world.hypervisor.host = HostId("99999999-2222-4333-8444-555555555555")
    world.hypervisor.rename(world.uuid, "vmsnap-test-new")
    (view,) = list_groups(world.ports, None, all_hosts=True).groups
    assert (view.domain_state, view.group.resource.domain_name) == (None, world.name)


def test_a_machine_defined_anew_with_other_disks_has_old_and_new_groups(world):
    """H43: the old disks are not the machine's until it is reverted; each keeps its content."""
    old = world.create("old").group
    held = world.group_disks(old)
    world.hypervisor.undefine(world.uuid)
    sources = {}
    for target, path in world.disks.items():
        sources[target] = (path.with_stem("new"), path.suffix[1:])
        qemu_img("create", "-q", "-f", path.suffix[1:], sources[target][0], DISK_BYTES)
    xml = DOMAIN_XML.format(
        name=world.name,
        uuid=world.uuid,
        nvram=world.nvram,
        disks="".join(disk_xml(target, *source) for target, source in sources.items()),
    )
    world.hypervisor.add(xml.replace("'", '"'))
    (check,) = check_groups(world.ports, world.name, None)
    assert {reason.code for reason in check.reasons} == {"disk_replaced"}
    world.create("new")
    world.fill(7)
    machine = world.machine()
    assert [view.group.name for view in list_groups(world.ports, world.name).groups] == [
        *("old", "new")
    ]
    # The new disks are in a group, so that a revert to the old ones loses nothing.
    assert all(item.is_available for item in check_groups(world.ports, world.name, None))
    assert world.group_disks(old) == held
    world.revert("old")
    assert {target: world.machine()[target] for target in held} == held
    world.undo()
    assert world.machine() == machine
    safety = [view.group.name for view in list_groups(world.ports, None).groups][2:]
    assert world.delete("old", "new", *safety).is_complete
    assert world.machine() == machine
    assert {target: world.active(target) for target in sources} == {
        target: path for target, (path, _) in sources.items()
    }
