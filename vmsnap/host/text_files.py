"""Small text files that others read at any moment: replaced as a whole, by one writer at a time."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmsnap.errors import BusyError, HostFileError
from vmsnap.host.os_errors import translated
from vmsnap.host.regular_files import NEW_FLAGS, NEW_MODE, read_regular
from vmsnap.host.safe_paths import opened_folder_of

WAIT_SECONDS = 5.0
MAX_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.05
_MODE = 0o644


def replace_text(path: Path, make: Callable[[str], str]) -> None:
    """Replace a file by what `make` makes of its present text ("" if it cannot be read).

    Whoever reads it sees the old text or the new one. Its folder must be there; neither of the two
    may be a link. Readable for all; not synced: after a power loss it may be the old one.

    Raises HostFileError if it cannot be written, BusyError if others keep on writing.
    """
    with (
        translated(HostFileError, f"write '{path}'"),
        opened_folder_of(path) as folder,
        _only_writer(folder, path),
    ):
        text = make(_present(folder, path))
        draft = f".{path.name}.new"
        # Of a writer that was killed.
        _remove(folder, draft)
        try:
            _write(folder, draft, text)
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
