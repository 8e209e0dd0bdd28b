"""Small text files that others read at any moment: replaced as a whole, by one writer at a time."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmsnap.errors import BusyError, HostFileError
from vmsnap.host.os_errors import translated
from vmsnap.host.regular_files import NEW_FLAGS, NEW_MODE, READ_FLAGS, marks_of, read_regular
from vmsnap.host.safe_paths import opened_folder_of, require_regular, status_of

WAIT_SECONDS = 5.0
MAX_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.05
_MODE = 0o644


def replace_text(path: Path, make: Callable[[str], str], *, beginning: str = "") -> None:
    """Replace a file by what `make` makes of its present text ("" if it cannot be read).

    Whoever reads it sees the old text or the new one. Its folder must be there and no link, and a
    link in the file's place is not followed. With a `beginning` nothing is replaced but a regular
    file that is empty or begins so: every other is somebody else's. Readable for all; not synced:
    after a power loss it may be the old one.

    Raises HostFileError if it cannot be written or is somebody else's, BusyError if others keep on
    writing.
    """
    with (
        translated(HostFileError, f"write '{path}'"),
        opened_folder_of(path) as folder,
        _only_writer(folder, path),
    ):
        found = _require_own(folder, path, beginning)
        text = make(_present(folder, path))
        draft = f".{path.name}.new"
        # Of a writer that was killed.
        _remove(folder, draft)
        try:
            _write(folder, draft, text)
            if _require_own(folder, path, beginning) != found:
                message = f"another file was put in the place of '{path}' meanwhile"
                raise HostFileError(message)
            os.rename(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            _remove(folder, draft)


@contextmanager
def _only_writer(folder: int, path: Path) -> Iterator[None]:
    """Keep other writers out: each makes its text from that of the one before."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise BusyError(f"others hold the folder of '{path}'") from error
            time.sleep(_POLL_SECONDS)
    # The lock ends with the descriptor.
    yield


def _require_own(folder: int, path: Path, beginning: str) -> tuple[int, ...] | None:
    """Return the marks of the file that is there, if there is one and it matters what it holds.

    Raises HostFileError if it is no regular file, or neither is empty nor has the beginning.
    """
    status = status_of(folder, path.name) if beginning else None
    if status is None:
        return None
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path.name, dir_fd=folder)
        message = f"'{path}' is a link to '{target}', which is neither followed nor replaced"
        raise HostFileError(message, hint="name the file itself")
    # Before it is opened: opening alone makes some devices act.
    require_regular(status.st_mode, path)
    descriptor = os.open(path.name, READ_FLAGS, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        require_regular(status.st_mode, path)
        if file.read(len(beginning.encode())) not in {b"", beginning.encode()}:
            message = f"'{path}' is not empty and holds something else: it is not replaced"
            raise HostFileError(message, hint="name a file that is not there yet")
    return marks_of(status)


def _present(folder: int, path: Path) -> str:
    try:
        return read_regular(folder, path.name, shown=path, limit_bytes=MAX_BYTES).data.decode()
    except (OSError, HostFileError, UnicodeDecodeError):
        return ""


def _remove(folder: int, name: str) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _write(folder: int, name: str, text: str) -> None:
    descriptor = os.open(name, NEW_FLAGS, NEW_MODE, dir_fd=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode(errors="backslashreplace"))
        os.fchmod(descriptor, _MODE)
