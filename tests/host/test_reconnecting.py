"""A daemon that is restarted between two calls."""

import pytest

from vmsnap.host.bounded_calls import BoundedCalls
from vmsnap.host.reconnecting import Reconnecting


class LostError(Exception):
    """The daemon's end of the connection is closed."""


class Daemon:
    """Makes connections; `restart` breaks those that there are."""

    def __init__(self) -> None:
        self.connections: list[Daemon.Connection] = []

    class Connection:
        is_open = True

        def ask(self) -> int:
            if not self.is_open:
                raise LostError
            return 1

        def refuse(self) -> None:
            raise LostError

    def connect(self) -> Connection:
        self.connections.append(self.Connection())
        return self.connections[-1]

    def restart(self) -> None:
        for connection in self.connections:
            connection.is_open = False


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def link(daemon: Daemon) -> Reconnecting[Daemon.Connection]:
    return Reconnecting(
        daemon.connect, lambda connection: connection.is_open, LostError, BoundedCalls(5)
    )


def test_nothing_is_connected_before_the_first_call(daemon, link):
    assert daemon.connections == []
    link.read(lambda connection: connection.ask())
    link.read(lambda connection: connection.ask())
    assert len(daemon.connections) == 1


def test_a_read_over_a_lost_connection_is_repeated_over_a_new_one(daemon, link):
    link.read(lambda connection: connection.ask())
    daemon.restart()
    assert link.read(lambda connection: connection.ask()) == 1


def test_a_failure_of_a_good_connection_is_not_repeated(daemon, link):
    with pytest.raises(LostError):
        link.read(lambda connection: connection.refuse())
    assert len(daemon.connections) == 1


def test_a_change_after_a_restart_runs_once_over_a_new_connection(daemon, link):
    link.read(lambda connection: connection.ask())
    daemon.restart()
    changes: list[bool] = []
    link.change(
        lambda connection: changes.append(connection.is_open),
        probe=lambda connection: connection.ask(),
    )
    assert changes == [True]


def test_a_connection_that_has_just_answered_can_be_trusted(daemon, link):
    probes: list[int] = []

    def change(work):
        def probe(connection):
            probes.append(connection.ask())

        link.change(work, probe=probe, trusted_seconds=3600)

    change(lambda connection: connection.ask())
    change(lambda connection: connection.ask())
    assert len(probes) == 1
    daemon.restart()
    with pytest.raises(LostError):
        change(lambda connection: connection.ask())
    change(lambda connection: connection.ask())
    assert (len(probes), len(daemon.connections)) == (2, 2), "a failure ends the trust"


def test_a_change_that_loses_the_connection_is_never_repeated(daemon, link):
    """H24: it may have happened."""
    attempts: list[int] = []

    def change(connection: Daemon.Connection) -> None:
        attempts.append(1)
        daemon.restart()
        connection.ask()

    with pytest.raises(LostError):
        link.change(change, probe=lambda connection: connection.ask())
    assert attempts == [1]
