"""Recovering what was interrupted: finished or taken back, once, and never without proof."""

import subprocess

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.backup import create_backup
from vmsnap.engine.listing import show_group
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import CreateRequest, RestoreRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.errors import DatabaseError, DomainRunningError, StateError, VmsnapError
from vmsnap.model import GroupState
from vmsnap.store.opening import open_catalog


class KilledError(BaseException):
    """Stands for a kill: nothing may run after it."""


@pytest.fixture
def kill(monkeypatch):
    """End a verb as `kill -9` would, at a call of a port."""

    def run(world, port, method, verb, **options):
        with monkeypatch.context() as patch:
            patch.setattr("vmsnap.engine.journal._settle_after", _die)
            real = getattr(world.ports, port)
            seen = world.with_ports(**{port: Failing(real, method, _kill, **options)})
            with pytest.raises(KilledError):
                verb(seen)

    return run


def _kill():
    raise KilledError


def _die(error, run, steps, done):
    raise error


def recover(world):
    return recover_all(world.ports, dry_run=False)


def is_fenced(world):
    return world.hypervisor.domain(world.uuid).definition.is_fenced


def create(seen):
    seen.create("wednesday")


def revert(seen):
    seen.revert("monday")


@pytest.fixture
def changed(world):
    world.create("monday")
    world.fill(2)
    return world.everything()


def test_without_anything_interrupted_nothing_is_done(world, changed):
    assert recover(world) == ()
    assert world.everything() == changed


def test_a_revert_killed_before_its_commit_is_taken_back(world, changed, kill):
    kill(world, "catalog", "commit", revert)
    assert is_fenced(world)
    (result,) = recover(world)
    assert (result.outcome, result.verb, result.domain_name) == (
        "undone",
        "group revert",
        world.name,
    )
    assert world.everything() == changed
    assert recover(world) == ()


def test_a_revert_killed_after_its_commit_is_finished(world, changed, kill):
    """H57: the commit took place, but nobody was told."""
    monday = world.group_disks(show_group(world.ports, world.name, "monday"))
    kill(world, "catalog", "commit", revert, is_after=True)
    assert is_fenced(world)
    (result,) = recover(world)
    assert result.outcome == "finished"
    assert not is_fenced(world)
    assert {target: world.machine()[target] for target in world.disks} == monday
    assert recover(world) == ()


@pytest.mark.parametrize("is_after", [False, True], ids=["failed", "committed"])
@pytest.mark.parametrize("verb", [create, revert], ids=["create", "revert"])
def test_a_commit_whose_answer_was_lost_is_asked_for(world, changed, verb, is_after):
    """H57: the database decides, not the error."""
    error = DatabaseError("the server has gone away")
    catalog = Failing(world.ports.catalog, "commit", raising(error), is_after=is_after)
    seen = world.with_ports(catalog=catalog)
    if is_after:
        verb(seen)
        assert len(world.rows()[0]) == 2
        assert any("second try" in text for text in world.ports.reporter.warnings)
    else:
        with pytest.raises(DatabaseError):
            verb(seen)
        assert world.everything() == changed
    assert world.journals() == ()
    assert not is_fenced(world)


def test_a_commit_that_comes_too_late_is_refused(world, changed, kill):
    """H57: what was taken back can never commit afterwards."""
    kill(world, "catalog", "commit", revert)
    late = _pending_commit(world)
    recover(world)
    with pytest.raises(DatabaseError):
        world.ports.catalog.commit(*late)
    assert world.everything() == changed


def _pending_commit(world):
    from vmsnap.engine.journal import load
    from vmsnap.engine.steps.all import STEPS

    interrupted = load(world.ports, world.uuid, STEPS)
    change = next(step.change for step in interrupted.steps if step.is_commit)
    return (interrupted.operation.id, change)


def test_a_verb_first_recovers_what_was_interrupted_and_says_so(world, changed, kill):
    kill(world, "catalog", "commit", revert)
    world.create("tuesday")
    assert any("taken back" in text for text in world.ports.reporter.warnings)
    assert [group.name for group in world.rows()[0]] == ["monday", "tuesday"]


def test_a_dry_run_says_what_would_be_settled_and_settles_nothing(world, changed, kill):
    kill(world, "catalog", "commit", revert)
    files = world.files()
    (result,) = recover_all(world.ports, dry_run=True)
    assert result.outcome == "pending"
    assert is_fenced(world)
    assert world.files() == files


# --- without the database -------------------------------------------------------------------------


