"""Regular files in open folders: read whole and bounded, written whole and synced."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap.errors import HostFileChangedError, HostFileError
from vmsnap.host.file_meta import apply_meta, meta_of
from vmsnap.host.safe_paths import require_regular, status_of
from vmsnap.model import FileMeta

READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_MODE = 0o600
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileReading:
    """A regular file as it was read."""

    data: bytes = field(repr=False)
    meta: FileMeta
    mtime_ns: int
    ctime_ns: int


def read_regular(folder: int, name: str, *, shown: Path, limit_bytes: int) -> FileReading:
    """Read a regular file of an open folder; `shown` is its path for messages.

    Raises FileNotFoundError if there is no such name, HostFileError if it is anything but a regular
    file or larger than `limit_bytes`, HostFileChangedError if it changed meanwhile, OSError.
    """
    # Looked at before it is opened: opening alone makes some devices act.
    require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode, shown)
    descriptor = os.open(name, READ_FLAGS, dir_fd=folder)
    try:
        before = os.fstat(descriptor)
        require_regular(before.st_mode, shown)
        _require_one_name(before, shown)
        data = _read_bounded(descriptor, shown, limit_bytes)
        meta = meta_of(descriptor)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    named = status_of(folder, name)
    is_same = named is not None and marks_of(before) == marks_of(after) == marks_of(named)
    if not is_same or len(data) != after.st_size:
        message = f"'{shown}' changed while it was being read"
        raise HostFileChangedError(message)
    return FileReading(data, meta, mtime_ns=after.st_mtime_ns, ctime_ns=after.st_ctime_ns)


def write_regular(folder: int, name: str, data: bytes, meta: FileMeta) -> None:
    """Write a new file, whole, with owner, mode and attributes, and sync it (not the folder).

    Raises OSError; then no file of that name is left, where that is possible.
    """
    descriptor = os.open(name, NEW_FLAGS, NEW_MODE, dir_fd=folder)
    try:
        _write_all(descriptor, data)
        apply_meta(descriptor, meta)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _require_one_name(status: os.stat_result, shown: Path) -> None:
    """Refuse a hard link: who plants one would have us keep, or change, a file of another's."""
    if status.st_nlink > 1:
        message = f"'{shown}' has {status.st_nlink} names; a host file has only one"
        raise HostFileError(message, hint=f"find / -xdev -inum {status.st_ino}")


def _read_bounded(descriptor: int, shown: Path, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size_bytes = 0
    while piece := os.read(descriptor, PIECE_BYTES):
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            message = f"'{shown}' is larger than {limit_bytes} bytes"
            raise HostFileError(message)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def marks_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells a file from every other, and from itself once it was changed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
