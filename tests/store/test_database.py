import logging
import sqlite3
import traceback

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from vmsnap.errors import DatabaseError, TerminatedError, VmsnapError
from vmsnap.store import database as database_module
from vmsnap.store.database import Database
from vmsnap.store.location import locate
from vmsnap.store.schema import content, content_chunk, domain

ROW = {"host_uuid": "h", "uuid": "d", "name": "web1"}


@pytest.fixture
def database(made, url):
    opened = Database(locate(url))
    yield opened
    opened.close()


def names(database):
    return database.read(lambda connection: connection.scalars(select(domain.c.name)).all())


def test_what_a_failing_transaction_wrote_is_gone(database):
    def work(connection):
        connection.execute(insert(domain), ROW)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)
    assert names(database) == []


def test_a_signal_in_a_transaction_rolls_it_back_and_the_next_one_works(database):
    def work(connection):
        connection.execute(insert(domain), ROW)
        raise TerminatedError("stopped")

    with pytest.raises(TerminatedError):
        database.write(work)
    assert names(database) == []
    database.write(lambda connection: connection.execute(insert(domain), ROW))
    assert names(database) == ["web1"]


def test_contents_never_appear_in_an_error_or_a_log(database, caplog):
    """H50 and rule 12: neither message nor traceback nor log repeats what was bound."""
    caplog.set_level(logging.DEBUG)
    row = {"sha256": "0" * 64, "number": 0, "data": b"top-secret-nvram"}
    with pytest.raises(DatabaseError) as caught:
        database.write(lambda connection: connection.execute(insert(content_chunk), row))
    assert "FOREIGN KEY" in caught.value.message
    assert "INSERT" not in caught.value.message
    assert "top-secret" not in "".join(traceback.format_exception(caught.value))
    assert "top-secret" not in caplog.text


class _DriverError(Exception):
    """What PyMySQL raises: a number and a sentence."""


def failing(number, times):
    """Work that fails with MySQL's error of that number so many times."""
    calls = []

    def work(_connection):
        calls.append(number)
        if len(calls) <= times:
            raise OperationalError("INSERT", {}, _DriverError(number, "try again"))
        return len(calls)

    return work


@pytest.mark.parametrize("number", [1213, 1205])
def test_a_deadlock_is_tried_again(database, monkeypatch, number):
    monkeypatch.setattr(database_module, "_PAUSE_SECONDS", 0)
    assert database.write(failing(number, 1)) == 2


@pytest.mark.parametrize(("number", "times"), [(1213, 100), (1205, 100), (2006, 1)])
def test_a_deadlock_is_not_tried_for_ever_and_a_lost_connection_not_again(
    database, monkeypatch, number, times
):
    """H4, H57: what may have been committed is not repeated."""
    monkeypatch.setattr(database_module, "_PAUSE_SECONDS", 0)
    with pytest.raises(DatabaseError, match="failed: try again"):
        database.write(failing(number, times))


def test_a_full_disk_is_a_database_error_and_changes_nothing(database):
    """H31: SQLite's own limit stands in for the disk's."""

    def work(connection):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        digest = {"sha256": "0" * 64}
        connection.execute(
            insert(content), digest | {"codec": "x", "raw_size": 1, "chunk_count": 1}
        )
        connection.execute(insert(content_chunk), digest | {"number": 0, "data": bytes(10**6)})

    with pytest.raises(DatabaseError, match="full"):
        database.write(work)
    assert database.read(lambda connection: connection.execute(select(content)).all()) == []


def test_sqlite_has_the_features_that_the_store_needs():
    # Debian 12 has 3.40.
    assert sqlite3.sqlite_version_info >= (3, 37)


def test_a_damaged_file_says_how_to_go_on(database):
    path = database.location.path
    database.close()
    path.write_bytes(b"garbage" * 4096)
    damaged = Database(database.location)
    with pytest.raises(VmsnapError) as caught:
        names(damaged)
    assert "move the file aside" in caught.value.hint
    assert caught.value.hint.endswith("vmsnap db rebuild")
