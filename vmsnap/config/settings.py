"""The settings of one run: command line before environment before files before defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vmsnap.config.connections import SYSTEM_URI, is_system, require_local, require_own_session
from vmsnap.config.database_urls import database_url, has_password
from vmsnap.config.faults import NEEDED, Faults
from vmsnap.config.files import ConfigFile, LookedAt, read_config_file
from vmsnap.config.places import (
    SYSTEM_CONFIG_FILE,
    own_config_file,
    own_home,
    own_places,
    system_places,
)
from vmsnap.config.values import FROM_TEXT, checked, seconds, text, truth, written_file_from
from vmsnap.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from vmsnap.config.domains import DomainSettings, Section
    from vmsnap.config.hooks import HookSettings

COMMAND_LINE = "command line"
DEFAULT = "default"

VARIABLES = {
    "connect": "VMSNAP_CONNECT",
    "database": "VMSNAP_DATABASE",
    "json": "VMSNAP_JSON",
    "quiet": "VMSNAP_QUIET",
    "verbose": "VMSNAP_VERBOSE",
    "wait": "VMSNAP_WAIT",
    "metrics_file": "VMSNAP_METRICS_FILE",
}
"""The variable of each key that stands above all tables."""
CONFIG_VARIABLE = "VMSNAP_CONFIG"
LIBVIRT_VARIABLE = "LIBVIRT_DEFAULT_URI"

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
    metrics_file: Path | None
    state_folder: Path
    log_file: Path
    home: Path
    """The home that `~/` means in a file."""
    files: tuple[LookedAt, ...]
    """The config files that were looked for; those further back are of lower rank."""
    sections: "tuple[Section, ...]"
    """The tables for domains; those further back win."""
    hooks: "tuple[HookSettings, ...]"
    """In the order in which they run."""
    faults: tuple[ConfigError, ...]
    """What is wrong in the files and was tolerated; the default holds in its place."""
    sources: Mapping[str, str]
    """Keys connect, database, json, quiet, verbose, wait, metrics_file; values "command line",
    "environment VMSNAP_...", "file PATH" or "default"."""

    @property
    def is_default_database(self) -> bool:
        """Whether the database is at its default place, so that its folder may be made."""
        return self.sources["database"] == DEFAULT

    def for_domain(self, name: str | None) -> "DomainSettings":
        """Return what the files say for a domain of that name, key by key; None fits no pattern."""
        from vmsnap.config.domains import domain_settings

        return domain_settings((each for each in self.sections if each.fits(name)), self.home)

    def hooks_for(self, name: str) -> "tuple[HookSettings, ...]":
        """Return the hooks of a domain of that name."""
        return tuple(hook for hook in self.hooks if hook.fits(name))


def load_settings(
    command_line: Mapping[str, object],
    environment: Mapping[str, str],
    config_file: Path | None = None,
    *,
    tolerates_faults: bool = False,
) -> Settings:
    """Find every setting: command line before environment before files before default.

    `command_line` has the keys of config.toml; None and False are not given. `config_file` is that
    of `--config`; it or VMSNAP_CONFIG is the only one that is read, and must be there. Else the own
    file of whoever runs this is read, and below it, for the system's libvirt, /etc's.

    Raises ConfigError for a file or value that cannot be used, UsageError for a password on the
    command line, UnsupportedError for a libvirt on another host.
    """
    home = own_home(environment)
    faults = Faults(are_tolerated=tolerates_faults)
    look = _Lookup(command_line, environment, faults)
    _read_files(look, config_file, home)
    connect_uri = _connect_uri(look)
    require_local(connect_uri)
    require_own_session(connect_uri, environment)
    places = system_places() if is_system(connect_uri) else own_places(environment)
    database = look.find("database", text, str(places.database))
    if look.sources["database"] == COMMAND_LINE and has_password(database):
        raise UsageError(
            "a password on the command line can be read by everyone on this host",
            hint="set VMSNAP_DATABASE, or 'database' in a config file of mode 0600",
        )
    return Settings(
        connect_uri=connect_uri,
        database_url=database_url(database, look.sources["database"], home),
        json=look.find("json", truth, default=False),
        quiet=look.find("quiet", truth, default=False),
        verbose=look.find("verbose", truth, default=False),
        wait_seconds=look.find("wait", seconds, 0.0),
        metrics_file=look.find("metrics_file", written_file_from(home), None),
        state_folder=places.state_folder,
        log_file=places.log_file,
        home=home,
        files=tuple(look.looked_at),
        sections=_sections(look.files),
        hooks=tuple(hook for file in reversed(look.files) for hook in file.hooks),
        faults=tuple(faults.found),
        sources=look.sources,
    )


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The places where a setting may stand, in their order; `sources` grows with each find."""

    command_line: Mapping[str, object]
    environment: Mapping[str, str]
    faults: Faults
    files: list[ConfigFile] = field(default_factory=list)
    looked_at: list[LookedAt] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def find(self, key: str, read: Callable[[object], Value], default: Value) -> Value:
        """Return the first value there is. Raises ConfigError naming where the bad one stands."""
        typed = self.command_line.get(key)
        if typed is not None and typed is not False:
            self.sources[key] = COMMAND_LINE
            return checked(read, typed, f"option '--{key.replace('_', '-')}'")
        variable = VARIABLES[key]
        given = self.environment.get(variable)
        if given:
            self.sources[key] = f"environment {variable}"
            return checked(read, FROM_TEXT.get(read, str)(given), f"variable '{variable}'")
        for file in self.files:
            if key in file.top.values:
                self.sources[key] = file.top.source
                return self._from_file(file, key, read, default)
        self.sources[key] = DEFAULT
        return default

    def _from_file(
        self, file: ConfigFile, key: str, read: Callable[[object], Value], default: Value
    ) -> Value:
        if key in NEEDED:
            return file.top.value(key, read)
        return self.faults.tried(lambda: file.top.value(key, read), default)

    def read_file(self, path: Path, home: Path, *, is_needed: bool) -> ConfigFile | None:
        """Read a file of lower rank than those before, if it is there."""
        file = read_config_file(path, home, self.faults, is_needed=is_needed)
        self.looked_at.append(LookedAt(path, is_there=file is not None))
        if file is not None:
            self.files.append(file)
        return file


