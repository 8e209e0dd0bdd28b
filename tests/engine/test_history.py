"""What is recorded of operations when they end, and what is told of them."""

import dataclasses
import itertools

import pytest
from fakes.failing import Failing, raising
from fakes.hypervisor import HOST_ID

from vmsnap.engine import journal
from vmsnap.engine.backup import create_backup, delete_backup
from vmsnap.engine.changing import changing
from vmsnap.engine.history import list_history
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import CreateRequest, RestoreRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.errors import (
    DatabaseError,
    DomainNotFoundError,
    GroupNotFoundError,
    ImageError,
    LeftChangedError,
    LibvirtError,
    NameTakenError,
)
from vmsnap.model import CatalogChange, DomainRecord, HistoryEntry, HostId, Outcome

OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")


class KilledError(BaseException):
    """Stands for a kill: nothing may run after it."""


@pytest.fixture
def world(world):
    return world.with_ports(user="ada")


def told(world):
    """The history in short."""
    return [
        (entry.operation.verb, entry.operation.subject, entry.outcome.value)
        for entry in world.ports.catalog.history()
    ]


def failing(world, port, method, error, **options):
    """The same machine, on which one call fails."""
    real = getattr(world.ports, port)
    return world.with_ports(**{port: Failing(real, method, raising(error), **options)})


def killed(world, port, method, monkeypatch, **options):
    """Create a group, and be killed at a call."""
    seen = failing(world, port, method, KilledError(), **options)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_settle_after", _die)
        # Nothing runs after a kill: neither does what records it.
        patch.setattr("vmsnap.engine.changing.record_failure", lambda *_: None)
        with pytest.raises(KilledError):
            seen.create("monday")


def _die(error, run, steps, done):
    raise error


def test_each_verb_is_recorded_with_what_it_is_about(world):
    world.create("monday")
    world.revert("monday")
    world.undo()
    world.delete("monday")
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    restore_backup(world.ports, world.name, "kept", RestoreRequest())
    delete_backup(world.ports, world.name, "kept", dry_run=False)
    assert told(world)[:2] == [
        ("snapshot create", "monday", "done"),
        ("group revert", "monday", "done"),
    ]
    assert [line[::2] for line in told(world)[2:]] == [
        ("undo", "done"),
        ("group delete", "done"),
        ("backup create", "done"),
        ("backup restore", "done"),
        ("backup delete", "done"),
    ]
    assert [line[1] for line in told(world)[3:]] == ["monday", "kept", "kept", "kept"]


def test_who_when_and_on_what_domain_is_recorded(world):
    world.create("monday")
    (entry,) = world.ports.catalog.history()
    operation = entry.operation
    assert (operation.user, operation.domain_name, operation.host_id) == (
        "ada",
        world.name,
        HOST_ID,
    )
    assert operation.started_at < entry.ended_at
    assert (entry.code, entry.is_recovered) == (None, False)


def test_a_name_that_was_made_up_is_recorded_too(world):
    made = world.create()
    assert told(world) == [("snapshot create", made.name, "done")]


def test_a_uuid_is_recorded_as_the_name_it_means(world):
    group = world.create("monday").group.group
    world.revert(group.id[:12])
    assert told(world)[-1] == ("group revert", "monday", "done")


def test_several_groups_are_recorded_together(world):
    for name in ("monday", "tuesday"):
        world.create(name)
    world.delete("monday", "tuesday")
    assert told(world)[-1] == ("group delete", "monday, tuesday", "done")


def test_refusals_and_dry_runs_are_no_part_of_the_history(world):
    world.create("monday")
    with pytest.raises(NameTakenError):
        world.create("monday")
    with pytest.raises(GroupNotFoundError):
        world.revert("tuesday")
    world.create("tuesday", dry_run=True)
    world.revert("monday", dry_run=True)
    world.delete("monday", dry_run=True)
    assert told(world) == [("snapshot create", "monday", "done")]


def test_what_was_undone_is_recorded_with_the_code_of_its_error(world):
    seen = failing(world, "images", "create_overlay", ImageError("no"), skip=1)
    with pytest.raises(ImageError):
        seen.create("monday")
    assert told(world) == [("snapshot create", "monday", "undone")]
    assert world.ports.catalog.history()[0].code == "image"


