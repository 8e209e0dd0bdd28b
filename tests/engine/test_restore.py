"""Restoring the host files of a backup on a machine that is shut off."""

import os
import sqlite3
import stat

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.backup import create_backup
from vmsnap.engine.requests import CreateRequest, RestoreRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.errors import (
    BackupNotFoundError,
    DomainRunningError,
    HostFileChangedError,
    HostFileError,
    LibvirtError,
    NotAvailableError,
    StateError,
)
from vmsnap.model import Capture, HostFileType, ResourceKind

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM
TPM_XML = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


def keep(world, **options):
    return create_backup(world.ports, world.name, CreateRequest(name="kept", **options))


def restore(world, name="kept", **options):
    return restore_backup(world.ports, world.name, name, RestoreRequest(**options))


@pytest.fixture
def kept(world):
    """The machine when a backup was made; everything has changed since."""
    keep(world)
    before = world.machine()
    world.fill(2)
    return before


def test_the_host_files_come_back_and_the_disks_stay(world, kept):
    present = world.machine()
    definition = world.definition()
    restore(world)
    assert world.machine() == {**present, "nvram": kept["nvram"], "tpm": kept["tpm"]}
    assert world.definition() == definition
    assert world.journals() == ()
    world.hypervisor.start(world.uuid)


def test_the_present_is_kept_first_as_a_safety_backup(world, kept):
    """H37."""
    present = world.machine()
    result = restore(world)
    safety = next(item for item in world.rows()[1] if item.kind is ResourceKind.SAFETY)
    assert result.safety.id == safety.id == world.rows()[3][0].safety_id
    nvram = safety.backup(NVRAM)
    assert world.ports.catalog.content(nvram.digest) == present["nvram"]
    assert safety.backup(TPM).capture is Capture.CAPTURED


@pytest.mark.parametrize("type_", HostFileType)
def test_only_one_type_is_restored_when_asked_for(world, kept, type_):
    present = world.machine()
    restore(world, only=frozenset({type_}))
    assert world.machine() == {**present, type_.value: kept[type_.value]}


def test_a_groups_backup_is_restored_by_the_groups_name_and_not_used_up(world):
    """H14."""
    world.create("monday")
    before = world.machine()
    for value in (2, 3):
        world.touch_firmware(value)
        restore(world, "monday")
        assert world.machine() == before
    assert world.rows()[0][0].resource.backup(NVRAM).capture is Capture.CAPTURED


def test_owner_and_mode_are_put_back(world):
    """H39."""
    os.chown(world.nvram, 1234, 1235)
    world.nvram.chmod(0o640)
    keep(world)
    os.chown(world.nvram, 0, 0)
    restore(world)
    status = world.nvram.stat()
    assert (status.st_uid, status.st_gid) == (1234, 1235)
    assert stat.S_IMODE(status.st_mode) == 0o640


def test_another_machine_of_the_same_name_does_not_get_the_backup(world, kept):
    """H45: undefined and made anew, it has another UUID and another TPM."""
    machine = world.hypervisor.machines.pop(world.uuid)
    world.hypervisor.add(machine.xml.replace("aaaaaaaa", "cccccccc"))
    left = (world.tpm / "tpm2-00.permall").read_bytes()
    with pytest.raises(BackupNotFoundError):
        restore(world)
    assert (world.tpm / "tpm2-00.permall").read_bytes() == left


def test_a_nvram_is_restored_to_the_path_of_today(world, kept):
    """H45."""
    moved = world.nvram.with_name("moved.fd")
    world.edit(str(world.nvram), str(moved))
    left = world.nvram.read_bytes()
    restore(world)
    assert moved.read_bytes() == kept["nvram"]
    assert world.nvram.read_bytes() == left


def test_an_absent_type_removes_the_live_file_only_where_today_has_none_either(world):
    """H15, H45: a TPM that the machine has today is never taken away by a backup."""
    world.edit(TPM_XML, "")
    keep(world)
    world.edit("<graphics", f"{TPM_XML}<graphics")
    before = world.everything()
    with pytest.raises(NotAvailableError, match="tpm"):
        restore(world)
    assert world.everything() == before


@pytest.mark.parametrize("type_", HostFileType)
def test_what_was_skipped_refuses(world, type_):
    """H15."""
    keep(world, without=frozenset({type_}))
    world.touch_firmware(2)
    before = world.everything()
    with pytest.raises(NotAvailableError, match=type_.value) as caught:
        restore(world)
    assert "--only" in caught.value.hint
    assert world.everything() == before


