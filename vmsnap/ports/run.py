"""What a run needs: its journal, its lock, where it says what it does, time and ids."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol, TypeAlias

from vmsnap.model import DomainId, JsonObject, local_time

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes of how many are done."""


class JournalFiles(Protocol):
    """One journal file per domain on the local disk, fsynced at every call, the folder too.

    Failures are HostFileError.
    """

    def pending(self) -> tuple[DomainId, ...]:
        """Return the domains that have a journal, sorted."""

    def start(self, domain_id: DomainId, header: JsonObject) -> None:
        """Begin a journal. HostFileError if there is one already."""

    def append(self, domain_id: DomainId, entry: JsonObject) -> None:
        """Add one entry to the journal."""

    def load(self, domain_id: DomainId) -> tuple[JsonObject, ...]:
        """Return header and entries; () if there is no journal, or its header was never whole.

        A torn last entry is left out.
        """

    def remove(self, domain_id: DomainId) -> None:
        """Remove the journal; a missing one is fine."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a domain's lock: its verb, its process and since when; None what nobody knows.

    `has_ended` says that the process is gone and a program that it started is still writing.
    """

    verb: str | None = None
    pid: int | None = None
    since: datetime | None = None
    has_ended: bool = False

    def __str__(self) -> str:
        """Return a sentence without the domain, which is "it"."""
        if self.since is None:
            return "another operation is at work on it"
        who, since = f"'{self.verb}' (process {self.pid})", local_time(self.since)
        if not self.has_ended:
            return f"{who} has been at work on it since {since}"
        return f"{who}, begun {since}, has ended, but a program that it started is still writing"


class Locks(Protocol):
    """One operation per domain at a time."""

    def hold(
        self, domain_id: DomainId, verb: str, wait_seconds: float
    ) -> AbstractContextManager[None]:
        """Hold the domain's lock for the length of a `with` block.

        Raises BusyError, naming holder and since when, if it is not to be had within
        `wait_seconds`. The lock dies with the last process that inherited it.
        """

    def holder(self, domain_id: DomainId) -> Holder | None:
        """Say who holds the domain's lock; None if nobody does, or this user may not know.

        Nothing is taken for it: it makes no other operation wait, not for a moment.
        """


class Reporter(Protocol):
    """Where the engine says what it does while it works; never results."""

    def step(self, text: str) -> None:
        """Say a step that a person would name."""

    def warn(self, text: str) -> None:
        """Say something that a person should read although the work goes on."""

    def progress(self, text: str, done: int, total: int) -> None:
        """Say how far a long step is."""


class Clock(Protocol):
    """Time and new ids, so that tests can choose them."""

    def now(self) -> datetime:
        """Return the present time, aware, in UTC."""

    def ticks(self) -> float:
        """Return seconds of a clock that only runs forward, for measuring."""

    def new_id(self) -> str:
        """Return a new random UUID."""


class GuestStop(Enum):
    """In which way a guest was made to stand still."""

    SUSPENDED = "suspended"
    FROZEN = "frozen"


class GuestWatch(Protocol):
    """Speaks to the process that watches over one guest."""

    def stopping(self, what: GuestStop) -> None:
        """Say that the guest is about to be suspended or frozen; returns when that is noted."""

    def going(self, what: GuestStop) -> None:
        """Say that the guest was resumed or thawed again."""


class GuestWatcher(Protocol):
    """Keeps guests from standing still for ever (H29)."""

    def watch(self, domain_id: DomainId) -> AbstractContextManager[GuestWatch]:
        """Start a process that outlives this one, and holds none of its locks.

        When this process ends, or leaves the `with` block, while the guest is noted as suspended or
        frozen, that process resumes and thaws it, within a second if libvirtd answers.
        Raises LibvirtError if it does not start.
        """
