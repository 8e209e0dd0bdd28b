"""Can a group be reverted, and every reason why not."""

import os
import sqlite3
import subprocess
from contextlib import closing
from types import SimpleNamespace

import pytest
from engine.patient import kill
from fakes.failing import Failing

from vmsnap.engine import check as verb
from vmsnap.engine.backup import create_backup
from vmsnap.engine.check import check_groups
from vmsnap.engine.requests import CreateRequest
from vmsnap.errors import BusyError, GroupNotFoundError
from vmsnap.model import HostFileType

IDENTITY = "5ec2e700-0000-4000-8000-000000000001"
BACKEND = "<backend type='emulator' version='2.0'/>"


@pytest.fixture
def monday(world):
    """A group on which another one stands."""
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    return world


def reasons(world, group="monday"):
    (check,) = check_groups(world.ports, world.name, group)
    assert check.is_available is (not check.reasons)
    return {(reason.code, reason.kind) for reason in check.reasons}


def damage(world, digest):
    with closing(sqlite3.connect(world.folder / "state" / "vmsnap.db")) as database, database:
        database.execute("update content_chunk set data = x'00' where sha256 = ?", [digest])


def remove_content(world, digest):
    with closing(sqlite3.connect(world.folder / "state" / "vmsnap.db")) as database, database:
        database.execute("delete from content_chunk where sha256 = ?", [digest])


def monday_row(world):
    return world.rows()[0][0]


def test_a_group_that_was_just_made_can_be_reverted(monday):
    assert [check.is_available for check in check_groups(monday.ports, monday.name, None)] == [
        True,
        True,
    ]


def test_nothing_is_changed_by_a_check(monday):
    before = monday.everything()
    check_groups(monday.ports, monday.name, None)
    assert monday.everything() == before


def test_an_unknown_group_is_refused(world):
    with pytest.raises(GroupNotFoundError):
        check_groups(world.ports, world.name, "nothing")


def test_a_missing_layer_damages_all_that_stand_on_it(monday):
    monday.disks["vda"].unlink()
    assert reasons(monday) == {("layer_missing", "damage")}
    assert reasons(monday, "tuesday") == {("layer_missing", "damage")}


def test_a_missing_upper_layer_damages_only_what_stands_on_it(monday):
    layers = {layer.id: layer for layer in monday.rows()[2]}
    layers[monday.rows()[0][1].snapshot("vda").layer_id].path.unlink()
    assert reasons(monday) == set()
    assert reasons(monday, "tuesday") == {("layer_missing", "damage")}


def _touch(path):
    os.utime(path, ns=(0, 0))


def _grow(path):
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _scratch(path):
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"scratched")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [_touch, _grow, _scratch], ids=["mtime", "size", "header"])
def test_a_changed_layer_is_damage(monday, change):
    """H59: somebody wrote into what a group has frozen."""
    change(monday.disks["vdb"])
    assert reasons(monday) == {("layer_changed", "damage")}
    assert reasons(monday, "tuesday") == {("layer_changed", "damage")}


def test_what_is_missing_below_the_first_layer_is_damage(world):
    template = world.disks["vda"].rename(world.folder / "template.qcow2")
    world.stacked(template, "top").rename(world.disks["vda"])
    world.create("monday")
    assert reasons(world) == set()
    template.unlink()
    assert reasons(world) == {("layer_missing", "damage")}


def test_a_detached_disk_is_a_reason(monday):
    """H43."""
    machine = monday.hypervisor.machines[monday.uuid]
    machine.xml = monday.ports.definitions.with_disks_of(machine.xml, "<domain/>", ["vdb"])
    assert reasons(monday) == {("disk_detached", "damage")}


def test_a_replaced_disk_is_a_reason(monday):
    """H43."""
    other = monday.folder / "other.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "1M"], check=True)
    monday.edit(str(monday.active("vda")), str(other))
    assert reasons(monday) == {("disk_replaced", "damage")}


def test_an_overlay_of_somebody_else_is_no_replacement(monday):
    path = monday.stacked(monday.active("vda"), "foreign")
    monday.edit(str(monday.active("vda")), str(path))
    assert reasons(monday) == set()


def test_an_added_disk_is_a_reason(monday):
    """H43."""
    other = monday.folder / "other.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other, "1M"], check=True)
    disk = f"<disk type='file' device='disk'><source file='{other}'/><target dev='vdc'/></disk>"
    monday.edit("<graphics", f"{disk}<graphics")
    assert reasons(monday) == {("disk_added", "damage")}