def test_a_refusal_in_the_middle_is_recorded_for_something_was_undone(world):
    seen = failing(world, "images", "create_overlay", NameTakenError("no"), skip=1)
    with pytest.raises(NameTakenError):
        seen.create("monday")
    assert told(world) == [("snapshot create", "monday", "undone")]


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError(), "bug")]
)
def test_signals_and_bugs_are_recorded(world, error, code):
    seen = failing(world, "images", "create_overlay", error, skip=1)
    with pytest.raises(type(error)):
        seen.create("monday")
    (entry,) = world.ports.catalog.history()
    assert (entry.outcome, entry.code) == (Outcome.UNDONE, code)


def test_a_failure_before_anything_was_begun_is_recorded(world):
    """The history says why there is no group of last night."""
    with pytest.raises(LibvirtError), changing(world.ports, world.uuid, "test", subject="x"):
        raise LibvirtError("no")
    assert told(world) == [("test", "x", "undone")]


def test_a_delete_that_left_groups_is_partial_and_a_second_one_is_done(world):
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    failing(world, "images", "commit", ImageError("no")).delete("monday")
    world.delete("monday")
    assert told(world)[2:] == [
        ("group delete", "monday", "partial"),
        ("group delete", "monday", "done"),
    ]


def test_a_delete_that_a_signal_ended_before_a_merge_is_partial(world):
    world.create("monday")
    world.fill(2)
    with pytest.raises(KeyboardInterrupt):
        failing(world, "images", "commit", KeyboardInterrupt()).delete("monday")
    assert told(world)[1:] == [("group delete", "monday", "partial")]


def test_what_could_not_be_settled_is_left_and_then_recovered(world):
    """One entry for one operation, whoever ended it."""
    seen = failing(world, "images", "create_overlay", ImageError("no"), skip=1)
    seen = failing(seen, "images", "remove_overlay", ImageError("no way back"))
    with pytest.raises(LeftChangedError):
        seen.create("monday")
    assert told(world) == [("snapshot create", "monday", "left")]
    assert world.ports.catalog.history()[0].code == "left_changed"
    recover_all(world.ports, dry_run=False)
    (entry,) = world.ports.catalog.history()
    assert (entry.outcome, entry.code, entry.is_recovered) == (Outcome.UNDONE, None, True)
    assert (entry.operation.user, entry.operation.subject) == ("ada", "monday")


def test_what_a_kill_left_is_recorded_when_it_is_taken_back(world, monkeypatch):
    killed(world, "images", "create_overlay", monkeypatch)
    assert told(world) == []
    recover_all(world.with_ports(user="root").ports, dry_run=False)
    assert told(world) == [("snapshot create", "monday", "undone")]
    (entry,) = world.ports.catalog.history()
    assert (entry.is_recovered, entry.operation.user) == (True, "ada")


def test_what_a_kill_left_is_recorded_when_it_is_finished(world, monkeypatch):
    killed(world, "catalog", "finish", monkeypatch)
    recover_all(world.ports, dry_run=False)
    (entry,) = world.ports.catalog.history()
    assert (entry.outcome, entry.is_recovered) == (Outcome.DONE, True)


@pytest.mark.parametrize("is_after", [False, True], ids=["unrecorded", "recorded"])
def test_a_kill_at_any_step_ends_as_one_entry_that_tells_the_truth(world, monkeypatch, is_after):
    """H44: whatever recover finds, it records it once."""
    for step in itertools.count():
        name = f"group-{step}"
        seen = failing(world, "journals", "append", KilledError(), skip=step, is_after=is_after)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "_settle_after", _die)
            patch.setattr("vmsnap.engine.changing.record_failure", lambda *_: None)
            try:
                seen.create(name)
            except KilledError:
                recover_all(world.ports, dry_run=False)
                recover_all(world.ports, dry_run=False)
                is_done = False
            else:
                is_done = True
        entries = [
            entry for entry in world.ports.catalog.history() if entry.operation.subject == name
        ]
        is_there = name in {group.name for group in world.ports.catalog.groups()}
        expected = Outcome.DONE if is_there else Outcome.UNDONE
        assert [(entry.outcome, entry.is_recovered) for entry in entries] == [
            (expected, not is_done)
        ]
        if is_done:
            break
    assert step > 4


