"""Giving other machines the host files of a source: which, what is kept of theirs, how it ends."""

import os
import stat

import pytest
from fakes.failing import Failing, raising
from fakes.second_machine import second_machine

from vmsnap.engine.backup import create_backup
from vmsnap.engine.clone import clone_backup
from vmsnap.engine.requests import CloneRequest, CreateRequest, TpmChoice, UndoRequest
from vmsnap.engine.undo import undo_last
from vmsnap.errors import (
    DomainNotFoundError,
    DomainRunningError,
    HostFileError,
    StateError,
    UndoRefusedError,
    UsageError,
)
from vmsnap.model import Capture, HostFileType, ResourceKind

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM
KEEP = TpmChoice.KEEP


@pytest.fixture
def source(world):
    return second_machine(world)


def clone(world, source, *targets, **options):
    names = targets or (world.name,)
    return clone_backup(world.ports, source.name, names, CloneRequest(**options))


def only(result):
    (target,) = result.targets
    assert target.error is None, target.error
    return target


def undo(world, name=None):
    return undo_last(world.ports, name or world.name, UndoRequest())


def test_the_target_gets_the_nvram_and_its_tpm_starts_anew(world, source):
    """H46: reset is the default."""
    disks = {target: item for target, item in world.machine().items() if target in world.disks}
    definition = world.definition()
    target = only(clone(world, source))
    assert world.machine() == {**disks, "nvram": source.host_files()["nvram"], "tpm": None}
    assert not world.tpm.exists()
    assert world.tpm.parent.exists()
    assert (target.is_done, target.is_changed) == (True, True)
    assert world.definition() == definition
    assert world.journals() == ()
    world.hypervisor.start(world.uuid)


def test_only_if_it_is_asked_for_the_tpm_is_the_sources_and_that_is_warned_of(world, source):
    """H46: keep is a choice with a warning."""
    result = clone(world, source, tpm=KEEP)
    assert {**world.machine(), **source.host_files()} == world.machine()
    (warning,) = world.ports.reporter.warnings
    assert "one TPM identity" in warning
    assert result.notes == (warning,)


def test_the_source_stays_as_it_is(world, source):
    before = source.host_files()
    clone(world, source, tpm=KEEP)
    assert source.host_files() == before


@pytest.mark.parametrize("tpm", TpmChoice)
def test_undo_brings_the_targets_own_back(world, source, tpm):
    """H37: what was there is kept first."""
    before = world.machine()
    target = only(clone(world, source, tpm=tpm))
    (safety,) = world.rows()[1]
    assert (safety.kind, safety.id) == (ResourceKind.SAFETY, target.safety.id)
    assert safety.backup(TPM).capture is Capture.CAPTURED
    undo(world)
    assert world.machine() == before


@pytest.mark.parametrize("tpm", TpmChoice)
def test_a_second_run_changes_nothing_and_doubles_nothing(world, source, tpm):
    """H47: undo still brings back what was before the first."""
    before = world.machine()
    clone(world, source, tpm=tpm)
    after, rows = world.machine(), world.rows()
    target = only(clone(world, source, tpm=tpm))
    assert (target.is_done, target.is_changed, target.safety) == (True, False, None)
    assert target.changes == ("nothing: the host files are as the source has them",)
    assert (world.machine(), world.rows()) == (after, rows)
    undo(world)
    assert world.machine() == before


def test_a_run_after_a_failed_one_gives_the_same_as_one_that_did_not_fail(world, source):
    """H47."""
    before = world.everything()
    files = Failing(world.ports.host_files, "exchange", raising(HostFileError("injected")))
    (failed,) = clone(world.with_ports(host_files=files), source).targets
    assert failed.error.exit_code == 21
    assert world.everything() == before
    only(clone(world, source))
    assert len(world.rows()[1]) == 1
    assert world.machine()["nvram"] == source.host_files()["nvram"]


def test_path_owner_and_mode_stay_the_targets(world, source):
    """H39, H45."""
    os.chown(world.nvram, 1234, 1235)
    world.nvram.chmod(0o640)
    os.chown(world.tpm, 4321, 4322)
    world.tpm.chmod(0o750)
    clone(world, source, tpm=KEEP)
    for path, expected in ((world.nvram, (1234, 1235, 0o640)), (world.tpm, (4321, 4322, 0o750))):
        status = path.stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == expected


