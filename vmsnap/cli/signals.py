"""Signals as exceptions: the first one interrupts, all later ones wait for the settlement."""

import signal
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM or SIGHUP came in; no `except Exception` may swallow it."""


# SIGHUP: a terminal or an ssh session that is gone should end in a settlement too.
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_signals() -> None:
    """Raise KeyboardInterrupt for SIGINT and Terminated for SIGTERM and SIGHUP, once.

    A signal that the caller ignores (`nohup`, background jobs of a script) stays ignored.
    """
    for number in _HANDLED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def die_on_signals() -> None:
    """Let signals end the program at once: nothing is left but to print the result."""
    for number in _HANDLED:
        if signal.getsignal(number) is _raise:
            signal.signal(number, signal.SIG_DFL)


def ignore_signals() -> None:
    """Ignore further signals, so that a second Ctrl-C cannot break into a settlement.

    Child processes inherit it: a Ctrl-C reaches the whole process group.
    """
    for number in _HANDLED:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    ignore_signals()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated
