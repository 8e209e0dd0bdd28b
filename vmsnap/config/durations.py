"""Durations as they are typed: 90s, 45m, 26h, 30d, 6w."""

import re
from datetime import timedelta

DURATION_WORDS = "a duration such as 90s, 45m, 26h, 30d or 6w"

_DURATION = re.compile(r"([0-9]{1,10})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# A century: a moment so long before now is still one that datetime can hold.
_LONGEST = timedelta(days=36_500)


def parse_duration(text: str) -> timedelta:
    """Read a whole number with its unit: s, m, h, d or w.

    Raises ValueError, whose text says what is wanted, for anything else and for over 36500 days.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(DURATION_WORDS)
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > _LONGEST:
        raise ValueError(f"{DURATION_WORDS}, at most {_LONGEST.days}d")
    return duration


def duration_text(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same: in whole days, hours, minutes."""
    seconds = int(duration.total_seconds())
    for unit in "dhm":
        length = int(parse_duration(f"1{unit}").total_seconds())
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
