"""Retention: what each rule keeps, and what never goes."""

from datetime import timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from engine.points import DAY, HOUR, NOW, at, every, kept, local, point
from hypothesis import given, settings
from hypothesis import strategies as some

from vmsnap.engine.retention import PointKind, Policy, judge

# --- the rules, one by one -----------------------------------------------------------------------


def test_the_last_ones_are_counted_from_the_newest():
    points = every(HOUR, 5)
    assert kept(points, Policy(last=2)) == {
        points[4].name: ("last 1 of 2",),
        points[3].name: ("last 2 of 2",),
    }


def test_what_no_rule_keeps_says_so():
    (old, new) = judge(every(DAY, 2), Policy(last=1), NOW, local())
    assert (old.is_kept, old.reasons) == (False, ("no rule keeps it",))
    assert (new.is_kept, new.reasons) == (True, ("last 1 of 1",))


def test_of_each_day_the_last_point_is_kept():
    points = [
        point(at(2026, 11, day, hour), f"{day}-{hour}") for day in (20, 21, 22) for hour in (1, 9)
    ]
    assert kept(points, Policy(daily=2), NOW) == {
        "22-9": ("daily 1 of 2: 2026-11-22",),
        "21-9": ("daily 2 of 2: 2026-11-21",),
    }


def test_days_without_a_point_are_not_counted():
    days = (1, 2, 9, 20)
    points = [point(at(2026, 11, day, 8), str(day)) for day in days]
    assert list(kept(points, Policy(daily=3))) == ["2", "9", "20"]


@pytest.mark.parametrize(
    ("rule", "period"),
    [
        ("hourly", "2026-11-22 12:00 +0100"),
        ("daily", "2026-11-22"),
        ("weekly", "2026-W47"),
        ("monthly", "2026-11"),
        ("yearly", "2026"),
    ],
)
def test_each_rule_names_its_period(rule, period):
    newest = point(NOW - timedelta(minutes=10), "newest")
    found = kept([newest], Policy(**{rule: 4}))
    assert found == {"newest": (f"{rule} 1 of 4: {period}",)}


def test_rules_add_up_and_each_reason_is_told():
    points = every(DAY, 40)
    found = kept(points, Policy(last=1, daily=2, monthly=2))
    assert len(found) == 3
    assert found[points[-1].name] == (
        "last 1 of 1",
        "daily 1 of 2: 2026-11-21",
        "monthly 1 of 2: 2026-11",
    )
    assert [name for name, reasons in found.items() if reasons == ("monthly 2 of 2: 2026-10",)] == [
        "2026-10-31-1200"
    ]


def test_what_is_younger_than_a_time_is_kept():
    points = every(DAY, 4)
    assert kept(points, Policy(within=3 * DAY)) == {
        point.name: ("younger than 3 d",) for point in points[2:]
    }, "three days old is not younger than three days"


def test_what_is_named_so_is_kept():
    points = [point(NOW - DAY, name) for name in ("before-upgrade", "Before-lunch", "daily")]
    assert kept(points, Policy(names=("before-*", "*ly"))) == {
        "before-upgrade": ("named before-*",),
        "daily": ("named *ly",),
    }


def test_a_pinned_point_is_kept_and_counts_as_any_other():
    points = [*every(DAY, 2, end=NOW - DAY), point(NOW - HOUR, "pinned", is_pinned=True)]
    assert list(kept(points, Policy(last=2))) == [points[1].name, "pinned"]
    assert kept(points, Policy(last=1))["pinned"] == ("pinned", "last 1 of 1")
    old = point(NOW - 900 * DAY, "old", is_pinned=True)
    assert kept([old, *points], Policy(last=1))["old"] == ("pinned",)


def test_a_policy_knows_whether_it_has_a_rule():
    assert not Policy().has_rules
    assert not Policy(last=0, safety=DAY).has_rules
    for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        assert Policy(**{rule: 1}).has_rules
    assert Policy(within=DAY).has_rules
    assert Policy(names=("x",)).has_rules


