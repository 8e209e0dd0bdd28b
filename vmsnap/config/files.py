"""Reading config files: which there are, and whether what stands in one can be believed."""

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vmsnap.config.database_urls import has_password
from vmsnap.config.faults import Faults, require_sure
from vmsnap.config.places import is_root
from vmsnap.errors import AccessError, ConfigError

if TYPE_CHECKING:
    from vmsnap.config.domains import Section
    from vmsnap.config.hooks import HookSettings
    from vmsnap.config.tables import Table

_QUOTED = re.compile(r"""['"(].{2,}['")]""", re.DOTALL)
_MAX_FILE_BYTES = 64 * 1024
"""Room for hundreds of sections; reading a nested file takes time that grows with its square."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A config file that was looked for."""

    path: Path
    is_there: bool


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What stands in a config file, all of it checked but the values above all tables.

    A part whose fault is tolerated is left out.
    """

    path: Path
    top: "Table"
    sections: "tuple[Section, ...]"
    hooks: "tuple[HookSettings, ...]"


def read_config_file(
    path: Path, home: Path, faults: Faults, *, is_needed: bool
) -> ConfigFile | None:
    """Read a config file; one that is missing is None unless it is needed.

    Raises ConfigError for one that cannot be read, understood or believed; `faults` may tolerate
    what stands in its tables, and unknown keys.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not is_needed:
            return None
        raise ConfigError(f"config file '{path}' is missing") from error
    except OSError as error:
        kind = AccessError if isinstance(error, PermissionError) else ConfigError
        raise kind(f"config file '{path}' cannot be read: {error.strerror}") from error
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(f"config file '{path}' is larger than {_MAX_FILE_BYTES} bytes")
    # A file that says nothing may be anybody's: /dev/null is one.
    if data and is_root():
        _require_trusted(path, status)
    values = _parsed(path, data)
    before = len(faults.found)
    read = _contents(path, values, home, faults)
    if len(faults.found) > before:
        require_sure(path, values)
    _require_fit(read, status)
    return read


def _parsed(path: Path, data: bytes) -> Mapping[str, object]:
    import tomllib

    try:
        # Editors of other systems begin a file with a mark of its encoding.
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # Not TOML, or not UTF-8; what stands there may be a password.
        raise ConfigError(f"config file '{path}' is not valid TOML: {_place(error)}") from None


def _contents(path: Path, values: Mapping[str, object], home: Path, faults: Faults) -> ConfigFile:
    from vmsnap.config.domains import read_sections
    from vmsnap.config.hooks import read_hooks
    from vmsnap.config.tables import Table, top_table

    return ConfigFile(
        path,
        top=faults.tried(lambda: top_table(path, values), Table(path, "", values)),
        sections=faults.tried(lambda: read_sections(path, values, home), ()),
        hooks=faults.tried(lambda: read_hooks(path, values), ()),
    )


def _require_fit(read: ConfigFile, status: os.stat_result) -> None:
    """Refuse a file that is open to more people than what stands in it allows."""
    if read.hooks:
        _require_trusted(read.path, status)
    database = read.top.values.get("database")
    is_open = bool(stat.S_IMODE(status.st_mode) & 0o077)
    if is_open and isinstance(database, str) and has_password(database):
        raise ConfigError(
            f"config file '{read.path}' holds a password and can be read by others",
            hint=f"chmod 600 {shlex.quote(str(read.path))}",
        )


def _require_trusted(path: Path, status: os.stat_result) -> None:
    """Refuse a file that others could have written: it names programs that vmsnap runs."""
    if status.st_uid not in (0, os.geteuid()):
        who = "root" if is_root() else "root or you"
        raise ConfigError(
            f"config file '{path}' belongs to user {status.st_uid}, not to {who}",
            hint=f"chown root {shlex.quote(str(path))}" if is_root() else None,
        )
    if status.st_mode & 0o022:
        raise ConfigError(
            f"config file '{path}' can be written by others than its owner",
            hint=f"chmod go-w {shlex.quote(str(path))}",
        )


def _place(error: Exception) -> str:
    """Say where a file is not TOML and why, without what it quotes of the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    found = re.fullmatch(r"(.+) \(at (.+?)\)", str(error), re.DOTALL)
    if found is None:
        return "a number is too large, or tables are nested too deeply"
    # One character, as the '=' that is missing, tells nothing.
    reason = _QUOTED.sub("...", found[1])
    return f"{found[2]}: {reason[:1].lower()}{reason[1:]}"
