"""Undoing the last revert or restore: it brings back what was left, and can be undone itself."""

import pytest

from vmsnap.engine.backup import create_backup, delete_backup
from vmsnap.engine.requests import CreateRequest, RestoreRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.errors import DomainRunningError, NotAvailableError, StateError, UndoRefusedError
from vmsnap.model import GroupKind, ResourceKind


@pytest.fixture
def present(world):
    """The machine as it was before a revert to 'monday', on which it has changed since."""
    world.create("monday")
    world.fill(2)
    left = world.machine()
    left["paths"] = {target: world.active(target) for target in world.disks}
    world.revert("monday")
    world.fill(3)
    return left


def paths(world):
    return {target: world.active(target) for target in world.disks}


def safeties(world):
    return [group for group in world.rows()[0] if group.kind is GroupKind.SAFETY]


def test_the_safety_groups_own_layers_become_active_again(world, present):
    """H37."""
    expected = present.pop("paths")
    (used,) = safeties(world)
    left = world.machine()
    result = world.undo()
    assert world.machine() == present
    assert paths(world) == expected
    (kept,) = safeties(world)
    assert kept.id == result.safety.id != used.id
    layers = {layer.id: layer for layer in world.rows()[2]}
    read = {item.target: world.digest(layers[item.layer_id]) for item in kept.snapshots}
    assert read == {target: left[target] for target in world.disks}
    (record,) = world.rows()[3]
    monday = world.rows()[0][0]
    assert (record.current_id, record.safety_id) == (monday.id, kept.id)


def test_the_machine_writes_on_after_an_undo_and_a_new_group_is_taken(world, present):
    del present["paths"]
    world.undo()
    world.fill(5)
    before = world.machine()
    group = world.create("tuesday").group
    assert world.group_disks(group) == {target: before[target] for target in world.disks}


def test_an_undo_can_be_undone(world, present):
    del present["paths"]
    left = world.machine()
    world.undo()
    world.undo()
    assert world.machine() == left
    world.undo()
    assert world.machine() == present


def test_a_second_undo_after_two_reverts_goes_back_to_the_undone_one(world):
    world.create("monday")
    world.fill(2)
    world.revert("monday")
    world.fill(3)
    second = world.machine()
    world.revert("monday")
    world.undo()
    assert world.machine() == second


def test_groups_that_stand_on_the_safety_layers_are_left_as_they_are(world, present):
    """H40: new layers are put on what the safety group froze; the group stays."""
    del present["paths"]
    (safety,) = safeties(world)
    world.revert(safety.name)
    world.fill(6)
    branch = world.create("branch").group
    held = world.group_disks(branch)
    world.revert("monday")
    world.undo()
    last = safeties(world)[-1]
    world.revert("monday", with_safety=False)
    record = world.rows()[3][0]
    assert record.safety_id is None
    assert world.group_disks(branch) == held
    assert last.id in {group.id for group in safeties(world)}
    world.revert(safety.name)
    assert world.machine() == present


def test_an_undo_to_a_group_that_others_stand_on_puts_overlays_on_it(world, present):
    expected = present.pop("paths")
    (safety,) = safeties(world)
    world.hypervisor.machines[world.uuid].xml = world.ports.definitions.with_sources(
        world.hypervisor.machines[world.uuid].xml,
        {
            target: (world.stacked(path, f"on-{target}"), "qcow2")
            for target, path in expected.items()
        },
    )
    world.fill(7)
    world.create("branch")
    result = world.undo(force=True)
    assert world.machine() == present
    assert not set(paths(world).values()) & set(expected.values())
    names = {group.name for group in world.rows()[0]}
    assert {safety.name, "branch", "monday", result.safety.name} == names
    assert world.rows()[3][0].current_id == safety.id


@pytest.mark.parametrize("is_mine", [True, False], ids=["own disk", "another domain"])
def test_an_image_that_somebody_put_on_a_safety_layer_reads_the_same(world, present, is_mine):
    """H28, H40: the layer is not written to again under the feet of what stands on it."""
    expected = present.pop("paths")
    clone = world.stacked(expected["vda"], "clone")
    machine = world.hypervisor.machines[world.uuid]
    xml = world.ports.definitions.with_sources(machine.xml, {"vda": (clone, "qcow2")})
    if is_mine:
        machine.xml = xml
    else:
        xml = world.ports.definitions.with_disks_of(xml, "<domain/>", ["vdb"])
        world.hypervisor.add(
            xml.replace("aaaaaaaa", "bbbbbbbb").replace(world.name, "vmsnap-test-clone")
        )
    read = world.read(clone)
    world.undo()
    assert world.machine() == present
    world.fill(8)
    assert world.active("vda") != expected["vda"]
    assert world.read(clone) == read


