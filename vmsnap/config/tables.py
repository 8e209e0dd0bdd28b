"""A table of one config file: its keys are known ones, and each value says where it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vmsnap.config.database_urls import hidden
from vmsnap.config.reference import TITLES, TOP, keys_of, tables_with
from vmsnap.config.values import checked, nearest
from vmsnap.errors import ConfigError

Value = TypeVar("Value")

FILE = "file"


@dataclass(frozen=True, slots=True)
class Table:
    """The values of a table; `title` is how it stands in the file, empty for the keys above all."""

    file: Path
    title: str
    values: Mapping[str, object]

    @property
    def source(self) -> str:
        """Where its values come from, as `sources` says it."""
        return f"{FILE} {self.file} {self.title}".rstrip()

    def value(self, key: str, read: Callable[[object], Value]) -> Value:
        """Read a key that is there. Raises ConfigError naming file, table and key."""
        return checked(read, self.values[key], f"key '{key}' in {self._place()}")

    def require_known(self, table: str) -> None:
        """Raise ConfigError for a key that this kind of table does not take."""
        known = keys_of(table)
        for key in sorted(self.values.keys() - {*known}):
            raise ConfigError(
                f"{self._place(begins=True)} has the unknown key '{hidden(key)}'",
                hint=_meant(key, known),
            )

    def error(self, what: str, *, hint: str | None = None) -> ConfigError:
        """Return the error that says something of this table."""
        return ConfigError(f"{self._place(begins=True)} {what}", hint=hint)

    def _place(self, *, begins: bool = False) -> str:
        if self.title:
            return f"{self.title} of '{self.file}'"
        return f"config file '{self.file}'" if begins else f"'{self.file}'"


def top_table(file: Path, values: Mapping[str, object]) -> Table:
    """Return the keys above all tables. Raises ConfigError for unknown keys and tables."""
    tables = [table for table in TITLES if table != TOP]
    for key, value in values.items():
        if key not in tables and _is_table(value) and key not in keys_of(TOP):
            raise ConfigError(
                f"config file '{file}' has the unknown table '{hidden(key)}'",
                hint=nearest(key, tables),
            )
    top = Table(file, "", {key: value for key, value in values.items() if key not in tables})
    top.require_known(TOP)
    return top


def _is_table(value: object) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict)


def _meant(key: str, known: tuple[str, ...]) -> str:
    elsewhere = tables_with(key.replace("-", "_"))
    if elsewhere:
        return f"it belongs in {' or '.join(elsewhere)}"
    return nearest(key, known)
