"""Faults of config files that need not stop a run which only mends: it does without those keys."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from vmsnap.config.database_urls import hidden
from vmsnap.config.reference import DOMAIN, TITLES
from vmsnap.config.tables import Table
from vmsnap.config.values import nearest
from vmsnap.errors import ConfigError

Value = TypeVar("Value")

NEEDED = ("connect", "database")
"""What a run that mends must be sure of: another database would say that nothing was committed."""


class Faults:
    """The faults of all files that are read: collected where they are tolerated, else raised."""

    def __init__(self, *, are_tolerated: bool) -> None:
        self._are_tolerated = are_tolerated
        self.found: list[ConfigError] = []

    def tried(self, read: Callable[[], Value], otherwise: Value) -> Value:
        """Read a part of a file; `otherwise` is what holds in its place if its fault is tolerated.

        Raises ConfigError for one that is not.
        """
        try:
            return read()
        except ConfigError as fault:
            if not self._are_tolerated:
                raise
            self.found.append(fault)
            return otherwise


def require_sure(file: Path, values: Mapping[str, object]) -> None:
    """Refuse a file with a key that may be meant for `connect` or `database`, in any table.

    Raises ConfigError.
    """
    from difflib import get_close_matches

    for title, key in _keys(values):
        # Comparing takes time that grows with the square of the length.
        is_near = bool(get_close_matches(key[:64].lower(), NEEDED, n=1))
        if is_near and (title or key not in NEEDED):
            hint = "it belongs above all tables" if key in NEEDED else nearest(key, NEEDED)
            raise Table(file, title, {}).error(f"has the unknown key '{hidden(key)}'", hint=hint)


def _keys(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each key with the title of its table; the patterns of domains are no keys."""
    for name, value in values.items():
        yield "", name
        tables = value if isinstance(value, list) else [value]
        if name == DOMAIN and isinstance(value, dict):
            tables = list(value.values())
        for table in tables:
            for key in table if isinstance(table, dict) else ():
                yield TITLES.get(name, f"[{hidden(name)}]"), key
