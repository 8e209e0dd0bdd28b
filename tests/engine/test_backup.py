"""Backups of host files: made, listed, shown, verified, replaced and deleted."""

import itertools
import sqlite3
from contextlib import closing

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.backup import (
    create_backup,
    delete_backup,
    list_backups,
    show_backup,
    verify_backups,
)
from vmsnap.engine.requests import CreateRequest
from vmsnap.errors import (
    BackupNotFoundError,
    DatabaseError,
    HostFileChangedError,
    InvalidNameError,
    NameTakenError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import Capture, HostFileType, ResourceKind

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM
BIOS = (
    "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>",
    "<nvram>{}</nvram>",
    "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>",
)


def keep(world, name="kept", **options):
    return create_backup(world.ports, world.name, CreateRequest(name=name, **options))


def damage(world, digest):
    with closing(sqlite3.connect(world.folder / "state" / "vmsnap.db")) as database, database:
        database.execute(
            "update content_chunk set data = substr(data, 1, 5) where sha256 = ?", [digest]
        )


def test_a_backup_holds_the_host_files_and_no_disks(world):
    before = world.machine()
    files = world.files()
    result = keep(world)
    assert {view.backup.type: view.backup.capture for view in result.rows} == {
        NVRAM: Capture.CAPTURED,
        TPM: Capture.CAPTURED,
    }
    (resource,) = world.rows()[1]
    assert resource.kind is ResourceKind.STANDALONE
    assert world.ports.catalog.content(resource.backup(NVRAM).digest) == before["nvram"]
    assert (world.machine(), world.files()) == (before, files)
    assert world.rows()[0] == ()


def test_each_is_kept_and_generated_names_sort_by_time(world):
    names = [keep(world, name=None).name for _ in range(3)]
    assert names == sorted(set(names))
    assert [resource.name for resource in world.rows()[1]] == names


@pytest.mark.parametrize("other", ["backup", "group"])
def test_a_taken_name_is_refused(world, other):
    if other == "group":
        world.create("kept")
    else:
        keep(world)
    before = world.everything()
    with pytest.raises(NameTakenError):
        keep(world)
    assert world.everything() == before


def test_a_groups_backup_is_never_replaced(world):
    """H14."""
    world.create("kept")
    before = world.everything()
    with pytest.raises(NameTakenError, match="group"):
        keep(world, replace=True)
    assert world.everything() == before


def test_a_group_cannot_take_a_backups_name(world):
    keep(world)
    with pytest.raises(NameTakenError):
        world.create("kept")


def test_replacing_leaves_one_backup_with_the_new_content(world):
    """H7."""
    keep(world)
    keep(world, name="other")
    for value in (8, 9):
        world.touch_firmware(value)
        keep(world, replace=True)
    resources = {resource.name: resource for resource in world.rows()[1]}
    assert sorted(resources) == ["kept", "other"]
    content = world.ports.catalog.content(resources["kept"].backup(NVRAM).digest)
    assert content == bytes([9]) * 4096


@pytest.mark.parametrize("method", ["reserve", "commit"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_failure_while_replacing_keeps_the_old_one_or_has_the_new_one(world, method, is_after):
    """H3: never neither."""
    keep(world)
    before = world.everything()
    old = world.rows()[1][0].id
    world.touch_firmware(8)
    catalog = Failing(
        world.ports.catalog, method, raising(DatabaseError("gone")), is_after=is_after
    )
    seen = world.with_ports(catalog=catalog)
    if method == "commit" and is_after:
        keep(seen, replace=True)
        (resource,) = world.rows()[1]
        assert resource.id != old
        assert world.ports.catalog.content(resource.backup(NVRAM).digest) == bytes([8]) * 4096
    else:
        with pytest.raises(DatabaseError):
            keep(seen, replace=True)
        assert world.rows() == before[2]
    assert world.journals() == ()


def test_replacing_what_is_not_there_makes_it(world):
    assert keep(world, replace=True).is_done


def test_a_bios_machine_without_a_tpm_keeps_nothing_and_says_so(world):
    """H18, H19: absent is told apart."""
    for part in BIOS:
        world.edit(part.format(world.nvram), "")
    result = keep(world)
    assert {view.backup.capture for view in result.rows} == {Capture.ABSENT}
    assert "neither NVRAM nor TPM" in result.notes[0]


def test_every_machine_with_an_nvram_has_it_kept(world):
    """H19: with neither Secure Boot nor a TPM."""
    world.edit(BIOS[2], "")
    keep(world)
    (resource,) = world.rows()[1]
    assert resource.backup(NVRAM).capture is Capture.CAPTURED
    assert resource.backup(TPM).capture is Capture.ABSENT


def test_what_cannot_be_captured_is_refused_by_name_unless_left_out(world):
    """H21."""
    world.edit("type='emulator' version='2.0'", "type='external'")
    with pytest.raises(UnsupportedError, match="external"):
        keep(world)
    keep(world, without=frozenset({TPM}))
    assert world.rows()[1][0].backup(TPM).capture is Capture.SKIPPED


def test_the_host_files_of_a_running_machine_are_kept(world):
    """H16: what was the same at two looks was all there in between."""
    world.hypervisor.start(world.uuid)
    keep(world)
    (resource,) = world.rows()[1]
    assert world.ports.catalog.content(resource.backup(NVRAM).digest) == world.nvram.read_bytes()


@pytest.mark.parametrize("times", [1, 3])
def test_host_files_that_a_guest_writes_are_read_until_they_keep_still(world, times):
    """H16, H17: what is kept is what was there last."""
    world.hypervisor.start(world.uuid)
    values = iter(range(1, times + 1))
    catalog = Failing(
        world.ports.catalog,
        "reserve",
        lambda: world.touch_firmware(next(values)),
        times=times,
    )
    keep(world.with_ports(catalog=catalog))
    (resource,) = world.rows()[1]
    assert world.ports.catalog.content(resource.backup(NVRAM).digest) == bytes([times]) * 4096


def test_host_files_that_never_keep_still_end_it(world):
    """H4."""
    world.hypervisor.start(world.uuid)
    values = itertools.count(1)
    catalog = Failing(
        world.ports.catalog, "reserve", lambda: world.touch_firmware(next(values)), times=99
    )
    with pytest.raises(HostFileChangedError):
        keep(world.with_ports(catalog=catalog))
    assert world.rows()[1] == ()
    assert world.journals() == ()


def test_a_file_that_moves_meanwhile_fails_the_backup(world):
    """H16, H17."""
    catalog = Failing(world.ports.catalog, "reserve", lambda: world.touch_firmware(9))
    with pytest.raises(HostFileChangedError):
        keep(world.with_ports(catalog=catalog))
    assert world.rows()[1] == ()


def test_a_bad_name_is_refused(world):
    """H51."""
    with pytest.raises(InvalidNameError):
        keep(world, name="a/b")


def test_a_dry_run_changes_nothing(world):
    before = world.everything()
    result = keep(world, dry_run=True)
    assert not result.is_done
    assert len(result.changes) == 2
    assert world.everything() == before


# --- listed, shown, verified --------------------------------------------------------------------


def test_the_list_has_a_row_for_each_resource_and_type_oldest_first(world):
    keep(world, name="one")
    world.create("two")
    rows = [(view.resource.name, view.backup.type) for view in list_backups(world.ports, None)]
    assert rows == [("one", NVRAM), ("one", TPM), ("two", NVRAM), ("two", TPM)]
    assert len(list_backups(world.ports, world.name)) == 4


def test_a_backup_of_a_machine_that_is_gone_is_still_listed(world):
    keep(world)
    world.hypervisor.undefine(world.uuid)
    assert len(list_backups(world.ports, world.name)) == 2
    assert show_backup(world.ports, world.name, "kept")


def test_a_backup_is_shown_by_name_uuid_or_prefix(world):
    keep(world)
    identity = world.rows()[1][0].id
    for text in ("kept", identity, identity[:8]):
        assert show_backup(world.ports, world.name, text)[0].resource.id == identity
    with pytest.raises(BackupNotFoundError):
        show_backup(world.ports, world.name, "nothing")


def test_verify_finds_whole_contents(world):
    keep(world)
    world.create("monday")
    results = verify_backups(world.ports, None, None)
    assert [result.problem for result in results] == [None] * 4


def test_verify_finds_a_damaged_content(world):
    """H13: length and digest are checked at every reading."""
    keep(world)
    damage(world, world.rows()[1][0].backup(TPM).digest)
    (nvram, tpm) = verify_backups(world.ports, world.name, "kept")
    assert nvram.problem is None
    assert "damaged" in tpm.problem


def test_verify_passes_over_what_was_not_captured(world):
    keep(world, without=frozenset({TPM}))
    assert [result.problem for result in verify_backups(world.ports, world.name, None)] == [
        None
    ] * 2


# --- deleted ------------------------------------------------------------------------------------


def test_a_backup_is_deleted_and_no_other(world):
    """H2, H12."""
    keep(world, name="one")
    keep(world, name="two")
    world.create("three")
    two, three = world.rows()[1][1:]
    delete_backup(world.ports, world.name, "one", dry_run=False)
    assert world.rows()[1] == (two, three)
    assert [result.problem for result in verify_backups(world.ports, None, None)] == [None] * 4


def test_a_groups_backup_goes_only_with_its_group(world):
    """H14."""
    world.create("monday")
    before = world.everything()
    with pytest.raises(StateError, match="group"):
        delete_backup(world.ports, world.name, "monday", dry_run=False)
    assert world.everything() == before


def test_a_backups_own_id_is_no_resource(world):
    """H12."""
    keep(world)
    with pytest.raises(BackupNotFoundError):
        delete_backup(world.ports, world.name, world.rows()[1][0].backup(NVRAM).id, dry_run=False)


def test_a_dry_run_of_a_delete_changes_nothing(world):
    keep(world)
    before = world.everything()
    assert not delete_backup(world.ports, world.name, "kept", dry_run=True).is_done
    assert world.everything() == before
