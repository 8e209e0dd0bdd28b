"""Reach files by name without following links that others may have put there.

The folders above a host file's own folder are resolved once (a host may keep /var/lib/libvirt
elsewhere) and then walked name by name; its folder and the file itself are never links.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from vmsnap.errors import HostFileError

WALK_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened_folder_of(path: Path) -> Iterator[int]:
    """Open the folder that holds the host file `path`, for the length of a `with` block.

    Raises FileNotFoundError if a folder is missing, HostFileError for links and for paths that are
    not absolute and plain.
    """
    with opened_parent_of(path) as above:
        name = path.parent.name
        if not name:
            yield above
            return
        folder = open_folder(above, name, path.parent)
        try:
            yield folder
        finally:
            os.close(folder)


@contextmanager
def opened_parent_of(path: Path) -> Iterator[int]:
    """Open the folder above the folder of the host file `path`; errors as `opened_folder_of`."""
    _require_plain(path)
    resolved = Path(os.path.realpath(path.parent.parent))
    folder = os.open("/", FOLDER_FLAGS)
    try:
        for depth in range(1, len(resolved.parts)):
            shown = Path(*resolved.parts[: depth + 1])
            is_last = depth == len(resolved.parts) - 1
            flags = FOLDER_FLAGS if is_last else WALK_FLAGS
            below = open_folder(folder, resolved.parts[depth], shown, flags)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def open_folder(above: int, name: str, shown: Path, flags: int = FOLDER_FLAGS) -> int:
    """Open a folder in the open folder `above`; `shown` is its path for messages.

    Raises HostFileError if it is a link or no folder, OSError.
    """
    try:
        return os.open(name, flags, dir_fd=above)
    except NotADirectoryError as error:
        status = os.stat(name, dir_fd=above, follow_symlinks=False)
        message = f"'{shown}' is {_kind_of(status.st_mode)}, not a directory"
        raise HostFileError(message, hint=f"ls -ld {quote(str(shown))}") from error


def status_of(folder: int, name: str) -> os.stat_result | None:
    """Look at a name in an open folder, a link not followed; None if there is no such name."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def require_regular(mode: int, shown: Path) -> None:
    """Raise HostFileError unless `mode` is that of a regular file."""
    if not stat.S_ISREG(mode):
        message = f"'{shown}' is {_kind_of(mode)}, not a regular file"
        raise HostFileError(message, hint=f"ls -ld {quote(str(shown))}")


def _require_plain(path: Path) -> None:
    if not path.is_absolute() or not path.name or ".." in path.parts or "\0" in str(path):
        message = f"'{path}' is not an absolute path of a file"
        raise HostFileError(message)


def _kind_of(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFREG: "a regular file",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
    }
    return kinds.get(stat.S_IFMT(mode), "of an unknown kind")