def test_a_target_that_was_never_started_gets_files_like_the_sources(world):
    target = second_machine(world, value=None)
    only(clone_backup(world.ports, world.name, [target.name], CloneRequest(tpm=KEEP)))
    machine = world.machine()
    assert target.host_files() == {"nvram": machine["nvram"], "tpm": machine["tpm"]}
    assert stat.S_IMODE(target.tpm.parent.stat().st_mode) == 0o711
    with pytest.raises(UndoRefusedError, match="holds no host files"):
        undo(world, target.name)


def test_what_undo_cannot_take_away_is_said_and_promised_nowhere(world):
    """H18: a safety backup that says 'not_created' brings nothing back, and removes nothing."""
    target = second_machine(world, value=None)
    for dry_run in (True, False):
        request = CloneRequest(tpm=KEEP, dry_run=dry_run)
        result = clone_backup(world.ports, world.name, [target.name], request)
        notes = only(result).notes
        assert notes == tuple(
            f"{type_}: there was none yet; 'vmsnap undo' cannot take it away"
            for type_ in ("nvram", "tpm")
        )
        assert f"domain '{target.name}': {notes[0]}" in result.notes
        assert not only(result).can_undo


def test_what_undo_can_take_back_in_part_is_promised_with_a_note(world, source):
    own = world.tpm / "tpm2-00.permall"
    before = own.read_bytes()
    world.nvram.unlink()
    target = only(clone(world, source))
    assert (target.can_undo, len(target.notes)) == (True, 1)
    result = undo(world)
    assert own.read_bytes() == before
    assert world.nvram.exists()
    assert any(note.startswith("nvram: stays as it is") for note in result.notes)


@pytest.mark.parametrize("group", [True, False])
def test_a_group_or_a_backup_can_be_given(world, source, group):
    if group:
        world.create("monday")
    else:
        create_backup(world.ports, world.name, CreateRequest(name="monday"))
    kept = {name: world.machine()[name] for name in ("nvram", "tpm")}
    world.touch_firmware(3)
    request = CloneRequest(backup="monday", tpm=KEEP)
    only(clone_backup(world.ports, world.name, [source.name], request))
    assert source.host_files() == kept


def test_a_source_may_run(world, source):
    world.hypervisor.start(source.uuid)
    only(clone(world, source))
    assert world.machine()["nvram"] == source.host_files()["nvram"]


def test_a_target_that_runs_is_refused(world, source):
    world.hypervisor.start(world.uuid)
    before = world.everything()
    (target,) = clone(world, source).targets
    assert isinstance(target.error, DomainRunningError)
    assert world.everything() == before


def test_a_target_with_a_saved_state_is_refused(world, source):
    """H16."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    (target,) = clone(world, source).targets
    assert isinstance(target.error, StateError)


def test_each_target_is_all_or_nothing_by_itself(world, source):
    third = second_machine(world, "vmsnap-test-third", source.uuid.replace("b", "c"), value=5)
    world.hypervisor.start(world.uuid)
    running, missing, cloned = clone(world, source, world.name, "nobody", third.name).targets
    assert isinstance(running.error, DomainRunningError)
    assert isinstance(missing.error, DomainNotFoundError)
    assert cloned.is_changed
    assert third.host_files() == {**source.host_files(), "tpm": None}


def test_a_target_named_twice_is_one(world, source):
    assert len(clone(world, source, world.name, world.name, world.uuid).targets) == 1


def test_the_source_is_no_target(world, source):
    with pytest.raises(UsageError, match="its own target"):
        clone(world, source, source.name)


def test_a_dry_run_changes_nothing_and_says_all(world, source):
    before = world.everything()
    target = only(clone(world, source, dry_run=True))
    assert world.everything() == before
    assert target.changes == (
        f"nvram: '{world.nvram}' becomes that of domain '{source.name}'",
        f"tpm: '{world.tpm}' is removed: the machine's TPM starts anew",
    )
    assert not target.is_done


def test_a_signal_after_the_first_target_says_that_something_was_changed(world, source):
    third = second_machine(world, "vmsnap-test-third", source.uuid.replace("b", "c"), value=5)
    locks = Failing(world.ports.locks, "hold", raising(KeyboardInterrupt()), skip=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        clone(world.with_ports(locks=locks), source, third.name, world.name)
    assert caught.value.vmsnap_changed is True