def test_an_added_cdrom_and_an_excluded_disk_are_none(world):
    world.create("monday", exclude=("vdb",))
    disk = "<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>"
    world.edit("<graphics", f"{disk}<graphics")
    assert reasons(world) == set()


@pytest.mark.parametrize("type_", HostFileType)
@pytest.mark.parametrize("harm", [damage, remove_content], ids=["damaged", "missing"])
def test_a_damaged_or_missing_content_is_damage(monday, type_, harm):
    harm(monday, monday_row(monday).resource.backup(type_).digest)
    assert reasons(monday) == {(f"{type_.value}_damaged", "damage")}
    assert reasons(monday, "tuesday") == set()


def test_a_damaged_definition_is_damage(monday):
    damage(monday, monday_row(monday).definition_digest)
    assert reasons(monday) == {("definition_damaged", "damage")}


def test_what_was_skipped_on_purpose_is_no_damage_but_stands_against_a_revert(world):
    """H15."""
    world.create("monday", without=frozenset({HostFileType.TPM}))
    assert reasons(world) == {("tpm_skipped", "state")}


def test_what_was_not_created_stands_against_a_revert_once_there_is_one(world):
    """H15, H18."""
    world.nvram.unlink()
    world.create("monday")
    assert reasons(world) == set()
    world.nvram.write_bytes(b"now")
    assert reasons(world) == {("nvram_not_created", "state")}


def test_a_tpm_secret_that_is_not_defined_is_damage(world):
    """H20."""
    encrypted = BACKEND.replace("/>", f"><encryption secret='{IDENTITY}'/></backend>")
    world.edit(BACKEND, encrypted)
    world.create("monday")
    assert reasons(world) == {("tpm_secret_missing", "damage")}
    world.hypervisor.secrets.add(IDENTITY)
    assert reasons(world) == set()


def test_a_running_machine_is_a_state(monday):
    monday.hypervisor.start(monday.uuid)
    assert reasons(monday) == {("domain_running", "state")}


def test_a_managed_save_image_is_a_state(monday):
    """H27."""
    monday.hypervisor.start(monday.uuid)
    monday.hypervisor.save(monday.uuid)
    assert reasons(monday) == {("managed_save", "state")}


def test_a_fence_that_was_left_is_a_state(monday):
    """H55."""
    machine = monday.hypervisor.machines[monday.uuid]
    machine.xml = monday.ports.definitions.with_fence(machine.xml)
    assert reasons(monday) == {("interrupted", "state")}


def test_every_reason_is_given_at_once(monday):
    monday.hypervisor.start(monday.uuid)
    monday.disks["vda"].unlink()
    damage(monday, monday_row(monday).resource.backup(HostFileType.NVRAM).digest)
    assert {code for code, _ in reasons(monday)} == {
        "layer_missing",
        "nvram_damaged",
        "domain_running",
    }


def test_a_group_that_is_being_deleted_cannot_be_reverted(monday):
    from fakes.failing import Failing, raising

    from vmsnap.errors import ImageError

    images = Failing(monday.ports.images, "commit", raising(ImageError("no")))
    monday.with_ports(images=images).delete("monday")
    assert ("group_not_ready", "damage") in reasons(monday)
    assert reasons(monday, "tuesday") == set()


@pytest.fixture
def pauses(monkeypatch):
    """What is done in each pause between two looks; nothing, unless a test puts it there."""
    done = []
    clock = SimpleNamespace(sleep=lambda _seconds: done.pop(0)() if done else None)
    monkeypatch.setattr(verb, "time", clock)
    return done


@pytest.mark.parametrize("group", ["monday", None])
def test_damage_while_an_operation_is_at_work_is_busy(monday, pauses, group):
    """H48: a check by cron is no alarm because a delete is at work."""
    monday.disks["vda"].unlink()
    before = monday.files()
    with (
        monday.ports.locks.hold(monday.uuid, "group delete", 0),
        pytest.raises(BusyError) as caught,
    ):
        check_groups(monday.ports, monday.name, group, only_damage=True)
    assert caught.value.exit_code == 75
    assert caught.value.message.startswith(
        f"domain '{monday.name}' is busy: 'group delete' (process {os.getpid()}) has been at work"
    )
    hint = f"vmsnap group check {monday.name}"
    assert caught.value.hint == (f"{hint} {group}" if group else hint)
    assert monday.files() == before


def test_what_is_whole_is_so_while_an_operation_is_at_work_too(monday):
    with monday.ports.locks.hold(monday.uuid, "snapshot create", 0):
        assert reasons(monday) == set()
        assert len(check_groups(monday.ports, monday.name, None)) == 2


