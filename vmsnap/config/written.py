"""The settings of a domain as they would be written into a file."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from vmsnap.config.durations import duration_text

if TYPE_CHECKING:
    from vmsnap.config.domains import DomainSettings
    from vmsnap.model import JsonValue


def written(settings: "DomainSettings") -> "dict[str, JsonValue]":
    """Return the value of each key of config.toml, in its order there; None is no such setting."""
    keep = settings.keep
    return {
        "exclude": list(settings.exclude),
        "without": list(settings.without),
        "quiesce": settings.quiesce.value,
        "overlay_dir": written_path(settings.overlay_dir),
        "max_age": _duration(settings.max_age),
        "keep_last": keep.last,
        "keep_hourly": keep.hourly,
        "keep_daily": keep.daily,
        "keep_weekly": keep.weekly,
        "keep_monthly": keep.monthly,
        "keep_yearly": keep.yearly,
        "keep_within": _duration(keep.within),
        "keep_name": list(keep.names),
        "keep_safety": _duration(keep.safety),
    }


def written_path(path: Path | None) -> str | None:
    """Return a path as text."""
    return None if path is None else str(path)


def _duration(duration: timedelta | None) -> str | None:
    return None if duration is None else duration_text(duration)
