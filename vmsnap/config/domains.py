"""What holds for one domain: the tables [defaults] and [domain."PATTERN"], put together by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from vmsnap.config.reference import DEFAULTS, DOMAIN
from vmsnap.config.tables import Table
from vmsnap.config.values import (
    count,
    duration,
    list_of_words,
    path_or_none_from,
    quoted_words,
    some_duration,
    texts,
    word_of,
)
from vmsnap.errors import ConfigError

Value = TypeVar("Value")

HOST_FILE_WORDS = ("nvram", "tpm")


class Quiesce(Enum):
    """Whether a running guest's file systems are frozen for a snapshot."""

    NO = "no"
    TRY = "try"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """The rules of retention; None is no such rule."""

    last: int | None = None
    hourly: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None
    within: timedelta | None = None
    names: tuple[str, ...] = ()
    safety: timedelta | None = None


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """The settings of one domain; `sources` says for each key of config.toml where it came from."""

    exclude: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Words of types of host file: nvram, tpm."""
    quiesce: Quiesce = Quiesce.NO
    overlay_dir: Path | None = None
    max_age: timedelta | None = None
    keep: KeepSettings = field(default_factory=KeepSettings)
    sources: Mapping[str, str] = field(default_factory=dict)
    """Values "default" or "file PATH TABLE"."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of settings for domains; `pattern` None is [defaults]."""

    pattern: str | None
    table: Table

    def fits(self, name: str | None) -> bool:
        """Tell whether it holds for a domain of that name; None fits no pattern."""
        if self.pattern is None or name is None:
            return self.pattern is None
        return fnmatchcase(name, self.pattern)


def read_sections(file: Path, values: Mapping[str, object], home: Path) -> tuple[Section, ...]:
    """Read a file's tables for domains, [defaults] first, the others as they stand.

    Raises ConfigError for what stands in them and may not.
    """
    sections = []
    if DEFAULTS in values:
        sections.append(Section(None, _table(file, "[defaults]", values[DEFAULTS])))
    patterns = _table(file, "[domain]", values.get(DOMAIN, {})).values
    sections += [
        Section(pattern, _pattern_table(file, pattern, value))
        for pattern, value in patterns.items()
    ]
    for section in sections:
        section.table.require_known(DOMAIN)
        domain_settings((section,), home)
    return tuple(sections)


def domain_settings(sections: Iterable[Section], home: Path) -> DomainSettings:
    """Put sections together key by key; those further back win."""
    look = _Lookup([section.table for section in sections])
    path_or_none = path_or_none_from(home)
    host_files = list_of_words(HOST_FILE_WORDS, f"a list of {quoted_words(HOST_FILE_WORDS)}")
    return DomainSettings(
        exclude=look.find("exclude", texts, ()),
        without=look.find("without", lambda value: host_files(value) if value else (), ()),
        quiesce=look.find("quiesce", word_of(Quiesce), Quiesce.NO),
        overlay_dir=look.find("overlay_dir", path_or_none, None),
        max_age=look.find("max_age", some_duration, None),
        keep=KeepSettings(
            last=look.find("keep_last", count, None),
            hourly=look.find("keep_hourly", count, None),
            daily=look.find("keep_daily", count, None),
            weekly=look.find("keep_weekly", count, None),
            monthly=look.find("keep_monthly", count, None),
            yearly=look.find("keep_yearly", count, None),
            within=look.find("keep_within", duration, None),
            names=look.find("keep_name", texts, ()),
            safety=look.find("keep_safety", duration, None),
        ),
        sources=look.sources,
    )


@dataclass(frozen=True, slots=True)
class _Lookup:
    tables: list[Table]
    sources: dict[str, str] = field(default_factory=dict)

    def find(self, key: str, read: Callable[[object], Value], default: Value) -> Value:
        for table in reversed(self.tables):
            if key in table.values:
                self.sources[key] = table.source
                return table.value(key, read)
        self.sources[key] = "default"
        return default


def _table(file: Path, title: str, values: object) -> Table:
    if isinstance(values, dict):
        return Table(file, title, values)
    raise ConfigError(f"{title} of '{file}' must be a table", hint=f"write {title} above its keys")


def _pattern_table(file: Path, pattern: str, values: object) -> Table:
    table = Table(file, f'[domain."{pattern}"]', values if isinstance(values, dict) else {})
    if not isinstance(values, dict):
        raise ConfigError(
            f"[domain] of '{file}' holds the key '{pattern}' for no pattern",
            hint='for every domain write [defaults] above it, for some [domain."web*"]',
        )
    if not pattern:
        raise ConfigError(f"a [domain] of '{file}' has an empty pattern", hint='[domain."web*"]')
    inner = next((key for key, value in values.items() if isinstance(value, dict)), None)
    if inner is not None:
        # [domain.web.example] is two tables to TOML, one in the other.
        raise table.error("holds another table", hint=f'[domain."{pattern}.{inner}"]')
    return table
