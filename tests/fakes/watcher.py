"""A watcher over guests that remembers what it was told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vmsnap.model import DomainId
from vmsnap.ports import GuestStop


@dataclass
class FakeWatch:
    """The GuestWatch of one guest."""

    told: list[tuple[str, str]]
    standing: set[GuestStop] = field(default_factory=set)

    def stopping(self, what: GuestStop) -> None:
        self.told.append(("stopping", what.value))
        self.standing.add(what)

    def going(self, what: GuestStop) -> None:
        self.told.append(("going", what.value))
        self.standing.discard(what)


@dataclass
class FakeWatcher:
    """The GuestWatcher port; `left` are the watches that ended while their guest stood still."""

    told: list[tuple[str, str]] = field(default_factory=list)
    left: list[FakeWatch] = field(default_factory=list)

    @contextmanager
    def watch(self, domain_id: DomainId) -> Iterator[FakeWatch]:
        self.told.append(("watch", domain_id))
        watch = FakeWatch(self.told)
        try:
            yield watch
        finally:
            if watch.standing:
                self.left.append(watch)
            self.told.append(("end", domain_id))