def _read_files(look: _Lookup, config_file: Path | None, home: Path) -> None:
    if config_file is None and look.environment.get(CONFIG_VARIABLE):
        config_file = Path(look.environment[CONFIG_VARIABLE])
    if config_file is not None:
        look.read_file(config_file, home, is_needed=True)
        return
    look.read_file(own_config_file(look.environment), home, is_needed=False)
    # /etc's file is for the system's libvirt: whether it is read cannot depend on what it says.
    if not is_system(_connect_uri(look)):
        return
    file = look.read_file(SYSTEM_CONFIG_FILE, home, is_needed=False)
    if file is not None and not is_system(str(file.top.values.get("connect", SYSTEM_URI))):
        raise ConfigError(
            f"key 'connect' in '{file.path}' names another libvirt than the system's",
            hint=f"each user's own choice: 'connect' in {own_config_file(look.environment)}",
        )


def _connect_uri(look: _Lookup) -> str:
    uri = look.find("connect", text, SYSTEM_URI)
    if look.sources["connect"] == DEFAULT and look.environment.get(LIBVIRT_VARIABLE):
        look.sources["connect"] = f"environment {LIBVIRT_VARIABLE}"
        return look.environment[LIBVIRT_VARIABLE]
    return uri


def _sections(files: list[ConfigFile]) -> "tuple[Section, ...]":
    """Put the tables of all files in the order of their rank, as if they stood in one file."""
    found = [section for file in reversed(files) for section in file.sections]
    return tuple(sorted(found, key=lambda section: section.pattern is not None))