def test_what_was_not_created_yet_refuses(world):
    """H15, H18."""
    live = world.nvram.read_bytes()
    world.nvram.unlink()
    keep(world)
    world.nvram.write_bytes(live)
    with pytest.raises(NotAvailableError, match="not_created"):
        restore(world)
    assert world.nvram.read_bytes() == live


def test_what_was_gone_comes_back_without_the_promise_that_undo_takes_it_away(world):
    keep(world)
    world.nvram.unlink()
    plan = restore(world, only=frozenset({NVRAM}))
    assert not plan.can_undo
    assert plan.notes == ("nvram: there was none yet; 'vmsnap undo' cannot take it away",)


def test_a_damaged_content_refuses_before_anything_changes(world, kept):
    digest = world.rows()[1][0].backup(TPM).digest
    path = world.folder / "state" / "vmsnap.db"
    with sqlite3.connect(path) as database:
        database.execute("update content_chunk set data = x'00' where sha256 = ?", [digest])
    database.close()
    before = world.everything()
    world.hypervisor.calls.clear()
    with pytest.raises(NotAvailableError, match="damaged"):
        restore(world)
    assert "define" not in {call[0] for call in world.hypervisor.calls}
    assert world.everything() == before
    restore(world, only=frozenset({NVRAM}))


def test_a_tpm_secret_that_is_not_defined_refuses(world):
    """H20."""
    identity = "5ec2e700-0000-4000-8000-000000000001"
    world.edit(
        "<backend type='emulator' version='2.0'/>",
        f"<backend type='emulator' version='2.0'><encryption secret='{identity}'/></backend>",
    )
    keep(world)
    with pytest.raises(NotAvailableError, match=identity):
        restore(world)
    restore(world, only=frozenset({NVRAM}))
    world.hypervisor.secrets.add(identity)
    restore(world)


def test_a_running_machine_refuses_before_anything_changes(world, kept):
    """H35."""
    before = world.everything()
    world.hypervisor.start(world.uuid)
    world.hypervisor.calls.clear()
    with pytest.raises(DomainRunningError):
        restore(world)
    assert "define" not in {call[0] for call in world.hypervisor.calls}
    assert world.everything() == before


def test_a_managed_save_image_refuses(world, kept):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    with pytest.raises(StateError, match="managed-save"):
        restore(world)


def test_a_machine_started_between_the_check_and_the_fence_is_left_alone(world, kept):
    """H26, H55."""
    before = world.everything()
    world.hypervisor.on("define", lambda: world.hypervisor.start(world.uuid))
    with pytest.raises(DomainRunningError):
        restore(world)
    world.hypervisor.stop(world.uuid)
    assert world.everything() == before


def test_the_machine_cannot_be_started_meanwhile(world, kept):
    """H55."""

    def start():
        with pytest.raises(LibvirtError, match="interrupted-run-vmsnap-recover"):
            world.hypervisor.start(world.uuid)

    for method in ("stage", "exchange", "discard"):
        world = world.with_ports(host_files=Failing(world.ports.host_files, method, start))
    restore(world)


def test_a_host_file_that_moves_in_between_fails_the_restore(world, kept):
    """H17."""
    world.hypervisor.on("define", lambda: world.nvram.write_bytes(b"moved"))
    with pytest.raises(HostFileChangedError):
        restore(world)
    assert world.nvram.read_bytes() == b"moved"


@pytest.mark.parametrize("method", ["stage", "exchange"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_failure_below_leaves_both_files_as_before(world, kept, method, is_after):
    """H31, H36, H38: the second of the two fails."""
    before = world.everything()
    error = HostFileError("no space left on device")
    files = Failing(world.ports.host_files, method, raising(error), skip=1, is_after=is_after)
    with pytest.raises(HostFileError, match="no space left"):
        restore(world.with_ports(host_files=files))
    assert world.everything() == before
    assert world.journals() == ()


def test_a_dry_run_changes_nothing(world, kept):
    before = world.everything()
    result = restore(world, dry_run=True)
    assert not result.is_done
    assert any("nvram" in line for line in result.changes)
    assert world.everything() == before


def test_an_unknown_backup_is_refused(world):
    with pytest.raises(BackupNotFoundError, match="nothing"):
        restore(world, "nothing")


def test_what_is_as_it_was_is_said_to_be(world):
    keep(world)
    assert "nothing" in restore(world).changes[0]
