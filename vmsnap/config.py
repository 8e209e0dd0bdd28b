"""Settings from command line, environment, file and defaults, and where each came from."""

import math
import os
import re
import shlex
import stat
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from vmsnap.errors import ConfigError, UnsupportedError, UsageError

COMMAND_LINE = "command line"
FILE = "file"
DEFAULT = "default"

SYSTEM_URI = "qemu:///system"
SYSTEM_CONFIG_FILE = Path("/etc/vmsnap/config.toml")
SYSTEM_STATE_FOLDER = Path("/var/lib/vmsnap")
SYSTEM_LOG_FILE = Path("/var/log/vmsnap/vmsnap.log")

_VARIABLES = {
    "connect": "VMSNAP_CONNECT",
    "database": "VMSNAP_DATABASE",
    "json": "VMSNAP_JSON",
    "quiet": "VMSNAP_QUIET",
    "verbose": "VMSNAP_VERBOSE",
    "wait": "VMSNAP_WAIT",
}
_CONFIG_VARIABLE = "VMSNAP_CONFIG"
_LIBVIRT_VARIABLE = "LIBVIRT_DEFAULT_URI"

# Passwords may hold any character, so everything up to the last '@' may be one: rather too much is
# hidden than too little.
_CREDENTIALS = re.compile(r"^(?P<start>[^:/]+://[^:/?]*)(?P<password>:.*)?@")
_SECRET_PARAMETER = re.compile(r"(?P<start>[?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
# mysql://user:password without a host reads like a host with a port.
_ODD_PORT = re.compile(
    r"^(?P<start>[^:/]+://(?:[^/]*@)?[^:/@?\[]*:)(?!\d+(?:[/?]|$))[^/?@]+(?=[/?]|$)"
)

_MAX_FILE_BYTES = 64 * 1024
"""Six keys need less; reading a nested one takes time that grows with its square."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run; `sources` says for each key where it came from.

    `database_url` may hold a password: show `hidden(database_url)`. `state_folder` is for journal
    and locks: it follows the connection, whatever the database.
    """

    connect_uri: str
    database_url: str = field(repr=False)
    json: bool
    quiet: bool
    verbose: bool
    wait_seconds: float
    state_folder: Path
    log_file: Path
    config_file: Path | None
    """The file that was read, None if there was none."""
    sources: Mapping[str, str]
    """Keys connect, database, json, quiet, verbose, wait; values "command line", "environment
    VMSNAP_...", "file PATH" or "default"."""

    @property
    def is_default_database(self) -> bool:
        """Whether the database is at its default place, so that its folder may be made."""
        return self.sources["database"] == DEFAULT


def load_settings(
    command_line: Mapping[str, object],
    environment: Mapping[str, str],
    config_file: Path | None = None,
) -> Settings:
    """Find every setting: command line before environment before file before default.

    `command_line` has the keys of config.toml; None and False are not given. `config_file` is that
    of `--config`; else VMSNAP_CONFIG or the default file is read, which alone may be missing.

    Raises ConfigError for a file or value that cannot be used, UsageError for a password on the
    command line, UnsupportedError for a libvirt on another host.
    """
    path, values = _read_file(_config_path(command_line, environment, config_file))
    look = _Lookup(command_line, environment, path, values)
    connect_uri = look.find("connect", _text, SYSTEM_URI)
    if look.sources["connect"] == DEFAULT and environment.get(_LIBVIRT_VARIABLE):
        connect_uri = environment[_LIBVIRT_VARIABLE]
        look.sources["connect"] = f"environment {_LIBVIRT_VARIABLE}"
    _require_local(connect_uri)
    places = _system_places() if _is_system(connect_uri) else _user_places()
    database = look.find("database", _text, str(places.database))
    if look.sources["database"] == COMMAND_LINE and has_password(database):
        raise UsageError(
            "a password on the command line can be read by everyone on this host",
            hint="set VMSNAP_DATABASE, or 'database' in a config file of mode 0600",
        )
    return Settings(
        connect_uri=connect_uri,
        database_url=_database_url(database, look.sources["database"]),
        json=look.find("json", _truth, default=False),
        quiet=look.find("quiet", _truth, default=False),
        verbose=look.find("verbose", _truth, default=False),
        wait_seconds=look.find("wait", _seconds, 0.0),
        state_folder=places.state_folder,
        log_file=places.log_file,
        config_file=path,
        sources=look.sources,
    )


def hidden(url: str) -> str:
    """Return a database URL as it may be shown: without password."""
    if url.startswith("sqlite:"):
        return url
    shown = _CREDENTIALS.sub(
        lambda found: found["start"] + (":***" if found["password"] else "") + "@", url
    )
    shown = _SECRET_PARAMETER.sub(r"\g<start>***", shown)
    return _ODD_PORT.sub(r"\g<start>***", shown)


def has_password(url: str) -> bool:
    """Tell whether a database URL holds a password."""
    return hidden(url) != url


@dataclass(frozen=True, slots=True)
class _Places:
    database: Path
    state_folder: Path
    log_file: Path


def _system_places() -> _Places:
    return _Places(SYSTEM_STATE_FOLDER / "vmsnap.db", SYSTEM_STATE_FOLDER, SYSTEM_LOG_FILE)


def _user_places() -> _Places:
    from platformdirs import PlatformDirs

    folders = PlatformDirs("vmsnap", appauthor=False)
    return _Places(
        database=folders.user_data_path / "vmsnap.db",
        state_folder=folders.user_state_path,
        log_file=folders.user_log_path / "vmsnap.log",
    )


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The places where a setting may stand, in their order; `sources` grows with each find."""

    command_line: Mapping[str, object]
    environment: Mapping[str, str]
    file: Path | None
    values: Mapping[str, object]
    sources: dict[str, str] = field(default_factory=dict)

    def find(self, key: str, read: Callable[[object], Value], default: Value) -> Value:
        """Return the first value there is. Raises ConfigError naming where the bad one stands."""
        typed = self.command_line.get(key)
        if typed is not None and typed is not False:
            self.sources[key] = COMMAND_LINE
            return _checked(read, typed, f"option '--{key}'")
        variable = _VARIABLES[key]
        text = self.environment.get(variable)
        if text:
            self.sources[key] = f"environment {variable}"
            return _checked(read, _FROM_TEXT[key](text), f"variable '{variable}'")
        if key in self.values:
            self.sources[key] = f"{FILE} {self.file}"
            return _checked(read, self.values[key], f"key '{key}' in '{self.file}'")
        self.sources[key] = DEFAULT
        return default


def _checked(read: Callable[[object], Value], value: object, what: str) -> Value:
    try:
        return read(value)
    except ValueError as error:
        # The value is not repeated: it may be a database URL.
        raise ConfigError(f"{what} must be {error}") from None


def _text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("a text that is not empty")


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _seconds(value: object) -> float:
    # A bool is an int to Python, and no number of seconds to anyone.
    if isinstance(value, int | float) and not isinstance(value, bool):
        # An int may be too large to become a float.
        with suppress(OverflowError):
            seconds = float(value)
            if math.isfinite(seconds) and seconds >= 0:
                return seconds
    raise ValueError("a number of seconds, 0 or more")


def _truth_from_text(text: str) -> object:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    return text


def _seconds_from_text(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


_FROM_TEXT: Mapping[str, Callable[[str], object]] = {
    "connect": str,
    "database": str,
    "json": _truth_from_text,
    "quiet": _truth_from_text,
    "verbose": _truth_from_text,
    "wait": _seconds_from_text,
}


def _config_path(
    command_line: Mapping[str, object], environment: Mapping[str, str], config_file: Path | None
) -> tuple[Path, bool]:
    """Return the config file's path, and whether it must be there."""
    if config_file is not None:
        return config_file, True
    if environment.get(_CONFIG_VARIABLE):
        return Path(environment[_CONFIG_VARIABLE]), True
    # Which default file is read cannot depend on what stands in it.
    uri = (
        command_line.get("connect")
        or environment.get(_VARIABLES["connect"])
        or environment.get(_LIBVIRT_VARIABLE)
        or SYSTEM_URI
    )
    if _is_system(str(uri)):
        return SYSTEM_CONFIG_FILE, False
    from platformdirs import PlatformDirs

    return PlatformDirs("vmsnap", appauthor=False).user_config_path / "config.toml", False


def _read_file(path_and_need: tuple[Path, bool]) -> tuple[Path | None, Mapping[str, object]]:
    path, is_needed = path_and_need
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_FILE_BYTES + 1)
        if len(text) > _MAX_FILE_BYTES:
            raise ConfigError(f"config file '{path}' is larger than {_MAX_FILE_BYTES} bytes")
        values = tomllib.loads(text.decode())
    except (FileNotFoundError, NotADirectoryError) as error:
        if not is_needed:
            return None, {}
        raise ConfigError(f"config file '{path}' is missing") from error
    except OSError as error:
        raise ConfigError(
            f"config file '{path}' cannot be read: {error.strerror}",
            hint="run vmsnap as root" if isinstance(error, PermissionError) else None,
        ) from error
    except (ValueError, RecursionError) as error:
        # Not TOML, or not UTF-8; what stands there may be a password.
        raise ConfigError(f"config file '{path}' is not valid TOML: {_place(error)}") from None
    unknown = sorted(set(values) - _VARIABLES.keys())
    if unknown:
        raise ConfigError(
            f"config file '{path}' has the unknown key '{unknown[0]}'",
            hint=f"known keys: {', '.join(sorted(_VARIABLES))}",
        )
    database = values.get("database")
    is_open = bool(stat.S_IMODE(mode) & 0o077)
    if is_open and isinstance(database, str) and has_password(database):
        raise ConfigError(
            f"config file '{path}' holds a password and can be read by others",
            hint=f"chmod 600 {shlex.quote(str(path))}",
        )
    return path, values


