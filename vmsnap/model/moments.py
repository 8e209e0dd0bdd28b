"""How messages write a moment."""

from datetime import datetime


def local_time(moment: datetime) -> str:
    """Write a moment in local time with its offset: 2026-11-22 18:05:09 +0100."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
