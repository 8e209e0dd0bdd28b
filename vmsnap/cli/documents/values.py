"""Values that JSON has no type for: paths and times."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.model import JsonValue


def texts(items: Iterable[str]) -> "list[JsonValue]":
    """Turn texts into a JSON array."""
    return list(items)


def path_text(path: Path | None) -> str | None:
    """Turn a path into text; null stays null."""
    return None if path is None else str(path)


def time_text(moment: datetime | None) -> str | None:
    """Turn a moment into text, in UTC; null stays null."""
    return None if moment is None else utc_time(moment)
