"""Points to judge, and what is kept of them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from vmsnap.engine.retention import Point, PointKind, judge
from vmsnap.model import ResourceId

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def local(zone=BERLIN):
    return lambda moment: moment.astimezone(zone)


def point(created_at, name="", kind=PointKind.GROUP, **options):
    id_ = ResourceId(f"{created_at.isoformat()} {name}")
    return Point(id_, kind, name or f"{created_at:%Y-%m-%d-%H%M}", created_at, **options)


def every(step, number, end=NOW, **options):
    """Make points, the last one a step before the end; oldest first."""
    return [point(end - step * back, **options) for back in range(number, 0, -1)]


def kept(points, policy, now=NOW, zone=BERLIN, **options):
    """Return the kept points' names with the reasons."""
    verdicts = judge(points, policy, now, local(zone), **options)
    assert len(verdicts) == len(points)
    assert all(verdict.reasons for verdict in verdicts), "each says why"
    return {item.point.name: item.reasons for item in verdicts if item.is_kept}


def at(*parts, zone=BERLIN, fold=0):
    return datetime(*parts, tzinfo=zone, fold=fold).astimezone(UTC)
