"""Where vmsnap keeps its files: the system's fixed places, or one's own folders."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_CONFIG_FILE = Path("/etc/vmsnap/config.toml")
SYSTEM_STATE_FOLDER = Path("/var/lib/vmsnap")
SYSTEM_LOG_FILE = Path("/var/log/vmsnap/vmsnap.log")


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one connection: the default database, and what goes with it."""

    database: Path
    state_folder: Path
    log_file: Path


def system_places() -> Places:
    """Return the places of qemu:///system, the same for everybody."""
    return Places(SYSTEM_STATE_FOLDER / "vmsnap.db", SYSTEM_STATE_FOLDER, SYSTEM_LOG_FILE)


def own_places(environment: Mapping[str, str]) -> Places:
    """Return the places of every other connection, in the own folders of whoever runs vmsnap."""
    state = _own_folder("XDG_STATE_HOME", ".local/state", environment)
    return Places(
        database=_own_folder("XDG_DATA_HOME", ".local/share", environment) / "vmsnap.db",
        state_folder=state,
        log_file=state / "log" / "vmsnap.log",
    )


def own_config_file(environment: Mapping[str, str]) -> Path:
    """Return the path of the own config file of whoever runs vmsnap."""
    return _own_folder("XDG_CONFIG_HOME", ".config", environment) / "config.toml"


def own_home(environment: Mapping[str, str]) -> Path:
    """Return the home of whoever runs vmsnap: root's is that of the passwd entry, always.

    What sudo and su leave in root's environment may be a user's, who could plant links there.
    """
    if not is_root():
        named = Path(environment.get("HOME", ""))
        if named.is_absolute():
            return named
    return _home_of_entry()


def is_root() -> bool:
    """Tell whether this runs with root's rights."""
    return os.geteuid() == 0


def _own_folder(variable: str, below_home: str, environment: Mapping[str, str]) -> Path:
    # Not platformdirs: importing it takes 26 ms, three times as long as Python's own start, and it
    # takes root's folders from the environment.
    if not is_root():
        named = Path(environment.get(variable, ""))
        # The XDG specification wants relative ones ignored.
        if named.is_absolute():
            return named / "vmsnap"
    return own_home(environment) / below_home / "vmsnap"


def _home_of_entry() -> Path:
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        # A user without an entry, as containers have them.
        return Path("/root" if is_root() else "/")
