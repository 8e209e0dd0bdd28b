"""Disks that were detached, replaced, added or excluded: what a way back means for each."""

import subprocess

import pytest

from vmsnap.errors import NotAvailableError, UndoRefusedError

EXCLUDED = ("vdb",)
CDROM = "<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>"
NETWORK = (
    "<disk type='network' device='disk'><source protocol='nbd' name='n'/>"
    "<target dev='vdn' bus='virtio'/></disk>"
)


def new_image(path):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return path


def detach(world, target):
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_disks_of(machine.xml, "<domain/>", [target])


def attach(world, xml):
    world.edit("<graphics", f"{xml}<graphics")


def targets(world):
    return [disk.target for disk in world.hypervisor.domain(world.uuid).definition.disks]


def disk_xml(target, path):
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
    )


def assert_refused(world, word):
    before = (world.files(), world.rows(), world.definition())
    with pytest.raises(NotAvailableError, match=word) as caught:
        world.revert("monday")
    assert "--allow-disk-changes" in caught.value.hint
    assert (world.files(), world.rows(), world.definition()) == before


def test_a_detached_disk_refuses_and_is_attached_again_when_allowed(world):
    """H43."""
    world.create("monday")
    monday = world.machine()
    world.fill(2)
    kept = world.active("vdb")
    kept_bytes = world.read(kept)
    detach(world, "vdb")
    assert_refused(world, "vdb was detached")
    result = world.revert("monday", allow_disk_changes=True)
    assert any("disk vdb: attached again" in line for line in result.changes)
    assert world.machine() == monday
    assert world.read(kept) == kept_bytes
    world.undo()
    assert "vdb" not in targets(world)
    assert world.read(kept) == kept_bytes


def test_a_detached_disk_stays_detached_with_the_kept_definition(world):
    world.create("monday")
    monday = world.machine()
    world.fill(2)
    detach(world, "vdb")
    result = world.revert("monday", allow_disk_changes=True, keep_definition=True)
    assert any("disk vdb: stays detached" in line for line in result.changes)
    assert "vdb" not in targets(world)
    del world.disks["vdb"]
    assert world.machine() == {name: value for name, value in monday.items() if name != "vdb"}


def test_a_replaced_disk_refuses_and_comes_back_when_allowed(world):
    """H43: the image that replaced it is kept, and undo gives it back."""
    world.create("monday")
    monday = world.machine()
    world.fill(2)
    other = new_image(world.folder / "other.qcow2")
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_sources(machine.xml, {"vdb": (other, "qcow2")})
    world.write("vdb", 88)
    present = world.machine()
    assert_refused(world, "vdb was replaced")
    result = world.revert("monday", allow_disk_changes=True)
    assert any(f"disk vdb: from '{other}'" in line for line in result.changes)
    assert world.machine() == monday
    world.fill(3)
    world.undo()
    assert world.active("vdb") == other
    assert world.machine() == present


def test_an_added_disk_refuses_and_is_detached_when_allowed(world):
    """H43: its file stays, and undo attaches it again."""
    world.create("monday")
    monday = world.machine()
    world.fill(2)
    added = new_image(world.folder / "added.qcow2")
    attach(world, disk_xml("vdc", added))
    world.write("vdc", 55)
    content = world.read(added)
    assert_refused(world, "vdc was added")
    result = world.revert("monday", allow_disk_changes=True)
    assert any("disk vdc: detached" in line and str(added) in line for line in result.changes)
    assert "vdc" not in targets(world)
    assert world.machine() == monday
    assert world.read(added) == content
    world.undo()
    assert world.active("vdc") == added
    assert world.read(added) == content


def test_an_added_disk_stays_with_the_kept_definition(world):
    world.create("monday")
    added = new_image(world.folder / "added.qcow2")
    attach(world, disk_xml("vdc", added))
    world.revert("monday", allow_disk_changes=True, keep_definition=True)
    assert world.active("vdc") == added


@pytest.mark.parametrize(
    ("xml", "target"), [(CDROM, "sdb"), (NETWORK, "vdn")], ids=["cdrom", "network"]
)
def test_what_cannot_be_frozen_is_detached_in_words_and_comes_back_by_undo(world, xml, target):
    """H37: undo brings back all that the revert took away."""
    world.create("monday")
    attach(world, xml)
    before = world.definition()
    result = world.revert("monday", allow_disk_changes=True)
    assert any(f"disk {target}: detached" in line for line in result.changes)
    assert target not in targets(world)
    world.undo()
    assert targets(world) == ["vda", "vdb", "sda", target]
    assert world.ports.definitions.same(world.definition(), before)