# --- what never goes -----------------------------------------------------------------------------


def test_the_newest_whole_group_and_backup_always_stay():
    points = [
        point(NOW - age * DAY, f"{kind.value} {age}", kind)
        for kind in (PointKind.GROUP, PointKind.BACKUP)
        for age in (90, 60)
    ]
    assert kept(points, Policy(within=DAY)) == {
        "group 60": ("the domain's last complete group",),
        "backup 60": ("the domain's last complete backup",),
    }
    assert kept(points, Policy(within=DAY), may_be_empty=True) == {}


def test_a_safety_group_stays_as_the_last_group_of_all_and_a_safety_backup_does_not():
    """A backup beside it is no way back for the disks, and each group has one of its own."""
    group = point(NOW - 60 * DAY, "group", PointKind.SAFETY_GROUP)
    backup = point(NOW - 60 * DAY, "backup", PointKind.SAFETY_BACKUP)
    assert kept([group, backup], Policy(last=1)) == {
        "group": ("the domain's last complete group",),
    }
    other = point(NOW - 90 * DAY, "other")
    assert list(kept([other, group, backup], Policy(last=1))) == ["other"]


def test_a_damaged_point_takes_no_place_and_is_left_to_be_looked_at():
    """H42: the good one does not go in its stead."""
    good = point(NOW - 2 * DAY, "good")
    bad = point(NOW - DAY, "bad", defect="disk vda: its file is missing")
    assert kept([good, bad], Policy(last=1, daily=1)) == {
        "good": ("last 1 of 1", "daily 1 of 1: 2026-11-20"),
        "bad": ("damaged, and counts for no rule: disk vda: its file is missing",),
    }
    assert kept([good, bad], Policy(within=HOUR))["good"] == ("the domain's last complete group",)


def test_a_point_whose_time_is_to_come_is_kept_and_takes_no_place():
    """The clock was wrong for a while, or was set back."""
    ahead = point(NOW + 900 * DAY, "ahead")
    points = [*every(DAY, 2), ahead]
    found = kept(points, Policy(last=1, yearly=1, within=HOUR))
    assert found["ahead"] == ("its time is still to come: was the clock set back?",)
    assert found[points[1].name] == ("last 1 of 1", "yearly 1 of 1: 2026")
    assert len(found) == 2
    safety = point(NOW + DAY, "safety", PointKind.SAFETY_GROUP)
    assert "safety" in kept([safety], Policy(last=1), may_be_empty=True)


def test_safety_points_go_by_their_age_alone():
    points = [
        point(NOW - timedelta(days=age), f"{kind.value} {age}", kind)
        for kind in (PointKind.SAFETY_GROUP, PointKind.SAFETY_BACKUP)
        for age in (30, 14, 13)
    ]
    group = point(NOW - 99 * DAY, "group")
    found = kept([*points, group], Policy(last=9, daily=9, names=("*",)))
    assert found == {
        "safety group 13": ("younger than 14 d",),
        "safety backup 13": ("younger than 14 d",),
        "group": ("named *", "last 1 of 9", "daily 1 of 9: 2026-08-15"),
    }
    verdicts = judge(points, Policy(last=1, safety=DAY), NOW, local(), may_be_empty=True)
    assert {item.reasons for item in verdicts} == {("older than 1 d",)}


def test_each_kind_is_a_series_of_its_own():
    points = [
        point(NOW - age * DAY, f"{kind.value} {age}", kind)
        for age in (3, 2, 1)
        for kind in (PointKind.GROUP, PointKind.BACKUP)
    ]
    assert set(kept(points, Policy(last=2))) == {
        *("group 2", "backup 2", "group 1", "backup 1"),
    }


# --- any points ----------------------------------------------------------------------------------