def test_a_whole_group_is_whole_while_another_one_is_being_deleted(monday, pauses):
    other = {layer.id: layer for layer in monday.rows()[2]}
    other[monday.rows()[0][1].snapshot("vda").layer_id].path.unlink()
    with monday.ports.locks.hold(monday.uuid, "group delete", 0):
        assert reasons(monday) == set()


def test_a_fence_behind_which_an_operation_works_is_busy_but_no_damage(monday, pauses):
    machine = monday.hypervisor.machines[monday.uuid]
    machine.xml = monday.ports.definitions.with_fence(machine.xml)
    with monday.ports.locks.hold(monday.uuid, "group revert", 0):
        with pytest.raises(BusyError, match="'group revert'"):
            check_groups(monday.ports, monday.name, None)
        assert len(check_groups(monday.ports, monday.name, None, only_damage=True)) == 2


def test_a_state_is_told_while_an_operation_is_at_work_too(monday):
    monday.hypervisor.start(monday.uuid)
    with monday.ports.locks.hold(monday.uuid, "snapshot create", 0):
        assert reasons(monday) == {("domain_running", "state")}


def test_an_operation_that_ends_between_two_looks_is_waited_for(monday, pauses):
    aside = monday.disks["vda"].with_name("aside")
    monday.disks["vda"].rename(aside)
    held = monday.ports.locks.hold(monday.uuid, "group revert", 0)
    held.__enter__()

    def end():
        aside.rename(monday.disks["vda"])
        held.__exit__(None, None, None)

    pauses += [lambda: None, end]
    assert reasons(monday) == set()


def test_damage_that_an_operation_leaves_behind_is_damage(monday, pauses):
    monday.disks["vda"].unlink()
    held = monday.ports.locks.hold(monday.uuid, "snapshot create", 0)
    held.__enter__()
    pauses.append(lambda: held.__exit__(None, None, None))
    assert reasons(monday) == {("layer_missing", "damage")}


def test_a_group_that_was_deleted_between_two_looks_is_not_found(monday, pauses):
    monday.disks["vda"].rename(aside := monday.disks["vda"].with_name("aside"))
    held = monday.ports.locks.hold(monday.uuid, "group delete", 0)
    held.__enter__()

    def delete():
        held.__exit__(None, None, None)
        aside.rename(monday.disks["vda"])
        monday.delete("monday")

    pauses.append(delete)
    with pytest.raises(GroupNotFoundError):
        check_groups(monday.ports, monday.name, "monday")


def test_an_operation_that_began_and_ended_within_a_look_makes_it_look_again(monday, pauses):
    """H48: nobody holds the lock then, but rows have moved."""
    images = Failing(monday.ports.images, "facts", lambda: monday.delete("tuesday"))
    checks = check_groups(monday.with_ports(images=images).ports, monday.name, None)
    assert [(check.group.name, check.is_available) for check in checks] == [("monday", True)]


def test_operations_that_come_and_go_within_each_look_are_busy(monday, pauses):
    damage(monday, monday_row(monday).definition_digest)

    def work():
        create_backup(monday.ports, monday.name, CreateRequest())

    images = Failing(monday.ports.images, "facts", work, times=99)
    with pytest.raises(BusyError, match="operations come and go on it"):
        check_groups(monday.with_ports(images=images).ports, monday.name, "monday")


def test_what_a_killed_run_left_is_not_busy(monday):
    """H55: its journal stands, nobody holds the lock, and waiting would change nothing."""
    kill(monday, "catalog", "commit", lambda seen: seen.revert("monday"))
    assert reasons(monday) == {("interrupted", "state")}
    monday.disks["vda"].unlink()
    assert ("layer_missing", "damage") in reasons(monday)


def test_a_journal_that_cannot_be_read_does_not_keep_a_check_from_it(monday):
    journal = monday.folder / "state" / "journal" / f"{monday.uuid}.jsonl"
    journal.parent.mkdir(exist_ok=True)
    journal.mkdir()
    monday.disks["vda"].unlink()
    assert reasons(monday) == {("layer_missing", "damage")}


def test_no_reason_shows_a_secret(monday):
    """H50: not even where the definition is damaged."""
    monday.disks["vda"].unlink()
    damage(monday, monday_row(monday).definition_digest)
    (check,) = check_groups(monday.ports, monday.name, "monday")
    assert "hush" not in " ".join(reason.message for reason in check.reasons)