def test_an_excluded_disk_keeps_its_present_source(world):
    world.create("monday", exclude=EXCLUDED)
    moved = new_image(world.folder / "moved.qcow2")
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_sources(machine.xml, {"vdb": (moved, "qcow2")})
    world.write("vdb", 44)
    content = world.read(moved)
    result = world.revert("monday")
    assert not any("vdb" in line for line in result.changes)
    assert world.active("vdb") == moved
    assert world.read(moved) == content


def test_a_cdrom_keeps_its_present_medium(world):
    world.create("monday")
    empty = "<disk type='file' device='cdrom'><target dev='sda'"
    world.edit(empty, empty.replace("<target", "<source file='/new.iso'/><target"))
    world.revert("monday")
    assert "/new.iso" in world.definition()


def test_a_disk_that_cannot_be_frozen_now_is_given_back_by_undo(world):
    """H37: it was made shareable since; its layer is left alone, and named again by the undo."""
    world.create("monday")
    monday = world.machine()
    world.fill(2)
    before = world.machine()
    target = "<target dev='vdb' bus='virtio'/>"
    world.edit(target, f"{target}<shareable/>")
    world.revert("monday")
    assert world.machine() == monday
    world.fill(3)
    world.undo()
    assert world.machine() == before
    assert "<shareable/>" in world.definition()


def test_a_machine_whose_active_layer_is_gone_can_be_reverted(world):
    world.create("monday")
    monday = world.machine()
    world.active("vdb").unlink()
    world.revert("monday")
    assert world.machine() == monday


@pytest.fixture
def not_kept(world):
    """What a revert from a missing layer of vdb answers, and what the machine was before that."""
    world.create("monday")
    world.fill(2)
    present = world.machine()
    world.active("vdb").unlink()
    result = world.revert("monday")
    world.fill(3)
    return result, present


def test_a_disk_whose_image_is_gone_is_said_not_to_be_kept(world, not_kept):
    """H37: a safety group that lacks a disk says so, and is no way back for it."""
    result, _present = not_kept
    (lost,) = result.not_kept
    assert lost.target == "vdb"
    assert "does not exist" in lost.reason
    assert result.can_undo is False
    (safety,) = [group for group in world.rows()[0] if group.id == result.safety.id]
    assert lost in safety.left_out
    assert [item.target for item in safety.snapshots] == ["vda"]


def test_the_row_of_a_layer_without_a_file_goes_with_the_revert(world, not_kept):
    assert all(layer.path.exists() for layer in world.rows()[2])


def test_an_undo_that_would_not_bring_a_disk_back_is_refused(world, not_kept):
    before = world.everything()
    with pytest.raises(UndoRefusedError, match="could not be kept in 'safety-") as caught:
        world.undo()
    assert "--force" in caught.value.hint
    assert world.everything() == before


def test_a_forced_undo_leaves_the_disk_that_was_not_kept_as_it_is(world, not_kept):
    _result, present = not_kept
    now = world.machine()
    result = world.undo(force=True)
    assert world.machine() == {**present, "vdb": now["vdb"]}
    assert not any("detached" in text for text in result.changes)
    assert any("vdb: stays as it is" in text for text in result.notes)
    assert result.not_kept == ()
    world.undo()
    assert world.machine() == now


def test_an_undo_onto_a_missing_image_says_that_it_could_not_be_kept(world):
    world.create("monday")
    world.fill(2)
    present = world.machine()
    world.revert("monday")
    world.active("vdb").unlink()
    result = world.undo()
    assert [item.target for item in result.not_kept] == ["vdb"]
    assert world.machine() == present


def test_without_a_safety_group_nothing_is_said_to_be_missing_from_it(world):
    world.create("monday")
    monday = world.machine()
    world.active("vdb").unlink()
    result = world.revert("monday", with_safety=False)
    assert (result.safety, result.not_kept) == (None, ())
    assert world.machine() == monday
    assert all(layer.path.exists() for layer in world.rows()[2])


def test_the_original_files_come_back_once_all_groups_are_gone(world):
    before = world.machine()
    world.create("monday")
    world.fill(2)
    world.revert("monday")
    world.delete(*(group.name for group in world.rows()[0]))
    assert {target: world.active(target) for target in world.disks} == world.disks
    assert world.machine() == before
    assert world.rows()[2] == ()
