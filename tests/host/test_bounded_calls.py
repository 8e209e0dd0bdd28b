"""Calls that end in time, or are known not to have ended."""

import signal
import threading
import time

import pytest

from vmsnap.errors import LibvirtError
from vmsnap.host.bounded_calls import BoundedCalls


@pytest.fixture
def held() -> threading.Event:
    """An event that a call waits for; set at the end, so that no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


def test_the_result_or_the_exception_of_a_call_is_handed_over():
    calls = BoundedCalls(5)
    assert calls.read(lambda: 1) == 1
    assert calls.change(lambda: None) is None
    for run in (calls.read, calls.change):
        with pytest.raises(KeyError):
            run(lambda: {}["missing"])


@pytest.mark.parametrize("kind", ["read", "change"])
def test_a_call_that_does_not_answer_ends_in_time(held, kind):
    """H4: every wait has a limit."""
    calls = BoundedCalls(0.05)
    with pytest.raises(LibvirtError, match=r"did not answer within 0.05 s"):
        getattr(calls, kind)(held.wait)


def test_calls_that_end_share_a_thread_and_one_that_hangs_keeps_its_own(held):
    """A new thread waits for its turn on a busy host, and a guest may be suspended meanwhile."""
    calls = BoundedCalls(0.05)
    first = calls.read(threading.current_thread)
    assert calls.change(threading.current_thread) is first
    with pytest.raises(LibvirtError):
        calls.read(held.wait)
    assert calls.read(threading.current_thread) is not first
    held.set()
    first.join(5)
    assert not first.is_alive(), "a thread that was given up ends when its call does"


def test_a_read_that_was_given_up_does_not_hinder_the_next_call(held):
    calls = BoundedCalls(0.05)
    with pytest.raises(LibvirtError):
        calls.read(held.wait)
    assert calls.read(lambda: 1) == 1


def test_nothing_is_believed_while_a_change_may_yet_take_effect(held):
    """H24: a call that was given up may still happen."""
    calls = BoundedCalls(0.05)
    with pytest.raises(LibvirtError):
        calls.change(held.wait)
    with pytest.raises(LibvirtError, match="may yet take effect"):
        calls.read(lambda: 1)
    held.set()
    assert calls.read(lambda: 1) == 1


def test_a_signal_in_the_middle_of_a_change_is_held_back_until_it_ended():
    """An undo must not begin while the change that it takes back is under way."""
    began = threading.Event()
    ended = threading.Event()

    def change() -> None:
        began.set()
        time.sleep(0.2)
        ended.set()

    def interrupt() -> None:
        began.wait()
        signal.raise_signal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            BoundedCalls(5).change(change)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()