def test_a_lost_database_refuses_and_the_machine_stays_fenced(world, changed, kill):
    """H52, H57: made anew under the same name it is another, and knows nothing."""
    kill(world, "catalog", "commit", revert)
    world.ports.catalog.close()
    path = world.folder / "state" / "vmsnap.db"
    saved = path.rename(path.with_suffix(".lost"))
    anew = open_catalog(f"sqlite:///{path}", create=True)
    before = (world.files(), world.hypervisor.machines[world.uuid].xml)
    with pytest.raises(DatabaseError) as caught:
        recover(world.with_ports(catalog=anew))
    assert caught.value.exit_code == 22
    assert (world.files(), world.hypervisor.machines[world.uuid].xml) == before
    assert is_fenced(world)
    anew.close()
    for left in path.parent.glob("vmsnap.db*"):
        if left != saved:
            left.unlink()
    saved.rename(path)
    world = world.with_ports(catalog=open_catalog(f"sqlite:///{path}", create=False))
    recover(world)
    assert world.everything() == changed


def test_another_database_refuses_and_names_the_right_one(world, changed, kill, tmp_path):
    kill(world, "catalog", "commit", revert)
    other = open_catalog(f"sqlite:///{tmp_path / 'other.db'}", create=True)
    with pytest.raises(DatabaseError, match=r"vmsnap\.db") as caught:
        recover(world.with_ports(catalog=other))
    assert "--database" in caught.value.hint
    assert is_fenced(world)
    other.close()
    recover(world)
    assert world.everything() == changed


def test_a_database_that_does_not_answer_changes_nothing(world, changed, kill):
    kill(world, "catalog", "commit", revert)
    files = world.files()
    catalog = Failing(world.ports.catalog, "ping", raising(DatabaseError("no answer")))
    with pytest.raises(DatabaseError):
        recover(world.with_ports(catalog=catalog))
    assert world.files() == files
    assert is_fenced(world)
    recover(world)
    assert world.everything() == changed


# --- a domain that was started --------------------------------------------------------------------


def merge(order):
    """What libvirt's active commit does."""
    subprocess.run(["qemu-img", "commit", "-q", "-d", "-f", "qcow2", order.top], check=True)
    assert order.base.exists()


def test_a_create_is_taken_back_from_a_running_machine(world, changed, kill):
    """H23, H26: disk by disk, by active commit and pivot; nothing that it wrote is lost."""
    kill(world, "catalog", "commit", create)
    world.hypervisor.on_merge = merge
    world.hypervisor.start(world.uuid)
    world.write("vda", 66)
    world.write("vdb", 67)
    before = world.machine()
    (result,) = recover(world)
    assert result.outcome == "undone"
    assert world.machine() == before
    assert (world.files(), world.rows()) == (changed[1], changed[2])
    assert world.hypervisor.machines[world.uuid].state.value == "running"
    world.hypervisor.stop(world.uuid)
    assert world.machine() == before
    assert "backingStore" not in world.hypervisor.machines[world.uuid].xml


def test_what_a_guest_wrote_that_ran_meanwhile_survives(world, changed, kill):
    """H44: killed in a create, started, written, stopped; the month of work is in the overlays."""
    kill(world, "catalog", "commit", create)
    world.hypervisor.start(world.uuid)
    world.write("vda", 66, sector=1)
    world.write("vdb", 67, sector=2)
    world.hypervisor.stop(world.uuid)
    before = world.machine()
    (result,) = recover(world)
    assert result.outcome == "undone"
    assert world.machine() == before
    assert (world.files(), world.rows()) == (changed[1], changed[2])


def test_a_revert_waits_for_a_running_machine(world, changed, kill):
    """H35, H55: somebody took the fence away by hand."""
    kill(world, "catalog", "commit", revert)
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    world.hypervisor.start(world.uuid)
    before = (world.files(), machine.xml)
    (result,) = recover(world)
    assert result.outcome == "waiting"
    assert "running" in result.message
    assert (world.files(), machine.xml) == before
    with pytest.raises(DomainRunningError):
        world.create("tuesday")
    world.hypervisor.stop(world.uuid)
    recover(world)
    assert world.everything() == changed


def test_a_layer_that_was_written_to_is_never_thrown_away(world, changed, kill):
    """H44: a revert is taken back, but what was written to its overlay is left in place."""
    kill(world, "catalog", "commit", revert)
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    overlay = world.active("vda")
    world.write("vda", 66)
    written = world.read(overlay)
    recover(world)
    assert world.machine() == changed[0]
    assert world.read(overlay) == written
    assert any(str(overlay) in text for text in world.ports.reporter.warnings)