def seconds(limit):
    return some.integers(-limit, limit).map(lambda number: NOW + timedelta(seconds=number))


POLICIES = some.builds(
    Policy,
    **dict.fromkeys(
        ("last", "hourly", "daily", "weekly", "monthly", "yearly"), some.integers(0, 3)
    ),
    within=some.none() | some.integers(1, 9 * 86400).map(lambda number: timedelta(seconds=number)),
    names=some.sampled_from([(), ("a*",), ("b*", "a1*")]),
)
POINTS = some.lists(
    some.builds(
        point,
        seconds(40 * 86400),
        some.from_regex("[ab][0-9]{0,2}", fullmatch=True),
        some.sampled_from(PointKind),
        is_pinned=some.booleans(),
        defect=some.sampled_from([None, None, "broken"]),
    ),
    max_size=30,
    unique_by=lambda item: item.id,
)
ZONES = some.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Chatham"])
PERIODS = {
    "hourly": lambda there: (there.date(), there.hour, there.utcoffset()),
    "daily": lambda there: there.date(),
    "weekly": lambda there: there.isocalendar()[:2],
    "monthly": lambda there: (there.year, there.month),
    "yearly": lambda there: there.year,
}


@settings(max_examples=300, deadline=None)
@given(points=POINTS, policy=POLICIES, name=ZONES)
def test_no_good_point_goes_whose_period_is_among_the_last(points, policy, name):
    """The rules, counted otherwise: from a point to those behind it."""
    zone = ZoneInfo(name)
    verdicts = judge(points, policy, NOW, local(zone))
    assert [item.point for item in verdicts] == sorted(points, key=lambda p: (p.created_at, p.id))
    whole = [item for item in verdicts if item.point.defect is None]
    past = [item for item in whole if item.point.created_at <= NOW]
    for item in verdicts:
        here = item.point
        later = [
            other.point
            for other in past
            if other.point.kind is here.kind
            and (other.point.created_at, other.point.id) > (here.created_at, here.id)
        ]
        wanted = here.is_pinned or here.created_at > NOW
        if here.kind.is_safety:
            wanted = wanted or NOW - here.created_at < policy.safety
        else:
            wanted = wanted or here.defect is not None
            wanted = wanted or (policy.within is not None and NOW - here.created_at < policy.within)
            wanted = wanted or any(here.name.startswith(text.strip("*")) for text in policy.names)
            wanted = wanted or len(later) < policy.last
            for rule, period in PERIODS.items():
                mine = period(here.created_at.astimezone(zone))
                behind = {period(other.created_at.astimezone(zone)) for other in later}
                wanted = wanted or (mine not in behind and len(behind) < getattr(policy, rule))
        is_last = item.reasons[0].startswith("the domain's last")
        assert item.is_kept == (wanted or is_last), item
        assert not (is_last and wanted)


@settings(max_examples=100, deadline=None)
@given(points=POINTS, policy=POLICIES)
def test_a_second_look_at_what_is_left_finds_nothing_to_do(points, policy):
    first = judge(points, policy, NOW, local())
    left = [item.point for item in first if item.is_kept]
    assert all(item.is_kept for item in judge(left, policy, NOW, local()))


@settings(max_examples=100, deadline=None)
@given(points=POINTS, policy=POLICIES)
def test_a_domain_that_had_a_good_point_is_never_left_without_one(points, policy):
    left = [item.point for item in judge(points, policy, NOW, local()) if item.is_kept]
    groups = {PointKind.GROUP, PointKind.SAFETY_GROUP}
    for kinds in (groups, {PointKind.BACKUP}):
        good = [item for item in points if item.kind in kinds and item.defect is None]
        assert not good or any(item in left for item in good)


def test_points_of_the_same_second_are_told_apart():
    numbers = count()
    points = [point(NOW - DAY, f"same {next(numbers)}") for _ in range(3)]
    assert list(kept(points, Policy(last=1))) == ["same 2"]