def test_the_next_verb_records_what_it_recovered_before_itself(world, monkeypatch):
    killed(world, "images", "create_overlay", monkeypatch)
    world.create("tuesday")
    assert told(world) == [
        ("snapshot create", "monday", "undone"),
        ("snapshot create", "tuesday", "done"),
    ]


def test_a_fence_that_was_lifted_by_force_is_recorded(world):
    world.hypervisor.define(
        world.ports.definitions.with_fence(world.hypervisor.domain(world.uuid).xml)
    )
    recover_all(world.ports, dry_run=False, lift_fences=True)
    assert told(world) == [("recover", "", "done")]


def test_a_history_that_cannot_be_written_fails_nothing_and_is_said(world):
    seen = failing(world, "catalog", "add_history", DatabaseError("full"))
    seen.create("monday")
    assert [group.name for group in world.ports.catalog.groups()] == ["monday"]
    assert world.ports.reporter.warnings == ["'snapshot create' is not in the history: full"]


def test_a_history_that_cannot_be_written_keeps_the_error_that_counts(world):
    seen = failing(world, "images", "create_overlay", ImageError("no"))
    seen = failing(seen, "catalog", "add_history", DatabaseError("full"))
    with pytest.raises(ImageError, match="no"):
        seen.create("monday")


def test_a_history_that_cannot_be_written_keeps_no_recovery_from_its_end(world, monkeypatch):
    killed(world, "images", "create_overlay", monkeypatch)
    seen = failing(world, "catalog", "add_history", DatabaseError("full"))
    recover_all(seen.ports, dry_run=False)
    assert world.journals() == ()


# --- showing ---------------------------------------------------------------------------------


def commands(world, **options):
    found = list_history(world.ports, world.name, **({"limit": 50} | options))
    return [(line.entry.operation.verb, line.undo) for line in found.lines]


def test_the_newest_revert_restore_or_undo_says_how_it_is_taken_back(world):
    world.create("monday")
    assert commands(world) == [("snapshot create", None)]
    world.revert("monday")
    undo = f"vmsnap undo {world.name}"
    assert commands(world)[1:] == [("group revert", undo)]
    world.undo()
    assert commands(world)[1:] == [("group revert", None), ("undo", undo)]
    world.revert("monday", with_safety=False)
    assert [command for _, command in commands(world)] == [None] * 4


def test_without_its_safety_group_there_is_no_undo(world):
    world.create("monday")
    safety = world.revert("monday").safety
    world.delete(safety.name)
    assert [command for _, command in commands(world)] == [None] * 3


def test_the_last_operations_are_told_oldest_first(world):
    for name in ("monday", "tuesday", "wednesday"):
        create_backup(world.ports, world.name, CreateRequest(name=name))
    found = list_history(world.ports, None, limit=2)
    assert [line.entry.operation.subject for line in found.lines] == ["tuesday", "wednesday"]
    assert found.is_cut
    assert not list_history(world.ports, None, limit=3).is_cut


def test_a_domain_that_is_gone_keeps_its_history(world):
    world.create("monday")
    world.revert("monday")
    world.hypervisor.undefine(world.uuid)
    assert commands(world) == [("snapshot create", None), ("group revert", None)]
    record = DomainRecord(HOST_ID, world.uuid, world.name)
    world.ports.catalog.apply(CatalogChange(removed_record=record))
    assert len(commands(world)) == 2
    with pytest.raises(DomainNotFoundError):
        list_history(world.ports, "nobody", limit=50)


def test_other_hosts_are_told_only_when_asked_for(world):
    """H61: their history is not this host's."""
    world.create("monday")
    (mine,) = world.ports.catalog.history()
    operation = dataclasses.replace(mine.operation, id="x", host_id=OTHER_HOST)
    world.ports.catalog.add_history(HistoryEntry(operation, mine.ended_at, Outcome.DONE))
    assert len(commands(world)) == 1
    assert len(commands(world, all_hosts=True)) == 2
