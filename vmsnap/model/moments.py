"""How messages write a moment, and a length of time."""

from datetime import datetime

_LONG_SECONDS = 10


def local_time(moment: datetime) -> str:
    """Write a moment in local time with its offset: 2026-11-22 18:05:09 +0100."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units at most: 0.4 s, 3 min 5 s, 2 h, 1 d 2 h."""
    if seconds < _LONG_SECONDS:
        return f"{max(seconds, 0.0):.1f} s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(parts[:2]).strip()
