"""Pruning: what no rule keeps ends in one operation, and everything else reads as before."""

import time
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from engine.conftest import OTHER_HOST
from fakes.failing import Failing, raising
from fakes.merging import merging_images

from vmsnap.engine.backup import create_backup
from vmsnap.engine.listing import list_groups
from vmsnap.engine.pin import pin_groups
from vmsnap.engine.prune import prune_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import (
    CreateRequest,
    PinRequest,
    PruneRequest,
    RestoreRequest,
    UngroupRequest,
)
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.retention import PointKind, Policy
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import BusyError, ImageError, StateError, UndoRefusedError, UsageError
from vmsnap.model import CatalogChange, GroupState, Outcome, ResourceKind

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NOTHING = MappingProxyType({"within": timedelta(milliseconds=1), "may_be_empty": True})
"""Options that keep no point."""


@pytest.fixture(autouse=True)
def _zone(monkeypatch):
    """The host is in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def prune(world, only=None, **options):
    policy = Policy(**{key: options.pop(key) for key in tuple(options) if hasattr(Policy(), key)})
    kinds = frozenset(PointKind if only is None else only)
    request = PruneRequest(policy, kinds, **options)
    return prune_domain(world.ports, world.name, lambda _name: request)


def names(world):
    return [group.name for group in world.rows()[0]]


def backups(world):
    return [item.name for item in world.rows()[1] if item.kind is not ResourceKind.GROUP]


def verdicts(result):
    return {item.point.name: (item.is_kept, *item.reasons) for item in result.verdicts}


def going(result):
    return [item.point.name for item in result.going]


def held(world):
    """What each group reads, by its name."""
    views = list_groups(world.ports, world.name).groups
    return {view.group.name: world.group_disks(view) for view in views}


def history(world):
    entries = world.ports.catalog.history()
    return [(item.operation.verb, item.operation.subject, item.outcome) for item in entries]


def tell_running(world):
    world.hypervisor.on_merge = merging_images(world.hypervisor)
    world.hypervisor.start(world.uuid)


@pytest.fixture
def week(world):
    """A group and a backup of each of five days; the clock stands at the sixth."""
    for number in range(5):
        world.ports.clock.time = START + DAY * number
        world.fill(number + 1)
        world.create(f"day{number + 1}")
        create_backup(world.ports, world.name, CreateRequest(name=f"kept{number + 1}"))
    world.fill(9)
    world.ports.clock.time = START + DAY * 5
    return world


def test_what_no_rule_keeps_goes_in_one_operation(week):
    before, machine = held(week), week.machine()
    result = prune(week, last=1, daily=3)
    assert result.is_done
    assert going(result) == ["day1", "kept1", "day2", "kept2"]
    assert verdicts(result)["day4"] == (True, "daily 2 of 3: 2026-11-04")
    assert verdicts(result)["day5"] == (True, "last 1 of 1", "daily 1 of 3: 2026-11-05")
    assert held(week) == {name: before[name] for name in ("day3", "day4", "day5")}
    assert backups(week) == ["kept3", "kept4", "kept5"]
    assert week.machine() == machine
    assert history(week)[-1] == ("prune", "day1, kept1, day2, kept2", Outcome.DONE)
    assert result.unmerged == ()


def test_a_dry_run_says_the_same_and_changes_nothing(week):
    before = week.everything()
    told = prune(week, last=2, dry_run=True)
    assert week.everything() == before
    assert not told.is_done
    assert told.deletion.changes
    assert verdicts(told) == verdicts(prune(week, last=2))


def test_a_second_prune_right_after_does_nothing(week):
    prune(week, last=2)
    before, past = week.everything(), history(week)
    result = prune(week, last=2)
    assert (result.is_done, going(result), result.deletion) == (False, [], None)
    assert week.everything() == before
    assert history(week) == past


def test_groups_alone_or_backups_alone_are_pruned(week):
    result = prune(week, only={PointKind.BACKUP, PointKind.SAFETY_BACKUP}, last=1)
    assert set(verdicts(result)) == {f"kept{number}" for number in range(1, 6)}
    assert (len(names(week)), backups(week)) == (5, ["kept5"])
    assert result.deletion is None
    prune(week, only={PointKind.GROUP, PointKind.SAFETY_GROUP}, last=1)
    assert (names(week), backups(week)) == (["day5"], ["kept5"])


def test_a_policy_without_a_rule_is_refused(week):
    before = week.everything()
    for policy in ({}, {"last": 0}, {"safety": DAY}):
        with pytest.raises(UsageError, match="no rule says what to keep of domain") as caught:
            prune(week, **policy)
        assert caught.value.hint == f"vmsnap prune --keep-daily 7 --dry-run {week.name}"
    result = prune(week, skips_unruled=True)
    assert (result.is_ruled, result.is_done, result.verdicts) == (False, False, ())
    assert week.everything() == before


def test_a_domain_is_not_emptied_unless_that_is_wanted(week):
    result = prune(week, within=timedelta(hours=1))
    assert verdicts(result)["day5"] == (True, "the domain's last complete group")
    assert verdicts(result)["kept5"] == (True, "the domain's last complete backup")
    assert (names(week), backups(week)) == (["day5"], ["kept5"])
    result = prune(week, within=timedelta(hours=1), may_be_empty=True)
    assert going(result) == ["day5", "kept5"]
    assert (names(week), backups(week)) == ([], [])
    assert {target: week.active(target) for target in week.disks} == week.disks
    assert prune(week, last=1).verdicts == ()


def test_a_pinned_group_stays(week):
    pin_groups(week.ports, week.name, ["day2"], PinRequest())
    before = held(week)["day2"]
    result = prune(week, last=1)
    assert verdicts(result)["day2"] == (True, "pinned")
    assert names(week) == ["day2", "day5"]
    assert held(week)["day2"] == before


def test_the_periods_are_those_of_the_hosts_time_zone(world):
    evening = datetime(2026, 11, 1, 22, 30, tzinfo=UTC)
    for name, moment in (("evening", evening), ("night", evening + timedelta(hours=1))):
        world.ports.clock.time = moment
        world.create(name)
    result = prune(world, daily=9, dry_run=True)
    assert verdicts(result) == {
        "evening": (True, "daily 2 of 9: 2026-11-01"),
        "night": (True, "daily 1 of 9: 2026-11-02"),
    }


def test_a_group_whose_layer_is_lost_takes_no_place(week):
    """H42: the newest is damaged; the one before it stays, and so does it, to be looked at."""
    view = list_groups(week.ports, week.name).groups[-1]
    week.active("vda").rename(week.folder / "away")
    (disk,) = (disk for disk in view.disks if disk.target == "vda")
    disk.frozen_path.rename(week.folder / "lost")
    result = prune(week, last=1, dry_run=True, only={PointKind.GROUP})
    assert verdicts(result)["day4"] == (True, "last 1 of 1")
    is_kept, reason = verdicts(result)["day5"]
    assert is_kept
    assert reason == (
        f"damaged, and counts for no rule: disk vda: layer '{disk.frozen_path}' is missing"
    )


def test_a_group_whose_layer_was_written_to_takes_no_place(week):
    """H42."""
    view = list_groups(week.ports, week.name).groups[-1]
    with view.disks[0].frozen_path.open("r+b") as file:
        file.seek(70000)
        file.write(b"x")
    result = prune(week, last=1, dry_run=True, only={PointKind.GROUP})
    assert verdicts(result)["day4"] == (True, "last 1 of 1")
    assert "was changed after it was frozen" in verdicts(result)["day5"][1]


def test_a_group_made_at_a_wrong_time_is_kept_and_named(week):
    week.ports.clock.time = START + DAY * 900
    week.create("ahead")
    week.ports.clock.time = START + DAY * 5
    result = prune(week, last=1)
    assert verdicts(result)["ahead"] == (True, "its time is still to come: was the clock set back?")
    assert names(week) == ["day5", "ahead"]


def test_single_snapshots_are_left_alone(week):
    ungroup(week.ports, week.name, "day1", UngroupRequest())
    result = prune(week, last=1)
    assert "day1/vda" not in verdicts(result)
    assert {name for name in names(week) if "/" in name} == {"day1/vda", "day1/vdb"}


# --- safety points -------------------------------------------------------------------------------


def test_safety_points_stay_for_their_time_and_then_go(week):
    week.revert("day1")
    week.fill(7)
    week.create("after")
    safety = next(name for name in names(week) if name.startswith("safety"))
    result = prune(week, last=1)
    assert verdicts(result)[safety] == (True, "younger than 14 d")
    assert sorted(names(week)) == ["after", safety]
    machine = week.machine()
    week.ports.clock.time += DAY * 15
    result = prune(week, last=9)
    assert verdicts(result)[safety] == (False, "older than 14 d")
    assert names(week) == ["after"]
    assert week.machine() == machine


def test_the_undo_that_ends_is_told_and_its_record_let_go(week):
    restore_backup(week.ports, week.name, "kept1", RestoreRequest())
    (safety,) = [name for name in backups(week) if name.startswith("safety")]
    assert prune(week, last=9).notes == ()
    week.ports.clock.time += DAY * 2
    result = prune(week, last=9, safety=DAY)
    assert going(result) == [safety]
    assert result.notes == (
        "what 'vmsnap undo' goes back to is among them: there is no undo after this",
    )
    assert week.rows()[3][0].safety_id is None
    with pytest.raises(UndoRefusedError):
        week.undo()


def test_the_last_safety_group_stays_where_there_is_no_other_group(week):
    week.revert("day1")
    (safety,) = [name for name in names(week) if name.startswith("safety")]
    week.delete(*(name for name in names(week) if name != safety))
    week.ports.clock.time += DAY * 99
    assert verdicts(prune(week, last=1))[safety] == (True, "the domain's last complete group")


# --- the hosts -----------------------------------------------------------------------------------


def test_a_prune_takes_nothing_of_the_other_hosts(world, other):
    """H61: though the domain has the same UUID, and its points the same names."""
    for seen in (world, other):
        seen.create("monday")
        create_backup(seen.ports, seen.name, CreateRequest(name="kept"))
        seen.create("tuesday")
    before = [group for group in world.rows()[0] if group.resource.host_id == OTHER_HOST]
    kept = (other.machine(), other.files())
    result = prune(world, **NOTHING)
    assert [item.point.name for item in result.going] == ["monday", "kept", "tuesday"]
    assert list(world.rows()[0]) == before
    assert [item.name for item in world.rows()[1]] == ["monday", "kept", "tuesday"]
    assert {item.host_id for item in world.rows()[1]} == {OTHER_HOST}
    assert (other.machine(), other.files()) == kept
    assert len(prune(other, **NOTHING).going) == 3


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
    assert "begun before, waits for the next delete, or 'vmsnap recover'" in again.notes[0]
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