def test_groups_made_since_refuse_unless_it_is_forced(world, present):
    del present["paths"]
    later = world.create("later").group
    held = world.group_disks(later)
    world.fill(4)
    before = world.everything()
    with pytest.raises(UndoRefusedError, match="later") as caught:
        world.undo()
    assert "--force" in caught.value.hint
    assert world.everything() == before
    world.undo(force=True)
    assert world.machine() == present
    assert world.group_disks(later) == held
    world.revert("later")
    assert {target: world.machine()[target] for target in world.disks} == held


def test_after_a_deleted_safety_group_there_is_nothing_to_undo(world, present):
    """H37: never an older one, which would bring back what nobody asked for."""
    world.revert("monday")
    older, last = safeties(world)
    world.delete(last.name)
    assert older.id in {group.id for group in world.rows()[0]}
    before = world.everything()
    with pytest.raises(UndoRefusedError):
        world.undo()
    assert world.everything() == before


def test_without_a_revert_there_is_nothing_to_undo(world):
    world.create("monday")
    with pytest.raises(UndoRefusedError, match="no revert or restore"):
        world.undo()


def test_a_revert_without_safety_cannot_be_undone_and_neither_can_the_one_before(world, present):
    world.revert("monday", with_safety=False)
    with pytest.raises(UndoRefusedError):
        world.undo()


def test_a_running_machine_refuses(world, present):
    """H35."""
    before = (world.rows(), world.files())
    world.hypervisor.start(world.uuid)
    with pytest.raises(DomainRunningError):
        world.undo()
    assert (world.rows(), world.files()) == before


def test_a_managed_save_image_refuses(world, present):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    with pytest.raises(StateError, match="managed-save"):
        world.undo()


def test_a_damaged_safety_group_refuses(world, present):
    world.folder.joinpath(present["paths"]["vda"]).touch()
    before = (world.rows(), world.files())
    with pytest.raises(NotAvailableError, match="changed"):
        world.undo()
    assert (world.rows(), world.files()) == before


def test_a_dry_run_changes_nothing(world, present):
    before = world.everything()
    result = world.undo(dry_run=True)
    assert not result.is_done
    assert any("disk vda" in line for line in result.changes)
    assert world.everything() == before


def test_an_edit_since_the_revert_survives(world, present):
    """H58: the administrator's memory stays, the disks go back."""
    del present["paths"]
    world.edit("262144", "131072")
    result = world.undo()
    assert world.machine() == present
    assert "131072" in world.definition()
    assert result.notes


def test_the_definition_that_a_revert_replaced_comes_back(world):
    world.create("monday")
    world.edit("262144", "131072")
    world.edit("hush", "whisper")
    world.revert("monday")
    assert "262144" in world.definition()
    world.undo()
    assert "131072" in world.definition()
    assert "whisper" in world.definition()


def test_a_rename_since_the_revert_survives(world, present):
    """H58."""
    from vmsnap.engine.requests import UndoRequest
    from vmsnap.engine.undo import undo_last

    del present["paths"]
    world.hypervisor.rename(world.uuid, "vmsnap-test-renamed")
    undo_last(world.ports, world.uuid, UndoRequest())
    assert world.machine() == present
    assert world.hypervisor.domain(world.uuid).name == "vmsnap-test-renamed"


# --- of a restore -------------------------------------------------------------------------------


@pytest.fixture
def restored(world):
    """The machine before a restore of 'kept'; its disks have changed since."""
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    world.touch_firmware(7)
    left = world.machine()
    restore_backup(world.ports, world.name, "kept", RestoreRequest())
    return left


def test_a_restore_is_undone_and_the_undo_too(world, restored):
    """H37."""
    after = world.machine()
    result = world.undo()
    assert world.machine() == restored
    resources = world.rows()[1]
    assert [item.kind for item in resources] == [ResourceKind.STANDALONE, ResourceKind.SAFETY]
    assert resources[1].id == result.safety.id
    world.undo()
    assert world.machine() == after


def test_an_undone_restore_leaves_the_disks_alone(world, restored):
    world.write("vda", 9)
    disk = world.machine()["vda"]
    world.undo()
    assert world.machine() == {**restored, "vda": disk}


def test_after_a_deleted_safety_backup_there_is_nothing_to_undo(world, restored):
    safety = world.rows()[1][1]
    delete_backup(world.ports, world.name, safety.name, dry_run=False)
    with pytest.raises(UndoRefusedError):
        world.undo()


def test_a_group_made_since_the_restore_refuses(world, restored):
    world.create("later")
    with pytest.raises(UndoRefusedError, match="later"):
        world.undo()
    world.undo(force=True)
    assert world.machine()["nvram"] == restored["nvram"]
