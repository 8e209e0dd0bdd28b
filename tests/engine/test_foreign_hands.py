"""What others do to a machine between vmsnap's verbs, and must not cost anybody's data."""

import pytest

from vmsnap.engine.check import check_groups
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.requests import DeleteRequest, RevertRequest, UndoRequest
from vmsnap.engine.revert import revert_group
from vmsnap.engine.undo import undo_last
from vmsnap.errors import NotAvailableError, StateError
from vmsnap.model import Capture, ForeignSnapshot, HostFileType

TPM_XML = '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>'


def revert(world, name, **options):
    return revert_group(world.ports, world.name, name, RevertRequest(**options))


def delete(world, *names):
    return delete_groups(world.ports, world.name, names, DeleteRequest())


def codes(world, name):
    (check,) = check_groups(world.ports, world.name, name)
    return {reason.code for reason in check.reasons}


@pytest.fixture
def monday(world):
    """A machine with a group, that has changed since."""
    world.create("monday")
    world.fill(2)
    return world


def give_back(world, target):
    """Let somebody define the disk's original image again."""
    world.edit(str(world.active(target)), str(world.disks[target]))


# --- host files that today's definition does not name -----------------------------------------


def test_a_tpm_state_that_the_definition_does_not_name_is_not_overwritten(monday):
    """H15, H37: no safety group would hold it."""
    monday.edit(TPM_XML, "")
    before = monday.everything()
    with pytest.raises(NotAvailableError, match="does not name it") as refused:
        revert(monday, "monday")
    assert refused.value.hint.startswith("mv ")
    assert monday.everything() == before
    monday.tpm.rename(monday.tpm.with_name("tpm2.old"))
    revert(monday, "monday")
    assert (monday.tpm / "tpm2-00.permall").read_bytes() == bytes([1]) * 100


def test_an_nvram_at_a_former_path_is_not_overwritten(monday):
    """H37: today's NVRAM lies elsewhere, and only that one is kept."""
    moved = monday.nvram.with_name("elsewhere.fd")
    moved.write_bytes(b"today")
    monday.edit(f">{monday.nvram}<", f">{moved}<")
    with pytest.raises(NotAvailableError, match=r"web_VARS\.fd"):
        revert(monday, "monday")
    assert monday.nvram.read_bytes() == bytes([2]) * 4096


def test_an_unnamed_file_that_is_what_the_group_holds_is_no_obstacle(monday):
    monday.touch_firmware(1)
    monday.edit(TPM_XML, "")
    revert(monday, "monday")
    assert TPM_XML in monday.definition()


# --- libvirt's own snapshots --------------------------------------------------------------------


def test_a_libvirt_snapshot_keeps_its_layers(monday):
    """H41: merging would unlink the file that holds its point."""
    kept = (monday.disks["vda"],)
    snapshot = ForeignSnapshot("ext1", is_external=True, kept_paths=kept)
    monday.hypervisor.machines[monday.uuid].foreign_snapshots = (snapshot,)
    before = monday.everything()
    with pytest.raises(StateError, match="ext1"):
        delete(monday, "monday")
    assert monday.everything() == before


# --- a disk that was given a frozen layer back ----------------------------------------------------


def test_a_frozen_layer_in_use_is_found_and_can_be_left(monday):
    """H43: a definition of before was put back, and nothing written."""
    friday = monday.machine()
    give_back(monday, "vda")
    assert codes(monday, "monday") == {"disk_on_frozen_layer"}
    with pytest.raises(NotAvailableError, match="frozen layer"):
        revert(monday, "monday")
    revert(monday, "monday", allow_disk_changes=True)
    assert codes(monday, "monday") == set()
    assert monday.machine()["vda"] != friday["vda"]
    undo_last(monday.ports, monday.name, UndoRequest())


def test_a_snapshot_can_stand_on_a_frozen_layer_in_use(monday):
    give_back(monday, "vda")
    before = monday.machine()
    monday.create("tuesday")
    assert monday.machine() == before
    monday.fill(3)
    assert codes(monday, "monday") == set()
    delete(monday, "monday", "tuesday")
    assert monday.machine()["nvram"] == bytes([3]) * 4096


def test_what_was_written_to_a_frozen_layer_survives_the_delete_of_its_groups(monday):
    """H40, H44: the newest data are in the original image again."""
    give_back(monday, "vda")
    monday.write("vda", 6)
    newest = monday.machine()
    assert "layer_changed" in codes(monday, "monday")
    with pytest.raises(StateError, match="has written to"):
        monday.create("tuesday")
    result = delete(monday, "monday")
    assert result.is_complete
    assert monday.machine() == newest
    assert monday.active("vda") == monday.disks["vda"]
    assert any("does not use it now" in note for note in result.notes)
    monday.create("tuesday")
    assert codes(monday, "tuesday") == set()


def test_a_stale_layer_is_not_committed_over_newer_data(monday):
    """H44: the overlay was put back after its base had been written to."""
    overlay = monday.active("vda")
    give_back(monday, "vda")
    monday.write("vda", 6)
    newest = monday.read(monday.disks["vda"])
    monday.edit(str(monday.disks["vda"]), str(overlay))
    stale = monday.machine()
    assert delete(monday, "monday").is_complete
    assert monday.machine() == stale
    assert monday.read(monday.disks["vda"]) == newest


# --- what is said ---------------------------------------------------------------------------------


def test_undo_says_what_it_cannot_give_back(world):
    """H18: when the safety group was made, there were no files yet."""
    world.create("monday")
    world.nvram.unlink()
    revert(world, "monday")
    result = undo_last(world.ports, world.name, UndoRequest())
    assert any(note.startswith("nvram: stays as it is") for note in result.notes)


def test_a_revert_says_that_the_saved_ram_goes(monday):
    """H27."""
    monday.hypervisor.start(monday.uuid)
    monday.hypervisor.save(monday.uuid)
    with pytest.raises(StateError) as refused:
        revert(monday, "monday")
    assert "--drop-managed-save" in refused.value.hint
    result = revert(monday, "monday", drop_managed_save=True)
    assert any("RAM" in line for line in result.changes)


def test_the_hint_names_the_flags_that_would_go_on(world):
    world.create("monday", without=frozenset(HostFileType))
    group = world.rows()[0][0]
    assert group.resource.backup(HostFileType.TPM).capture is Capture.SKIPPED
    with pytest.raises(NotAvailableError) as refused:
        revert(world, "monday")
    assert refused.value.hint == "--leave nvram --leave tpm"
