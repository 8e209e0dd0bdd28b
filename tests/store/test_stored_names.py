"""Names for shells: read past SQLAlchemy, without a trace, and only from tables that are known."""

import os
import sqlite3
import time
from contextlib import closing

import pytest

from vmsnap.store.schema import REVISIONS as ALL_REVISIONS
from vmsnap.store.stored_names import REVISIONS, stored_names

AT_ONCE_SECONDS = 3.0
"""Far below the half minute for which verbs wait, on a machine under load too."""


@pytest.fixture
def known(made, run_sql):
    """A database that knows two domains."""
    rows = "('h', '2', 'web 1'), ('h', '1', 'grün')"
    run_sql(made, f"INSERT INTO domain (host_uuid, uuid, name) VALUES {rows}")  # noqa: S608 - our own
    return made


def left_beside(path):
    return {each.name: each.stat().st_mtime_ns for each in path.parent.iterdir()}


def test_the_names_of_domains_are_sorted(known):
    assert stored_names(str(known), "domain", "") == ["grün", "web 1"]


def test_every_revision_of_the_schema_was_looked_at():
    """A new one: see whether the statements in stored_names.py fit it, then add it there."""
    assert set(REVISIONS) == set(ALL_REVISIONS)


@pytest.mark.parametrize("kind", ["domain", "group", "backup", "snapshot"])
def test_a_schema_that_is_not_known_is_not_read(kind, known, run_sql):
    run_sql(known, "UPDATE alembic_version SET version_num = '9999'")
    assert stored_names(str(known), kind, "web 1") == []


def test_reading_leaves_no_trace(known):
    before = left_beside(known)
    stored_names(str(known), "domain", "")
    assert left_beside(known) == before


def test_reading_makes_no_index_for_a_write_ahead_log_that_was_left(known):
    with closing(sqlite3.connect(known)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO domain (host_uuid, uuid, name) VALUES ('h', '3', 'db')")
        writer.commit()
        log = known.with_name("vmsnap.db-wal").read_bytes()
    # As after a power loss: a log, and nobody who has the database open.
    known.with_name("vmsnap.db-wal").write_bytes(log)
    before = left_beside(known)
    assert "grün" in stored_names(str(known), "domain", "")
    assert left_beside(known) == before


def test_what_a_writer_committed_is_seen_while_it_works(known):
    with closing(sqlite3.connect(known)) as writer:
        writer.execute("INSERT INTO domain (host_uuid, uuid, name) VALUES ('h', '3', 'db')")
        writer.commit()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM domain")
        before = left_beside(known)
        assert stored_names(str(known), "domain", "") == ["db", "grün", "web 1"]
        assert set(left_beside(known)) == set(before)


def test_a_database_that_is_locked_is_not_waited_for(known, run_sql):
    run_sql(known, "PRAGMA journal_mode=DELETE")
    known.with_name("vmsnap.db-shm").touch()
    with closing(sqlite3.connect(known, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begin = time.monotonic()
        assert stored_names(str(known), "domain", "") == []
        assert time.monotonic() - begin < AT_ONCE_SECONDS


def test_a_pipe_is_not_opened(path):
    os.mkfifo(path)
    assert stored_names(str(path), "domain", "") == []


def test_a_missing_database_has_no_names_and_is_not_made(path):
    assert stored_names(str(path), "domain", "") == []
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_database_has_no_names(content, path):
    path.write_bytes(content)
    assert stored_names(str(path), "domain", "") == []


@pytest.mark.parametrize("name", ["a ?b.db", "a#b.db", "100%25.db"])
def test_any_path_can_be_read(name, known, tmp_path):
    moved = known.rename(tmp_path / name)
    assert stored_names(str(moved), "domain", "") == ["grün", "web 1"]
