"""Locks that let one operation at a time work on a domain."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from vmsnap.errors import BusyError, ConfigError
from vmsnap.host.folders import make_private_folder
from vmsnap.host.os_errors import translated
from vmsnap.model import DomainId

POLL_SECONDS = 0.1
FILE_MODE = 0o600


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FileLocks:
    """One lock file per domain in `FOLDER/locks`, held with flock.

    The file is never unlinked: a lock on a name that is gone keeps nobody out. What the file says
    of its holder is for readers only; the kernel knows whether it is held.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime] = _utc_now) -> None:
        self._folder = folder / "locks"
        self._now = now
        self._held: dict[DomainId, int] = {}

    @contextmanager
    def hold(self, domain_id: DomainId, verb: str, wait_seconds: float) -> Iterator[None]:
        """Hold the domain's lock for the length of a `with` block.

        The lock is let go by closing the file, so it stays with programs that inherited it. Raises
        BusyError that says who holds it but not which domain, by whose name only the caller can
        call it; ConfigError if the folder cannot be used.
        """
        path = self._folder / f"{domain_id}.lock"
        with translated(ConfigError, f"use the lock '{path}'"):
            make_private_folder(self._folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, FILE_MODE)
        try:
            with translated(ConfigError, f"use the lock '{path}'"):
                _acquire(descriptor, path, wait_seconds)
            self._say_who(descriptor, verb)
            yield from self._holding(domain_id, descriptor)
        finally:
            os.close(descriptor)

    def _holding(self, domain_id: DomainId, descriptor: int) -> Iterator[None]:
        self._held[domain_id] = descriptor
        try:
            yield
        finally:
            del self._held[domain_id]

    def inherited_fds(self) -> tuple[int, ...]:
        """Return the descriptors that a program which writes for vmsnap must inherit."""
        return tuple(self._held.values())

    def _say_who(self, descriptor: int, verb: str) -> None:
        since = self._now().isoformat(timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "verb": verb, "since": since})
        # A full disk must not stop an operation that frees space; the lock itself is held.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(), 0)


def _acquire(descriptor: int, path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise BusyError(
                    _holder(path), hint="--wait 60 waits for it for a minute"
                ) from error
            time.sleep(min(POLL_SECONDS, left_seconds))
        else:
            return


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        pid, verb, since = int(holder["pid"]), str(holder["verb"]), str(holder["since"])
    except (OSError, ValueError, TypeError, KeyError):
        return "another operation is at work on it"
    if _is_alive(pid):
        return f"'{verb}' (process {pid}) has been at work on it since {since}"
    return (
        f"'{verb}' (process {pid}), begun {since}, has ended, but a program that it started is "
        "still writing"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