def _place(error: Exception) -> str:
    found = re.search(r"\(at (.+?)\)$", str(error))
    return found[1] if found else "it is not UTF-8 text"


def _is_system(uri: str) -> bool:
    parts = _split(uri)
    return parts.scheme in ("qemu", "qemu+unix") and not parts.netloc and parts.path == "/system"


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        # The URI is not repeated: it may hold a password.
        raise ConfigError("the libvirt URI is malformed", hint=f"--connect {SYSTEM_URI}") from None


def _require_local(uri: str) -> None:
    """Refuse a libvirt on another host: vmsnap has to reach the files that it keeps."""
    parts = _split(uri)
    _, _, transport = parts.scheme.partition("+")
    if not parts.scheme:
        raise ConfigError(f"'{uri}' is no libvirt URI", hint=f"--connect {SYSTEM_URI}")
    if parts.netloc or transport not in ("", "unix"):
        # Without user and host: a URI may hold a password too.
        raise UnsupportedError(
            f"libvirt over '{parts.scheme}' is on another host; vmsnap runs on the host whose"
            " machines it keeps",
        )


def _database_url(given: str, source: str) -> str:
    """Return a URL for a URL or for the plain path of an SQLite file."""
    if "://" in given:
        return given
    path = Path(given)
    if given.startswith("~/"):
        path = path.expanduser()
    if not path.is_absolute():
        # The value is not repeated: of a URL that lost its scheme a part may be a password.
        raise ConfigError(
            f"the database named by {source} is neither a URL nor an absolute path",
            hint="--database sqlite:////absolute/path",
        )
    return f"sqlite:///{quote(os.fsencode(path))}"
