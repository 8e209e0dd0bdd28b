"""The operation that pruning is: hooks, history, machines that run, deletes that wait or fail."""

from datetime import timedelta

import pytest
from engine.pruning import NOTHING, going, held, history, names, prune, verdicts
from fakes.failing import Failing, raising
from fakes.merging import merging_images

from vmsnap.engine.backup import create_backup
from vmsnap.engine.pin import pin_groups
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import CreateRequest, PinRequest
from vmsnap.engine.retention import PointKind
from vmsnap.errors import BusyError, HookError, ImageError, StateError
from vmsnap.host.hooks import ProcessHooks
from vmsnap.model import CatalogChange, GroupState, Outcome
from vmsnap.ports import Hook, HookMoment


def tell_running(world):
    world.hypervisor.on_merge = merging_images(world.hypervisor)
    world.hypervisor.start(world.uuid)


# --- hooks and history ---------------------------------------------------------------------------


def test_hooks_are_run_around_what_goes_and_not_where_nothing_does(week, tmp_path):
    note = tmp_path / "note"
    told = "$VMSNAP_HOOK_OPERATION: $VMSNAP_HOOK_NAME ($VMSNAP_HOOK_STATUS)"
    hook = Hook(HookMoment.AFTER, ("/bin/sh", "-c", f'echo "{told}" >> {note}'))
    world = week.with_ports(hooks=ProcessHooks((hook,)))
    prune(world, last=4)
    prune(world, last=4)
    assert note.read_text() == "prune: day1, kept1 (0)\n"


def test_a_hook_that_refuses_keeps_all_points(week):
    hook = Hook(HookMoment.BEFORE, ("/bin/false",), may_stop=True)
    before = week.everything()
    with pytest.raises(HookError):
        prune(week.with_ports(hooks=ProcessHooks((hook,))), last=1)
    assert week.everything() == before


def test_of_many_that_go_the_history_names_the_first(week):
    for number in range(6, 9):
        create_backup(week.ports, week.name, CreateRequest(name=f"kept{number}"))
    prune(week, **NOTHING)
    assert history(week)[-1][1] == (
        "day1, kept1, day2, kept2, day3, kept3, day4, kept4, day5, kept5, and 3 more"
    )


# --- the machine ---------------------------------------------------------------------------------


def test_a_running_machine_is_pruned_as_far_as_it_can_be(week):
    """H42, H44: a branch waits until it is off; a second prune says so, and does nothing."""
    week.revert("day2")
    tell_running(week)
    kept = {name: held(week)[name] for name in ("day2",)}
    pin_groups(week.ports, week.name, ["day2"], PinRequest())
    result = prune(week, only={PointKind.GROUP}, within=timedelta(hours=1), may_be_empty=True)
    assert {merge.group for merge in result.unmerged} >= {"day3"}
    assert {merge.code for merge in result.unmerged} == {"domain_running"}
    waiting = [group for group in week.rows()[0] if group.state is GroupState.DELETING]
    assert waiting
    assert history(week)[-1][2] is Outcome.PARTIAL
    assert {"day2": held(week)["day2"]} == kept
    past = history(week)
    again = prune(week, only={PointKind.GROUP}, within=timedelta(hours=1), may_be_empty=True)
    assert (again.is_done, again.unmerged) == (False, ())
    assert "begun before, waits until the machine is off: 'vmsnap recover'" in again.notes[0]
    assert history(week) == past
    week.hypervisor.stop(week.uuid)
    (done,) = recover_all(week.ports, dry_run=False)
    assert done.outcome == "finished"
    assert {"day2": held(week)["day2"]} == kept


def test_a_chain_is_pruned_while_the_machine_runs(week):
    tell_running(week)
    before = held(week)
    result = prune(week, last=2)
    assert result.unmerged == ()
    assert held(week) == {name: before[name] for name in ("day4", "day5")}


def test_what_an_earlier_delete_left_goes_along(week):
    (one, *_) = week.rows()[0]
    week.ports.catalog.apply(CatalogChange(deleting=(one.id,)))
    result = prune(week, only={PointKind.GROUP}, last=2)
    assert result.deletion.is_complete
    assert result.notes == ("the delete of 'day1', begun before, goes on",)
    assert "day1" not in verdicts(result)
    assert names(week) == ["day4", "day5"]


def test_what_an_earlier_prune_left_is_finished_though_nothing_more_goes(week):
    """H1: 'run the command again', says an interrupted prune."""
    before = held(week)
    failing = Failing(week.ports.images, "commit", raising(ImageError("it broke")), times=99)
    assert prune(week.with_ports(images=failing), only={PointKind.GROUP}, last=2).unmerged
    told = prune(week, last=9, dry_run=True)
    assert (going(told), told.is_done) == ([], False)
    assert told.deletion.changes
    again = prune(week, last=9)
    assert (going(again), again.is_done, again.unmerged) == ([], True, ())
    assert again.notes == ("the delete of 'day1', 'day2', 'day3', begun before, goes on",)
    assert history(week)[-1] == ("prune", "day1, day2, day3", Outcome.DONE)
    assert {name: held(week)[name] for name in ("day4", "day5")} == {
        name: before[name] for name in ("day4", "day5")
    }
    assert names(week) == ["day4", "day5"]
    assert not prune(week, last=9).is_done


def test_where_backups_alone_are_pruned_an_unfinished_delete_of_groups_is_left(week):
    (one, *_) = week.rows()[0]
    week.ports.catalog.apply(CatalogChange(deleting=(one.id,)))
    result = prune(week, only={PointKind.BACKUP}, last=9)
    assert (result.is_done, result.notes) == (False, ())
    assert prune(week, only={PointKind.GROUP}, last=9).is_done


def test_what_a_delete_refuses_is_refused_and_nothing_goes(week):
    week.hypervisor.start(week.uuid)
    week.hypervisor.save(week.uuid)
    before = week.everything()
    with pytest.raises(StateError, match="managed-save"):
        prune(week, last=1)
    assert week.everything() == before
    assert prune(week, only={PointKind.BACKUP}, last=1).is_done
    assert prune(week, last=9).going == ()


def test_a_busy_domain_is_waited_for_and_left_alone(week):
    with (
        week.ports.locks.hold(week.uuid, "group delete", 0),
        pytest.raises(BusyError, match="is busy"),
    ):
        prune(week, last=1)


def test_what_was_interrupted_is_settled_first(week, monkeypatch):
    failing = Failing(week.ports.catalog, "commit", raising(KeyboardInterrupt()))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("vmsnap.engine.journal._settle_after", _die)
        week.with_ports(catalog=failing).create("late")
    assert week.journals()
    prune(week, last=9)
    assert week.journals() == ()


def _die(error, _run, _steps, _done):
    raise error


def test_a_merge_that_fails_leaves_the_group_to_the_next_delete(week):
    """H1: the other points that go are gone, and what stays is whole."""
    before, machine = held(week), week.machine()
    failing = Failing(week.ports.images, "commit", raising(ImageError("it broke")), times=99)
    result = prune(week.with_ports(images=failing), only={PointKind.GROUP}, last=2)
    assert {merge.code for merge in result.unmerged} == {"image"}
    assert history(week)[-1][2] is Outcome.PARTIAL
    again = prune(week, only={PointKind.GROUP}, last=1)
    assert again.deletion.is_complete
    assert names(week) == ["day5"]
    assert held(week)["day5"] == before["day5"]
    assert week.machine() == machine
