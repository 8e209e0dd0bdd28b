"""Retention: which of a domain's points are kept, which go, and why (pure).

Each rule looks at the points for itself, and what one of them keeps is kept: the rules add up. Of
each hour, day, week, month or year the last point is kept; N counts those that have a point. Hours,
days and weeks are those of the local time: an hour that the clocks go through twice is two.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase

from vmsnap.model import ResourceId, duration

SAFETY_LIMIT = timedelta(days=14)
"""How long safety groups and safety backups are kept unless something else is said."""

_PERIODS = (
    ("hourly", "%Y-%m-%d %H:00 %z"),
    ("daily", "%Y-%m-%d"),
    ("weekly", "%G-W%V"),
    ("monthly", "%Y-%m"),
    ("yearly", "%Y"),
)
"""The rules for periods, and how a moment's period is written: it is known by that."""


class PointKind(Enum):
    """What a point is: each kind is a series of its own."""

    GROUP = "group"
    SAFETY_GROUP = "safety group"
    BACKUP = "backup"
    SAFETY_BACKUP = "safety backup"

    @property
    def is_backup(self) -> bool:
        """Whether it holds no disks."""
        return self in {PointKind.BACKUP, PointKind.SAFETY_BACKUP}

    @property
    def is_safety(self) -> bool:
        """Whether it was kept for an undo, and has an age limit in place of the rules."""
        return self in {PointKind.SAFETY_GROUP, PointKind.SAFETY_BACKUP}


@dataclass(frozen=True, slots=True)
class Point:
    """A group, or a backup of its own, as far as retention needs it.

    `defect` says what is amiss with one that is damaged, None of one that is whole.
    """

    id: ResourceId
    kind: PointKind
    name: str
    created_at: datetime
    is_pinned: bool = False
    defect: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules; 0 and None are no rule. `safety` is the age limit of safety points."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: timedelta | None = None
    names: tuple[str, ...] = ()
    safety: timedelta = SAFETY_LIMIT

    @property
    def has_rules(self) -> bool:
        """Whether any rule says what to keep; without one everything would go."""
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        return any((*counts, self.within, self.names))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a point is kept, and every reason for it, in words."""

    point: Point
    is_kept: bool
    reasons: tuple[str, ...]


def judge(
    points: Iterable[Point],
    policy: Policy,
    now: datetime,
    to_local: Callable[[datetime], datetime],
    *,
    may_be_empty: bool = False,
) -> tuple[Verdict, ...]:
    """Judge all points of one domain, oldest first.

    A damaged point counts for no rule, and so does one whose time is still to come: neither takes
    the place of a good one. Both are kept, for somebody to look at. Safety points go by their age.
    Unless the domain `may_be_empty`, its newest whole group always stays (a safety group only if
    there is no other), and so does its newest whole backup.
    """
    found = sorted(points, key=lambda point: (point.created_at, point.id))
    whole = [point for point in found if point.defect is None and point.created_at <= now]
    kept = {point.id: list(_own_reasons(point, policy, now)) for point in found}
    for kind in (PointKind.GROUP, PointKind.BACKUP):
        series = [point for point in reversed(whole) if point.kind is kind]
        for point, reason in _chosen(series, policy, to_local):
            kept[point.id].append(reason)
    for point in () if may_be_empty else _last_ones(whole):
        if not kept[point.id]:
            word = "backup" if point.kind is PointKind.BACKUP else "group"
            kept[point.id].append(f"the domain's last complete {word}")
    return tuple(
        Verdict(point, is_kept=True, reasons=tuple(kept[point.id]))
        if kept[point.id]
        else Verdict(point, is_kept=False, reasons=(_why_it_goes(point, policy),))
        for point in found
    )


def _own_reasons(point: Point, policy: Policy, now: datetime) -> Iterable[str]:
    """Yield what keeps a point whatever others there are."""
    if point.is_pinned:
        yield "pinned"
    if point.created_at > now:
        yield "its time is still to come: was the clock set back?"
    if point.kind.is_safety:
        if timedelta() <= now - point.created_at < policy.safety:
            yield f"younger than {_words(policy.safety)}"
        return
    if point.defect is not None:
        yield f"damaged, and counts for no rule: {point.defect}"
    for pattern in policy.names:
        if fnmatchcase(point.name, pattern):
            yield f"named {pattern}"
    if policy.within is not None and timedelta() <= now - point.created_at < policy.within:
        yield f"younger than {_words(policy.within)}"


def _chosen(
    newest_first: Sequence[Point], policy: Policy, to_local: Callable[[datetime], datetime]
) -> Iterable[tuple[Point, str]]:
    """Yield the points of one series that a number of last ones or of periods keeps."""
    for number, point in enumerate(newest_first[: policy.last], start=1):
        yield point, f"last {number} of {policy.last}"
    counts = (policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly)
    for (rule, form), count in zip(_PERIODS, counts, strict=True):
        ends: dict[str, Point] = {}
        for point in newest_first if count else ():
            ends.setdefault(to_local(point.created_at).strftime(form), point)
        for number, (period, point) in enumerate(list(ends.items())[:count], start=1):
            yield point, f"{rule} {number} of {count}: {period}"


def _last_ones(whole: Sequence[Point]) -> Iterable[Point]:
    """Yield the points without which a domain would have no group, or no backup of its own."""
    newest = {point.kind: point for point in whole}
    group = newest.get(PointKind.GROUP, newest.get(PointKind.SAFETY_GROUP))
    return (point for point in (group, newest.get(PointKind.BACKUP)) if point is not None)


def _why_it_goes(point: Point, policy: Policy) -> str:
    if point.kind.is_safety:
        return f"older than {_words(policy.safety)}"
    return "no rule keeps it"


def _words(length: timedelta) -> str:
    return duration(length.total_seconds())
