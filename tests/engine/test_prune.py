"""Pruning: what no rule keeps ends in one operation, and everything else reads as before."""

from datetime import UTC, datetime, timedelta

import pytest
from engine.conftest import OTHER_HOST, WEEK
from engine.pruning import NOTHING, backups, going, held, history, names, prune, verdicts
from engine.test_rebuild import lose_database
from engine.test_rebuild import run as rebuild

from vmsnap.engine.backup import create_backup
from vmsnap.engine.listing import list_groups
from vmsnap.engine.pin import pin_groups
from vmsnap.engine.requests import CreateRequest, PinRequest, RestoreRequest, UngroupRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.retention import PointKind
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import UndoRefusedError, UsageError
from vmsnap.model import Outcome

DAY = timedelta(days=1)


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


def test_the_periods_are_those_of_the_hosts_time_zone(world, berlin):
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


def test_a_group_whose_host_files_were_lost_takes_no_place(week):
    """H42: they went with the database; what was made since is good."""
    world = lose_database(week)
    rebuild(world)
    world.create("since")
    result = prune(world, last=1)
    assert verdicts(result)["since"] == (True, "last 1 of 1")
    assert verdicts(result)["day5"] == (
        True,
        "damaged, and counts for no rule: its nvram is lost",
    )


def test_a_group_made_at_a_wrong_time_is_kept_and_named(week):
    week.ports.clock.time = WEEK + DAY * 900
    week.create("ahead")
    week.ports.clock.time = WEEK + DAY * 5
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
