"""The package's units for systemd: read, compared with what is installed, put in their place.

The first line of an installed one holds a digest of the rest: one that was edited is known by it.
"""

import hashlib
import re
import stat
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from pathlib import Path

from vmsnap.errors import ConfigError, HostFileError
from vmsnap.host.regular_files import read_regular
from vmsnap.host.safe_paths import opened_folder_of
from vmsnap.host.text_files import replace_text

PACKAGED_COMMAND = "/usr/bin/vmsnap"
"""What the units run as they are packaged."""

_HEADER = re.compile(r"# Made by 'vmsnap install-units' \((?P<digest>[0-9a-f]{64})\);.*")
_PLAIN = re.compile(r"/[A-Za-z0-9/._+@-]+")
_MAX_BYTES = 256 * 1024


class UnitState(Enum):
    """How an installed unit stands to the one of the package."""

    NEW = "new"
    SAME = "same"
    OLDER = "older"
    """It is as it was put there, by another version or for another path."""
    EDITED = "edited"
    """Somebody changed it, or put another one there."""


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit as it would be installed, and how what is there stands to it."""

    path: Path
    text: str
    state: UnitState


def unit_files(folder: Path, program: tuple[str, ...]) -> tuple[UnitFile, ...]:
    """Return the package's units, as they run `program`, for a folder; sorted by name.

    Raises ConfigError if the folder is missing, or the program's path does not fit into a unit.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder '{folder}'", hint="--dir names another one")
    command = _command(program)
    packaged = resources.files("vmsnap") / "data"
    units = sorted(item.name for item in packaged.iterdir() if item.name.startswith("vmsnap-"))
    texts = {name: _made(name, (packaged / name).read_text(), command) for name in units}
    return tuple(
        UnitFile(folder / name, text, _state(folder / name, text)) for name, text in texts.items()
    )


def install(unit: UnitFile) -> None:
    """Put a unit in its place, whatever is there. Raises HostFileError or BusyError."""
    replace_text(unit.path, lambda _old: unit.text)


def require_root_s_own(program: Path) -> None:
    """Refuse a program that another user could change: the units run it as root.

    Raises ConfigError.
    """
    for found in (program, program.resolve()):
        for place in (found, *found.parents):
            status = place.stat()
            is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if status.st_uid != 0 or (is_open and not status.st_mode & stat.S_ISVTX):
                message = f"units run '{program}' as root, but '{place}' is not root's alone"
                raise ConfigError(message, hint="install vmsnap as root, as README.md says")


def _command(program: tuple[str, ...]) -> str:
    if not _PLAIN.fullmatch(program[0]):
        message = f"the path '{program[0]}' cannot be written into a unit"
        raise ConfigError(message, hint="link vmsnap into /usr/local/bin, and call it there")
    return " ".join(program)


def _made(name: str, text: str, command: str) -> str:
    lines = (
        line if line.startswith("#") else line.replace(PACKAGED_COMMAND, command)
        for line in text.splitlines(keepends=True)
    )
    rest = "".join(lines)
    header = f"# Made by 'vmsnap install-units' ({_digest(rest)});"
    return f"{header} to change it: systemctl edit {name}\n{rest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _state(path: Path, text: str) -> UnitState:
    try:
        with opened_folder_of(path) as folder:
            found = read_regular(folder, path.name, shown=path, limit_bytes=_MAX_BYTES)
    except FileNotFoundError:
        return UnitState.NEW
    except (OSError, HostFileError):
        # A link, for instance: a unit that is masked.
        return UnitState.EDITED
    present = found.data.decode(errors="replace")
    if present == text:
        return UnitState.SAME
    first, _, rest = present.partition("\n")
    header = _HEADER.fullmatch(first)
    is_ours = header is not None and header["digest"] == _digest(rest)
    return UnitState.OLDER if is_ours else UnitState.EDITED
