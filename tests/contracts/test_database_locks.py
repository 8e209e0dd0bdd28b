"""Rows that another connection holds on MariaDB: a wait that ends, and a deadlock that is lost."""

import threading
from contextlib import closing

import pytest
from sqlalchemy import text

from vmsnap.errors import DatabaseError
from vmsnap.store import engines
from vmsnap.store.database import Database
from vmsnap.store.location import locate

WAIT_SECONDS = 30


@pytest.fixture
def database(mariadb, monkeypatch):
    monkeypatch.setattr(engines, "LOCK_WAIT_SECONDS", 1)
    mariadb.run(["DROP DATABASE IF EXISTS locks", "CREATE DATABASE locks"])
    mariadb.run(
        ["CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 0), (2, 0)"],
        "locks",
    )
    with closing(Database(locate(mariadb.url("locks")))) as opened:
        yield opened


@pytest.fixture
def other(mariadb):
    import pymysql

    connection = pymysql.connect(unix_socket=str(mariadb.socket), user="root", database="locks")
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def change(*ids):
    def work(connection):
        for number in ids:
            connection.execute(text("UPDATE t SET n = n + 1 WHERE id = :id"), {"id": number})

    return work


def test_a_lock_that_is_not_let_go_ends_the_wait_and_changes_nothing(database, other, mariadb):
    """H4, H57: error 1205 takes back one statement only; the whole transaction is given up."""
    other.execute("UPDATE t SET n = 9 WHERE id = 2")
    with pytest.raises(DatabaseError, match="Lock wait timeout") as caught:
        database.write(change(1, 2))
    assert caught.value.exit_code == 22
    assert caught.value.hint == "vmsnap db status"
    assert mariadb.run("SELECT n FROM t", "locks") == [(0,), (0,)]


def test_a_deadlock_that_is_lost_is_tried_again_as_a_whole(database, other, mariadb):
    """H3, H57: error 1213; the one with fewer changes is given up, and that is vmsnap's."""
    other.execute("INSERT INTO t SELECT seq + 100, 0 FROM seq_1_to_500")
    other.execute("UPDATE t SET n = 9 WHERE id = 2")
    attempts = []
    has_one = threading.Event()

    def work(connection):
        attempts.append(1)
        change(1)(connection)
        has_one.set()
        change(2)(connection)

    thread = threading.Thread(target=database.write, args=(work,))
    thread.start()
    assert has_one.wait(WAIT_SECONDS)
    other.execute("UPDATE t SET n = 9 WHERE id = 1")
    other.connection.commit()
    thread.join(WAIT_SECONDS)
    assert len(attempts) > 1
    assert mariadb.run("SELECT n FROM t WHERE id < 3", "locks") == [(10,), (10,)]