def test_a_restore_waits_for_a_running_machine(world, kill):
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    world.touch_firmware(7)
    before = world.everything()
    kill(
        world,
        "catalog",
        "commit",
        lambda seen: restore_backup(seen.ports, seen.name, "kept", RestoreRequest()),
    )
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    world.hypervisor.start(world.uuid)
    assert [result.outcome for result in recover(world)] == ["waiting"]
    world.hypervisor.stop(world.uuid)
    recover(world)
    assert world.everything() == before


def test_an_edit_behind_the_fence_survives(world, changed, kill):
    """H58: before the new definition was defined, and after it."""
    kill(world, "hypervisor", "define", revert, skip=1)
    world.edit("262144", "131072")
    recover(world)
    assert "131072" in world.definition()
    world.edit("131072", "262144")
    assert world.everything() == changed
    kill(world, "catalog", "commit", revert)
    world.edit("262144", "131072")
    recover(world)
    assert "131072" in world.definition()
    assert world.machine() == changed[0]


# --- fences and journals --------------------------------------------------------------------------


def test_a_fence_without_a_journal_stays_until_it_is_lifted_on_purpose(world):
    """H36, H55: nobody knows any more how far the exchange had come."""
    before = world.definition()
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_fence(machine.xml)
    with pytest.raises(StateError, match="fence"):
        world.create("monday")
    (result,) = recover(world)
    assert result.outcome == "journal_lost"
    assert world.definition() != before
    (result,) = recover_all(world.ports, dry_run=False, lift_fences=True)
    assert result.outcome == "fence_lifted"
    assert world.definition() == before
    assert recover(world) == ()


@pytest.mark.parametrize("size", [0, 40])
def test_a_journal_that_lost_its_beginning_keeps_the_fence(world, changed, kill, size):
    """H55: a fence is only defined behind a whole header."""
    kill(world, "host_files", "exchange", revert)
    (journal,) = (world.folder / "state" / "journal").glob("*.jsonl")
    journal.write_bytes(journal.read_bytes()[:size])
    (result,) = recover(world)
    assert result.outcome == "journal_lost"
    assert is_fenced(world)
    assert journal.exists()


def test_a_journal_with_a_torn_end_is_settled(world, changed, kill):
    """H44: the power went away in the middle of an entry."""
    kill(world, "catalog", "commit", revert)
    (journal,) = (world.folder / "state" / "journal").glob("*.jsonl")
    journal.write_bytes(journal.read_bytes()[:-10])
    recover(world)
    assert world.everything() == changed
    assert world.journals() == ()


def test_a_domain_that_is_busy_does_not_keep_the_others_waiting(world, changed, kill):
    """H48."""
    kill(world, "catalog", "commit", revert)
    with world.ports.locks.hold(world.uuid, "snapshot create", 0):
        (result,) = recover(world)
    assert result.outcome == "busy"
    assert [result.outcome for result in recover(world)] == ["undone"]
    assert world.everything() == changed


def test_a_domain_that_was_undefined_meanwhile_is_recovered(world, changed, kill):
    kill(world, "catalog", "commit", revert)
    world.hypervisor.undefine(world.uuid)
    (result,) = recover(world)
    assert result.outcome == "undone"
    assert result.domain_name == world.name
    assert world.rows() == changed[2]
    assert world.journals() == ()


def test_a_delete_is_only_ever_finished(world, kill):
    """H1, H44: from the state deleting on there is only forward."""
    world.create("monday")
    world.fill(2)
    before = world.machine()
    kill(world, "images", "commit", lambda seen: seen.delete("monday"))
    assert world.rows()[0][0].state is GroupState.DELETING
    (result,) = recover(world)
    assert result.outcome == "finished"
    assert world.rows()[0] == ()
    assert world.machine() == before
    assert not is_fenced(world)


def test_a_domain_that_cannot_be_recovered_does_not_keep_others_from_it(world, changed, kill):
    """H4, H55: at boot one lost journal must not leave every other machine fenced."""
    kill(world, "host_files", "exchange", revert)
    journals = world.folder / "state" / "journal"
    (journals / "00000000-0000-4000-8000-000000000000.jsonl").write_text('{"format": 99}\n{}\n')
    with pytest.raises(VmsnapError):
        recover(world)
    assert not is_fenced(world)


def test_a_failure_is_said_once_and_names_the_domain(world):
    path = world.folder / "state" / "journal" / f"{world.uuid}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"format": 99}\n{}\n')
    with pytest.raises(VmsnapError, match=f"^domain '{world.name}' is not recovered yet: "):
        recover(world)
    assert world.ports.reporter.warnings == []
