"""Retention through a year and both changes of clocks, and what a week is across New Year.

They are simulated as a host lives them: points are made, and the rules are held against all that is
left.
"""

from collections import Counter
from datetime import UTC, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from engine.points import BERLIN, DAY, HOUR, at, kept, local, point

from vmsnap.engine.retention import Policy, judge


def lived(step, start, end, policy, zone=BERLIN):
    """Live through a time: make a point at each step, prune after some; return what is left."""
    left, now = [], start
    for number in count(1):
        left.append(point(now))
        is_last = now + step >= end
        if is_last or not number % 5:
            verdicts = judge(left, policy, now, local(zone))
            left = [item.point for item in verdicts if item.is_kept]
        if is_last:
            return left
        now += step
    raise AssertionError


# --- the clocks ----------------------------------------------------------------------------------


def test_an_hour_that_happens_twice_is_two():
    """Berlin, 2026-10-25: from 03:00 the clocks go back to 02:00."""
    start = at(2026, 10, 25, 0)
    points = [point(start + HOUR / 2 * number, str(number)) for number in range(8)]
    found = kept(points, Policy(hourly=9), now=start + 4 * HOUR)
    assert found == {
        "1": ("hourly 4 of 9: 2026-10-25 00:00 +0200",),
        "3": ("hourly 3 of 9: 2026-10-25 01:00 +0200",),
        "5": ("hourly 2 of 9: 2026-10-25 02:00 +0200",),
        "7": ("hourly 1 of 9: 2026-10-25 02:00 +0100",),
    }


def test_an_hour_that_is_left_out_is_no_gap():
    """Berlin, 2026-03-29: from 02:00 the clocks go on to 03:00."""
    start = at(2026, 3, 29, 1)
    points = [point(start + HOUR / 2 * number, str(number)) for number in range(4)]
    assert kept(points, Policy(hourly=2), now=start + 2 * HOUR) == {
        "1": ("hourly 2 of 2: 2026-03-29 01:00 +0100",),
        "3": ("hourly 1 of 2: 2026-03-29 03:00 +0200",),
    }


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)],
    ids=["23 hours", "25 hours", "24 hours"],
)
def test_a_day_is_a_day_however_long_it_is(day, hours):
    midnight = at(*day)
    points = [point(midnight + HOUR * number, str(number)) for number in range(hours)]
    eve = point(midnight - HOUR, "eve")
    after = point(midnight + HOUR * hours, "after")
    found = kept([eve, *points, after], Policy(daily=3), now=midnight + HOUR * (hours + 1))
    assert list(found) == ["eve", str(hours - 1), "after"]


def test_a_day_that_the_clocks_go_back_into_has_one_last_point():
    """St. John's, 2009-11-01: at one minute past midnight it was 23:01 of the day before again."""
    zone = ZoneInfo("America/St_Johns")
    first = at(2009, 11, 1, 0, 0, 30, zone=zone)
    points = [point(first, "first"), point(first + HOUR / 2, "eve"), point(first + HOUR, "later")]
    days = [item.created_at.astimezone(zone).day for item in points]
    assert days == [1, 31, 1]
    assert kept(points, Policy(daily=9), now=first + DAY, zone=zone) == {
        "eve": ("daily 2 of 9: 2009-10-31",),
        "later": ("daily 1 of 9: 2009-11-01",),
    }


def test_half_an_hour_of_a_change_is_a_period_too():
    """Lord Howe's clocks go back by half an hour: 01:30 to 02:00 happens twice."""
    zone = ZoneInfo("Australia/Lord_Howe")
    start = at(2026, 4, 5, 1, 45, zone=zone)
    points = [point(start, "first"), point(start + HOUR / 2, "second")]
    assert kept(points, Policy(hourly=2), now=start + HOUR, zone=zone) == {
        "first": ("hourly 2 of 2: 2026-04-05 01:00 +1100",),
        "second": ("hourly 1 of 2: 2026-04-05 01:00 +1030",),
    }


def test_the_week_across_new_year_is_one():
    """2026-12-28, a Monday, to 2027-01-03 is week 53 of 2026; it is monthly and yearly two."""
    points = [point(at(2026, 12, 28, 9) + DAY * number) for number in range(8)]
    found = kept(points, Policy(weekly=2, monthly=2, yearly=2), now=at(2027, 1, 5))
    assert found == {
        "2026-12-31-0800": ("monthly 2 of 2: 2026-12", "yearly 2 of 2: 2026"),
        "2027-01-03-0800": ("weekly 2 of 2: 2026-W53",),
        "2027-01-04-0800": (
            "weekly 1 of 2: 2027-W01",
            "monthly 1 of 2: 2027-01",
            "yearly 1 of 2: 2027",
        ),
    }


def test_the_zone_decides_what_a_day_is():
    evening = at(2026, 11, 20, 23, 30)
    points = [point(evening, "evening"), point(evening + HOUR, "night")]
    assert list(kept(points, Policy(daily=9))) == ["evening", "night"]
    assert list(kept(points, Policy(daily=9), zone=UTC)) == ["night"]


# --- a year --------------------------------------------------------------------------------------


def test_a_year_of_hourly_points_leaves_what_the_rules_say():
    """As sanoid's 1_one_year; pruned every five hours, over both changes of clocks."""
    policy = Policy(hourly=36, daily=30, monthly=6, yearly=2)
    left = lived(HOUR, at(2026, 1, 1), at(2027, 1, 1, 0, 30), policy)
    names = {item.created_at for item in left}
    end = at(2027, 1, 1)
    hourly = {end - HOUR * number for number in range(36)}
    daily = {at(2026, 12, day, 23) for day in range(3, 32)} | {end}
    monthly = {at(2026, month, day, 23) for month, day in ((8, 31), (9, 30), (10, 31), (11, 30))}
    assert names == hourly | daily | monthly | {at(2026, 12, 31, 23), end}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Havana"])
def test_pruning_daily_leaves_the_same_as_pruning_once(zone):
    """What went early is nothing that a later run would have kept."""
    policy = Policy(daily=14, weekly=6, monthly=14, yearly=3)
    start = at(2024, 12, 1, 5, zone=ZoneInfo(zone))
    end = start + 500 * DAY
    step = timedelta(hours=7)
    left = lived(step, start, end, policy, ZoneInfo(zone))
    everything = [point(start + step * number) for number in range(1 + (end - start) // step)]
    everything = [item for item in everything if item.created_at < end]
    once = judge(everything, policy, everything[-1].created_at, local(ZoneInfo(zone)))
    assert left == [item.point for item in once if item.is_kept]


def test_a_year_of_points_has_one_of_each_day_through_both_changes_of_clocks():
    """As sanoid's 2_dst_handling."""
    left = lived(HOUR, at(2026, 3, 1), at(2026, 11, 1), Policy(daily=999))
    days = Counter(item.created_at.astimezone(BERLIN).date() for item in left)
    assert len(days) == 245
    assert set(days.values()) == {1}
    assert {item.created_at.astimezone(BERLIN).hour for item in left} == {23}
