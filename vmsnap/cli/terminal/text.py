"""How values look to a person: sizes, times, ages, and text that cannot harm a terminal."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

NOTHING = "-"
"""What a table shows where there is nothing to show."""

# Formatting characters that change the order in which a terminal shows text, and line separators.
_HARMFUL = frozenset("\u2028\u2029\u200e\u200f\u061c" + "\u202a\u202b\u202c\u202d\u202e")
_ISOLATES = frozenset("\u2066\u2067\u2068\u2069")
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_AGES = (("day", 86400), ("hour", 3600), ("minute", 60))


def clean(text: str) -> str:
    """Escape what must not reach a terminal or a log raw: controls, and marks that reorder text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    is_harmful = character in _HARMFUL or character in _ISOLATES
    if is_harmful or unicodedata.category(character) in {"Cc", "Cs"}:
        return character.encode("unicode_escape").decode("ascii")
    return character


def width(text: str) -> int:
    """Return how many columns a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def size(size_bytes: int | None) -> str:
    """Write a number of bytes with a binary unit: 0 B, 528 KiB, 1.5 GiB."""
    if size_bytes is None:
        return NOTHING
    if size_bytes < 1024:  # noqa: PLR2004 - the size of a KiB
        return f"{size_bytes} B"
    # Half a tenth is given away, or rounding would print 1024.0.
    power = next((n for n in range(1, len(_UNITS)) if size_bytes < 1023.95 * 1024**n), len(_UNITS))
    return f"{size_bytes / 1024**power:.1f}".removesuffix(".0") + f" {_UNITS[power - 1]}"


def local_time(moment: datetime | None) -> str:
    """Write a moment in local time with its offset: 2026-11-22 18:05:09 +0100."""
    from vmsnap.model import local_time as written

    return NOTHING if moment is None else written(moment)


def host(host_id: str, this_host: str) -> str:
    """Write a host's UUID, and whether it is the one that this runs on."""
    return f"{host_id} (this host)" if host_id == this_host else host_id


def utc_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC, to the microsecond only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def age(moment: datetime, now: datetime) -> str:
    """Write how long ago a moment was, in its largest unit: 3 days ago, just now."""
    seconds = (now - moment).total_seconds()
    for unit, length in _AGES:
        count = int(seconds // length)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Write how long something took, in its two largest units at most: 0.4 s, 3 min 5 s, 2 h."""
    from vmsnap.model import duration as written

    return written(seconds)


def joined(words: Iterable[str]) -> str:
    """Join words with commas, or say that there are none."""
    return ", ".join(words) or NOTHING
