"""A copy of the database is one state of it, in a file that works as a database itself."""

import os
import random
import sqlite3
import threading
from contextlib import closing

import pytest

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.model import CatalogChange
from vmsnap.store import copying
from vmsnap.store.copying import copy_database
from vmsnap.store.opening import open_catalog

MIB = 1024 * 1024


def seen(catalog):
    return (
        catalog.status().identity,
        catalog.records(),
        catalog.groups(),
        catalog.resources(),
        catalog.history(),
    )


def contents_of(catalog):
    digests = {group.definition_digest for group in catalog.groups()}
    digests |= {
        row.digest
        for resource in catalog.resources()
        for row in resource.backups
        if row.digest is not None
    }
    return {digest: catalog.content(digest) for digest in digests}


@pytest.fixture
def filled(catalog, samples):
    """Two groups, the second on the first, one content of several chunks."""
    data = random.Random(1).randbytes(3 * MIB)  # noqa: S311 - a sample that does not compress
    monday = samples.store_group(catalog, "monday", data=data)
    samples.store_group(catalog, "tuesday", parent_id=monday.id)
    return catalog


def test_a_copy_holds_what_the_database_holds(catalog_url, filled, tmp_path):
    """H13: contents of more than one chunk are whole too."""
    target = tmp_path / "copy.db"
    size = copy_database(catalog_url, target, may_replace=False)
    assert size == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".copy.db*")] == []
    with closing(open_catalog(f"sqlite:///{target}", create=True)) as copied:
        assert seen(copied) == seen(filled)
        assert contents_of(copied) == contents_of(filled)
        assert len(copied.groups()) == 2
        copied.apply(CatalogChange(removed_resources=(copied.groups()[0].id,)))


def test_an_existing_file_is_replaced_only_if_that_is_asked_for(catalog_url, filled, tmp_path):
    target = tmp_path / "copy.db"
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE work_of_years (day)")
    before = target.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        copy_database(catalog_url, target, may_replace=False)
    assert target.read_bytes() == before
    copy_database(catalog_url, target, may_replace=True)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*) FROM snapshot_group").fetchone() == (2,)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"QFI\xfb\0\0\0\3" * 100, "a qcow2 image"),
        (b"\0" * 4096, "a file of something else"),
        (b"SQLite format", "a file of something else"),
    ],
)
def test_a_copy_never_takes_the_place_of_what_is_no_database(
    catalog_url, filled, tmp_path, content, kind
):
    target = tmp_path / "copy.db"
    target.write_bytes(content)
    before = target.stat()
    with pytest.raises(ConfigError, match=f"is {kind}, not a database"):
        copy_database(catalog_url, target, may_replace=True)
    assert (target.read_bytes(), target.stat().st_ino) == (content, before.st_ino)
    assert list(tmp_path.glob(".copy.db*")) == []


def test_what_takes_the_name_while_the_copy_is_made_stays(
    catalog_url, filled, tmp_path, monkeypatch
):
    target = tmp_path / "copy.db"
    is_sound = copying._require_sound

    def slow(*arguments):
        is_sound(*arguments)
        target.write_text("the work of years")

    monkeypatch.setattr(copying, "_require_sound", slow)
    with pytest.raises(ConfigError, match="not a database"):
        copy_database(catalog_url, target, may_replace=True)
    assert target.read_text() == "the work of years"
    assert list(tmp_path.glob(".copy.db*")) == []


def test_a_copy_takes_the_place_of_an_empty_file(catalog_url, filled, tmp_path):
    target = tmp_path / "copy.db"
    target.touch()
    assert copy_database(catalog_url, target, may_replace=True) == target.stat().st_size > 0


def test_a_copy_never_takes_the_place_of_a_link_or_a_folder(catalog_url, filled, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("folder", "link"):
        with pytest.raises(ConfigError, match="regular file"):
            copy_database(catalog_url, tmp_path / name, may_replace=True)
    with pytest.raises(ConfigError, match="is missing"):
        copy_database(catalog_url, tmp_path / "no" / "copy.db", may_replace=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_copy_made_while_others_write_is_one_state(catalog_url, filled, samples, tmp_path):
    """Each operation adds its registration and takes it away: a copy has it whole or not at all."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            operation = samples.operation()
            filled.reserve(operation, (), {})
            filled.finish(operation.id)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        for number in range(5):
            copy_database(catalog_url, tmp_path / f"copy{number}.db", may_replace=False)
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        with closing(sqlite3.connect(tmp_path / f"copy{number}.db")) as connection:
            (pending,) = connection.execute("SELECT count(*) FROM pending").fetchone()
            (claims,) = connection.execute("SELECT count(*) FROM claim").fetchone()
            assert pending == claims


def test_a_database_that_is_not_there_is_not_copied(tmp_path):
    with pytest.raises(DatabaseUnusableError, match="there is no database"):
        copy_database(f"sqlite:///{tmp_path / 'no.db'}", tmp_path / "copy.db", may_replace=False)
    assert list(tmp_path.iterdir()) == []


def test_a_database_is_not_copied_onto_itself(tmp_path):
    url = f"sqlite:///{tmp_path / 'vmsnap.db'}"
    open_catalog(url, create=True).close()
    os.link(tmp_path / "vmsnap.db", tmp_path / "other.db")
    for name in ("vmsnap.db", "other.db"):
        with pytest.raises(ConfigError, match="the database itself"):
            copy_database(url, tmp_path / name, may_replace=True)
