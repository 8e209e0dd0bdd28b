"""Reach files by name without following links that others may have put there.

Every name is opened in the folder that was opened before it. Among the folders above a host file's
own folder there may be links (a host may keep /var/lib/libvirt elsewhere), but only root's or the
caller's are followed; its folder and the file itself are never links.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote

from vmsnap.errors import HostFileError

LOOK_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
WALK_FLAGS = LOOK_FLAGS | os.O_DIRECTORY
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_LINKS = 40
"""As many as the kernel follows."""


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
    with ExitStack() as opened:
        walked = _walk(path.parent.parent, opened)
        # The walk's descriptors are good for no more than walking.
        folder = os.open(".", FOLDER_FLAGS, dir_fd=walked)
        opened.callback(os.close, folder)
        yield folder


def _walk(path: Path, opened: ExitStack) -> int:
    """Open every folder on the way to `path` in the one before it; return the last."""

    def kept(descriptor: int) -> int:
        opened.callback(os.close, descriptor)
        return descriptor

    folders = [kept(os.open("/", WALK_FLAGS))]
    names = list(reversed(path.parts[1:]))
    links = 0
    while names:
        name = names.pop()
        if name == "..":
            # Only out of a link; the parent is the one that was walked through.
            folders = folders[:-1] or folders
            continue
        found = kept(os.open(name, LOOK_FLAGS, dir_fd=folders[-1]))
        if not stat.S_ISLNK(os.fstat(found).st_mode):
            folders.append(found)
            continue
        links += 1
        target = Path(_trusted_target(found, path, links))
        folders = folders[:1] if target.is_absolute() else folders
        names += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return folders[-1]


def _trusted_target(link: int, path: Path, links: int) -> str:
    """Read an open link that was put there by root or by whom vmsnap runs as."""
    owner = os.fstat(link).st_uid
    if owner not in {0, os.geteuid()} or links > MAX_LINKS:
        message = f"the way to '{path}' leads through a link of another user, or too many"
        raise HostFileError(message, hint=f"namei -l {quote(str(path))}")
    return os.readlink("", dir_fd=link)


def open_folder(above: int, name: str, shown: Path) -> int:
    """Open a folder in the open folder `above`; `shown` is its path for messages.

    Raises HostFileError if it is a link or no folder, OSError.
    """
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=above)
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
