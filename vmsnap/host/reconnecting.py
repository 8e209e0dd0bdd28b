"""Keep a connection to a daemon that may be restarted between two calls."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vmsnap.host.bounded_calls import BoundedCalls

C = TypeVar("C")
T = TypeVar("T")


class Reconnecting(Generic[C]):
    """A connection that is made at the first call, and again when a read finds it lost.

    `failure` is the class of errors by which a lost connection shows; it passes through.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        is_alive: Callable[[C], bool],
        failure: type[Exception],
        calls: BoundedCalls,
    ) -> None:
        self._connect = connect
        self._is_alive = is_alive
        self._failure = failure
        self._calls = calls
        self._connection: C | None = None
        self._heard_at = -math.inf

    def read(self, work: Callable[[C], T]) -> T:
        """Run a call that changes nothing; once more if the connection turns out to be lost."""
        try:
            return self._heard(self._calls.read(lambda: work(self._connected())))
        except self._failure:
            self._heard_at = -math.inf
            if self._connection is None or self._is_alive(self._connection):
                raise
        self._connection = None
        return self._heard(self._calls.read(lambda: work(self._connected())))

    def change(
        self,
        work: Callable[[C], T],
        *,
        probe: Callable[[C], object],
        extra_seconds: float = 0.0,
        trusted_seconds: float = 0.0,
    ) -> T:
        """Run a call that changes something, once.

        It is never repeated, so `probe` finds a connection that was lost by reading before; for
        `trusted_seconds` after an answer the connection is taken to be there still.
        """
        if time.monotonic() - self._heard_at >= trusted_seconds:
            self.read(probe)
        # Only an answer renews the trust: whatever a failure means, the next change probes.
        self._heard_at = -math.inf
        return self._heard(self._calls.change(lambda: work(self._connected()), extra_seconds))

    def _heard(self, answer: T) -> T:
        self._heard_at = time.monotonic()
        return answer

    def _connected(self) -> C:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection
