"""TPM state directories in open folders: read whole, written whole, removed without following."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap.errors import ContentError, HostFileChangedError, HostFileError
from vmsnap.host.file_meta import apply_meta, meta_of
from vmsnap.host.regular_files import FileReading, read_regular, write_regular
from vmsnap.host.safe_paths import open_folder
from vmsnap.host.tpm_archive import MAX_FILES, MAX_TOTAL_BYTES, ArchivedFile, pack
from vmsnap.model import FileMeta

LOCK_NAME = ".lock"
"""swtpm's lock says which process runs; it is no state."""

NEW_MODE = 0o700


@dataclass(frozen=True, slots=True)
class DirectoryReading:
    """A TPM directory as it was read: its archive, and when which file was changed."""

    archive: bytes = field(repr=False)
    meta: FileMeta
    marks: tuple[tuple[str, int, int, int], ...]
    """Name, size, mtime and ctime of each file; no inodes, between which swtpm alternates."""


def read_directory(above: int, name: str, shown: Path) -> DirectoryReading:
    """Read a TPM directory in an open folder; `shown` is its path for messages.

    Raises FileNotFoundError if it is missing, HostFileError if it holds anything but a few small
    regular files, HostFileChangedError if it changed meanwhile, OSError.
    """
    folder = open_folder(above, name, shown)
    try:
        names = _names(folder, shown)
        readings = _read_files(folder, names, shown)
        meta = meta_of(folder)
        if _names(folder, shown) != names:
            raise HostFileChangedError(_changed(shown))
    finally:
        os.close(folder)
    files = [ArchivedFile(name, reading.data, reading.meta) for name, reading in readings.items()]
    try:
        archive = pack(files)
    except ContentError as error:
        message = f"cannot keep '{shown}': {error.message}"
        raise HostFileError(message) from error
    marks = tuple(
        (name, len(reading.data), reading.mtime_ns, reading.ctime_ns)
        for name, reading in readings.items()
    )
    return DirectoryReading(archive, meta, marks)


def write_directory(above: int, name: str, files: Sequence[ArchivedFile], meta: FileMeta) -> None:
    """Make a new directory of these files, synced with all of them (not the folder above).

    Raises OSError; then nothing of that name is left, where that is possible.
    """
    os.mkdir(name, NEW_MODE, dir_fd=above)
    try:
        folder = open_folder(above, name, Path(name))
        try:
            for file in files:
                write_regular(folder, file.name, file.data, file.meta)
            apply_meta(folder, meta)
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        with suppress(OSError):
            remove_directory(above, name, Path(name))
        raise


def remove_directory(above: int, name: str, shown: Path) -> None:
    """Remove a directory and the files in it; links in it are removed, not followed.

    Raises OSError, also if there is a directory in it; then some of its files may be gone.
    """
    folder = open_folder(above, name, shown)
    try:
        for entry in os.listdir(folder):  # noqa: PTH208 - a descriptor is no path
            os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=above)


def _names(folder: int, shown: Path) -> tuple[str, ...]:
    names = sorted(name for name in os.listdir(folder) if name != LOCK_NAME)
    if len(names) > MAX_FILES:
        message = f"'{shown}' holds more than {MAX_FILES} files"
        raise HostFileError(message)
    return tuple(names)


def _read_files(folder: int, names: tuple[str, ...], shown: Path) -> dict[str, FileReading]:
    readings: dict[str, FileReading] = {}
    left_bytes = MAX_TOTAL_BYTES
    for name in names:
        try:
            reading = read_regular(folder, name, shown=shown / name, limit_bytes=left_bytes)
        except FileNotFoundError as error:
            raise HostFileChangedError(_changed(shown)) from error
        readings[name] = reading
        left_bytes -= len(reading.data)
    return readings


def _changed(shown: Path) -> str:
    return f"'{shown}' changed while it was being read"
