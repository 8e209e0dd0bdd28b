"""Who may read a host file: its permission bits, looked at and narrowed without following links."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vmsnap.host.file_meta import PERMISSION_BITS
from vmsnap.host.safe_paths import open_folder, status_of

OTHERS = 0o007
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


def modes_of(folder: int, path: Path) -> Mapping[Path, int]:
    """Return the permission bits of `path`, which is in the open folder, and of what is in it.

    Without such a name nothing is returned. Raises OSError, HostFileError.
    """
    status = status_of(folder, path.name)
    if status is None:
        return {}
    found = {path: _bits(status)}
    if stat.S_ISDIR(status.st_mode):
        with _opened(folder, path) as inside:
            for name, inner in _entries(inside):
                found[path / name] = _bits(inner)
    return found


def take_from_others(folder: int, path: Path) -> None:
    """Take all permissions from other users; errors as `modes_of`.

    Only of regular files and of the directory itself: nothing else is part of a host file.
    """
    status = status_of(folder, path.name)
    if status is not None and stat.S_ISREG(status.st_mode):
        _narrow_file(folder, path.name)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return
    with _opened(folder, path) as inside:
        _narrow(inside)
        for name, inner in _entries(inside):
            if stat.S_ISREG(inner.st_mode):
                _narrow_file(inside, name)


def _narrow_file(folder: int, name: str) -> None:
    descriptor = os.open(name, OPEN_FLAGS, dir_fd=folder)
    try:
        _narrow(descriptor)
    finally:
        os.close(descriptor)


def _narrow(descriptor: int) -> None:
    status = os.fstat(descriptor)
    # A hard link may be another's file, that others are meant to read.
    is_part = stat.S_ISDIR(status.st_mode) or (
        stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    )
    if status.st_mode & OTHERS and is_part:
        os.fchmod(descriptor, _bits(status) & ~OTHERS)


@contextmanager
def _opened(folder: int, path: Path) -> Iterator[int]:
    descriptor = open_folder(folder, path.name, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entries(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(os.listdir(folder)):
        status = status_of(folder, name)
        if status is not None:
            yield name, status


def _bits(status: os.stat_result) -> int:
    # A link's own bits say nothing.
    return 0 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode) & PERMISSION_BITS
