"""Run calls that cannot be interrupted, such as libvirt's, with a time limit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar

from vmsnap.errors import LibvirtError

T = TypeVar("T")


class BoundedCalls:
    """Calls in threads of their own, which end when the process does.

    A change that was given up may still happen. So, while one is not known to have ended, every
    later call first waits for it, and fails if it does not end: what is read would not be believed.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._unfinished: threading.Event | None = None
        self._idle: list[_Worker] = []

    def read(self, work: Callable[[], T]) -> T:
        """Run a call that changes nothing; raises LibvirtError if it does not answer in time."""
        self._settle()
        call = _Call(work)
        with self._worker_for(call) as worker:
            worker.run(call.run)
            if not call.has_ended.wait(self._limit_seconds):
                raise self._silence()
        return call.result()

    def change(self, work: Callable[[], T], extra_seconds: float = 0.0) -> T:
        """Run a call that changes something; raises LibvirtError if it does not answer in time.

        `extra_seconds` are for a call that is meant to wait for somebody else than libvirt.

        An exception that a signal raises meanwhile is held back until the call has ended.
        """
        self._settle()
        call = _Call(work)
        limit = self._limit_seconds + extra_seconds
        deadline = time.monotonic() + limit
        with self._worker_for(call) as worker:
            try:
                worker.run(call.run)
                call.has_ended.wait(limit)
            finally:
                if not call.is_over_within(deadline - time.monotonic()):
                    self._unfinished = call.has_ended
        if not call.has_ended.is_set():
            raise self._silence()
        return call.result()

    @contextmanager
    def _worker_for(self, call: "_Call[T]") -> Iterator["_Worker"]:
        """Lend a thread for one call; it is used again only after the call has ended."""
        worker = self._idle.pop() if self._idle else _Worker()
        try:
            yield worker
        finally:
            if call.has_ended.is_set():
                self._idle.append(worker)
            else:
                worker.retire()

    def _settle(self) -> None:
        if self._unfinished is None:
            return
        if not self._unfinished.wait(self._limit_seconds):
            raise LibvirtError(
                "libvirtd has still not answered an earlier call, which may yet take effect",
                hint="systemctl status libvirtd",
            )
        self._unfinished = None

    def _silence(self) -> LibvirtError:
        return LibvirtError(
            f"libvirtd did not answer within {self._limit_seconds:g} s",
            hint="systemctl status libvirtd",
        )


class _Worker:
    """A thread that runs one call after the other; it ends with the process at the latest.

    On a busy host a new thread has to wait its turn for milliseconds, one that wakes up has not.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def run(self, call: Callable[[], None]) -> None:
        """Run a call after those that were given before."""
        self._calls.put(call)

    def retire(self) -> None:
        """End when all calls have ended."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class _Call(Generic[T]):
    """One call in another thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._has_begun = False
        self._is_cancelled = False
        self.has_ended = threading.Event()

    def is_over_within(self, seconds: float) -> bool:
        """Wait for the end of the call; one that has not begun never will."""
        with self._lock:
            self._is_cancelled = True
            if not self._has_begun:
                return True
        return self.has_ended.wait(max(0.0, seconds))

    def result(self) -> T:
        """Return or raise what the call did."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def run(self) -> None:
        """Make the call, unless it was given up before it began."""
        with self._lock:
            if self._is_cancelled:
                return
            self._has_begun = True
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - handed over to the waiting thread, not hidden
            self._error = error
        finally:
            self.has_ended.set()
