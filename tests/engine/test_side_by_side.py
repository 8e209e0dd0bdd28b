"""Several domains side by side: each ends by itself, one status for all, a signal ends them all."""

import threading

import pytest

from vmsnap.engine.side_by_side import Cancellation, Ended, exit_code, side_by_side
from vmsnap.errors import BusyError, DomainNotFoundError, LeftChangedError, LibvirtError


def test_each_ends_by_itself_and_in_its_place():
    def work(name):
        if name == "b":
            message = "no"
            raise LibvirtError(message)
        return name.upper()

    first, second, third = side_by_side(["a", "b", "c"], work, Cancellation())
    assert (first.result, third.result) == ("A", "C")
    assert isinstance(second.error, LibvirtError)
    assert side_by_side([], work, Cancellation()) == ()


def test_they_are_at_work_at_the_same_time():
    """Each waits until the other has begun: one after the other would never end."""
    meeting = threading.Barrier(2, timeout=30)
    assert [item.result for item in side_by_side("ab", lambda _: meeting.wait() >= 0, lambda: 0)]


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([], 0),
        ([None, None], 0),
        ([None, LibvirtError("x")], 3),
        ([LibvirtError("x"), DomainNotFoundError("x")], 20),
        ([BusyError("x"), LibvirtError("x")], 75),
        ([None, LeftChangedError("x"), BusyError("x")], 30),
    ],
)
def test_one_status_tells_of_all(errors, status):
    ended = [Ended("d", result=None if error else 1, error=error) for error in errors]
    assert exit_code(ended) == status


def test_a_bug_in_one_is_raised_when_all_have_ended():
    ended = []

    def work(name):
        if name == "a":
            raise ZeroDivisionError
        ended.append(name)

    with pytest.raises(ZeroDivisionError):
        side_by_side("abc", work, Cancellation())
    assert sorted(ended) == ["b", "c"]


def test_a_signal_ends_all_and_tells_whether_one_had_taken_effect(monkeypatch):
    """H29: nobody is left in the middle."""
    cancellation = Cancellation()
    settled = []
    has_begun = threading.Event()

    def work(name):
        if name == "done":
            return name
        has_begun.set()
        while not cancellation():
            pass
        settled.append(name)
        raise KeyboardInterrupt

    def interrupted(futures, timeout):
        futures[0].result(timeout * 100)
        has_begun.wait(timeout * 100)
        raise KeyboardInterrupt

    monkeypatch.setattr("vmsnap.engine.side_by_side.wait", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        side_by_side(["done", "slow"], work, cancellation)
    assert settled == ["slow"]
    assert caught.value.vmsnap_changed is True
