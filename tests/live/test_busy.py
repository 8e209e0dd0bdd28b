"""A domain that is at work: who waits for it can be stopped, and readers do not wait at all."""

import signal
import time

import pytest
from livebed.killing import Runner
from livebed.world import STATE, World

from vmsnap.host.locks import FileLocks
from vmsnap.model import DomainId

pytestmark = pytest.mark.live

READING = (
    "vm list",
    "vm show %d",
    "group list %d",
    "group show %d monday",
    "group tree %d",
    "group check %d",
    "group diff %d monday",
    "snapshot list %d",
    "backup list %d",
    "backup show %d monday",
    "backup verify %d monday",
    "history %d",
    "db status",
    "doctor %d",
    "recover --dry-run",
    "group revert %d monday --dry-run",
)
AT_ONCE_SECONDS = 10
"""Far below the 30 s for which a writer waits for another's transaction."""


def test_a_signal_ends_the_wait_for_a_busy_domain_and_nothing_was_changed(world: World):
    """H48: 130 for Ctrl-C, 143 for SIGTERM."""
    with Runner(world.rows.url) as run:
        run("snapshot", "create", world.name, "--name", "monday", status=0)
        before = world.seen()
        with FileLocks(STATE).hold(DomainId(world.machine.id), "group revert", 0):
            for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                words = ("snapshot", "create", world.name, "--wait", "60")
                ended = run(*words, number=number, after_seconds=3, status=status)
                assert ended.document["changed"] is False
                assert ended.seconds < AT_ONCE_SECONDS
        assert world.seen() == before
        run("snapshot", "create", world.name, "--wait", "60", status=0)


def test_readers_do_not_wait_for_who_works_on_the_domain_and_in_the_database(world: World):
    """H48: neither for the domain's lock nor for a transaction that takes long."""
    import sqlite3

    with Runner(world.rows.url) as run:
        run("snapshot", "create", world.name, "--name", "monday", status=0)
        writer = sqlite3.connect(world.rows.url.removeprefix("sqlite:///"), isolation_level=None)
        with FileLocks(STATE).hold(DomainId(world.machine.id), "group revert", 0):
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM history")
            for line in READING:
                begin = time.monotonic()
                run(*(world.name if word == "%d" else word for word in line.split()), status=0)
                assert time.monotonic() - begin < AT_ONCE_SECONDS, line
            shown = run("vm", "show", world.name, status=0).document["data"]["domain"]["busy"]
            assert shown["verb"] == "group revert"
            writer.execute("ROLLBACK")
        writer.close()
        assert run("vm", "show", world.name).document["data"]["domain"]["busy"] is None
