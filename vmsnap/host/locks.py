"""Locks that let one operation at a time work on a domain."""

import fcntl
import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from vmsnap.errors import BusyError, ConfigError
from vmsnap.host.births import birth_of
from vmsnap.host.folders import make_private_folder
from vmsnap.host.os_errors import translated
from vmsnap.model import DomainId
from vmsnap.ports import Holder

POLL_SECONDS = 0.1
FILE_MODE = 0o600

_LOOKS = 4
_LOOK_SECONDS = 0.02
# Linux' struct flock: type, whence, start, length (0: to the end, however far), process.
_FLOCK = "hhqqi"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class FileLocks:
    """One lock file per domain in `FOLDER/locks`, held by a lock on its open file description.

    Such a lock (OFD) is inherited and ends with its last holder, as one of flock does; but it can
    be asked after too, without taking it even for a moment. The file is never unlinked: a lock on a
    name that is gone keeps nobody out. What the file says of its holder is for readers only; the
    kernel knows whether it is held.
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
        path = self._path(domain_id)
        with translated(ConfigError, f"use the lock '{path}'"):
            make_private_folder(self._folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, FILE_MODE)
        try:
            with translated(ConfigError, f"use the lock '{path}'"):
                _acquire(descriptor, wait_seconds)
            self._say_who(descriptor, verb)
            yield from self._holding(domain_id, descriptor)
        finally:
            os.close(descriptor)

    def holder(self, domain_id: DomainId) -> Holder | None:
        """Say who holds the domain's lock, without taking it; None if nobody does.

        None too for a user who may not look into the folder.
        """
        try:
            descriptor = os.open(self._path(domain_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return _look(descriptor)
        finally:
            os.close(descriptor)

    def inherited_fds(self) -> tuple[int, ...]:
        """Return the descriptors that a program which writes for vmsnap must inherit."""
        return tuple(self._held.values())

    def _path(self, domain_id: DomainId) -> Path:
        return self._folder / f"{domain_id}.lock"

    def _holding(self, domain_id: DomainId, descriptor: int) -> Iterator[None]:
        self._held[domain_id] = descriptor
        try:
            yield
        finally:
            del self._held[domain_id]

    def _say_who(self, descriptor: int, verb: str) -> None:
        pid = os.getpid()
        since = self._now().isoformat(timespec="seconds")
        words = {"pid": pid, "birth": birth_of(pid), "verb": verb, "since": since}
        # A full disk must not stop an operation that frees space; the lock itself is held.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(words).encode(), 0)


def _acquire(descriptor: int, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _write_lock())
        except BlockingIOError as error:
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                holder = _look(descriptor) or Holder()
                hint = "--wait 60 waits for it for a minute"
                raise BusyError(str(holder), hint=hint) from error
            time.sleep(min(POLL_SECONDS, left_seconds))
        else:
            return


def _look(descriptor: int) -> Holder | None:
    """Ask who holds the lock; who took it this moment has not written its name yet."""
    holder = None
    for _ in range(_LOOKS):
        if not _is_held(descriptor):
            return None
        holder = _named(descriptor)
        if holder.pid is not None and not holder.has_ended:
            break
        time.sleep(_LOOK_SECONDS)
    return holder


def _is_held(descriptor: int) -> bool:
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _write_lock())
    return bool(struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK)


def _write_lock() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _named(descriptor: int) -> Holder:
    """Read what the file says of its holder.

    A number alone is not enough: it may be another process's by now.
    """
    try:
        words = json.loads(os.pread(descriptor, 4096, 0))
        pid, birth = int(words["pid"]), str(words["birth"])
        since = datetime.fromisoformat(str(words["since"])).astimezone()
        return Holder(str(words["verb"]), pid, since, has_ended=birth_of(pid) != birth)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Holder()
