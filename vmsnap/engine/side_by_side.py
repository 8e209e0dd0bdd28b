"""Several domains side by side: each is an operation of its own, all or nothing by itself."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from vmsnap.errors import LeftChangedError, VmsnapError

T = TypeVar("T")

AT_ONCE = 8
"""How many domains are worked on at the same time: most of it is waiting for others."""
PARTIAL = 3
_TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How it ended for one domain: exactly one of `result` and `error` is set."""

    domain: str
    result: T | None = None
    error: VmsnapError | None = None


class Cancellation:
    """Tells all operations that a signal came in: each ends before its next step."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> bool:
        """Tell whether it has come to that."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Let all of them end."""
        self._event.set()


def side_by_side(
    domains: Sequence[str], work: Callable[[str], T], cancellation: Cancellation
) -> tuple[Ended[T], ...]:
    """Do the same to several domains; return how each ended, in their order.

    `work` has to look at `cancellation` itself. A signal is raised again when all have been
    settled, with `vmsnap_changed` telling whether one of them had taken effect; so is an error
    that nobody expected.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="domain") as pool:
        futures = [pool.submit(work, domain) for domain in domains]
        try:
            # In slices, because a signal does not end a wait without limit.
            while wait(futures, timeout=_TICK_SECONDS).not_done:
                pass
        except BaseException as signal:
            cancellation.cancel()
            pool.shutdown(cancel_futures=True)
            signal.vmsnap_changed = any(  # type: ignore[attr-defined] # read where errors are shown
                _took_effect(future) for future in futures
            )
            raise
    return tuple(_ended(name, future) for name, future in zip(domains, futures, strict=True))


def exit_code(ended: Sequence[Ended[T]]) -> int:
    """Return one exit status for all: 30 wins, else 3 if some succeeded, else the highest."""
    codes = [item.error.exit_code for item in ended if item.error is not None]
    if LeftChangedError.exit_code in codes:
        return LeftChangedError.exit_code
    if codes and len(codes) < len(ended):
        return PARTIAL
    return max(codes, default=0)


def _ended(domain: str, future: Future[T]) -> Ended[T]:
    try:
        return Ended(domain, result=future.result())
    except VmsnapError as error:
        return Ended(domain, error=error)


def _took_effect(future: Future[T]) -> bool:
    if future.cancelled():
        return False
    error = future.exception()
    return error is None or bool(getattr(error, "vmsnap_changed", False))
