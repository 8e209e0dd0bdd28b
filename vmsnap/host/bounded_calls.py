"""Run calls that cannot be interrupted, such as libvirt's, with a time limit."""

import threading
import time
from collections.abc import Callable
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

    def read(self, work: Callable[[], T]) -> T:
        """Run a call that changes nothing; raises LibvirtError if it does not answer in time."""
        self._settle()
        call = _Call(work)
        call.start()
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
        try:
            call.start()
            call.has_ended.wait(limit)
        finally:
            if not call.is_over_within(deadline - time.monotonic()):
                self._unfinished = call.has_ended
        if not call.has_ended.is_set():
            raise self._silence()
        return call.result()

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


class _Call(Generic[T]):
    """One call in its thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._has_begun = False
        self._is_cancelled = False
        self.has_ended = threading.Event()

    def start(self) -> None:
        """Start the call; it ends with the process at the latest."""
        threading.Thread(target=self._run, daemon=True).start()

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

    def _run(self) -> None:
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
