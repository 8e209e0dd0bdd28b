import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vmsnap.errors import SchemaError, VmsnapError
from vmsnap.model import CatalogChange, DomainId, DomainRecord, HostId
from vmsnap.store import migrations, schema
from vmsnap.store.opening import database_status, open_catalog, upgrade_database

RECORD = DomainRecord(HostId("h"), DomainId("d"), "web1")
LAST = schema.REVISIONS[-1]

NEXT = """
from alembic import op
from sqlalchemy import Column, Integer

revision = "next"
down_revision = "{last}"

def upgrade():
    op.add_column("domain", Column("rank", Integer))
    {more}
"""


@pytest.fixture
def old(made, url):
    """A database of the present schema that holds a row, before there is a newer one."""
    with closing(open_catalog(url, create=True)) as catalog:
        catalog.apply(CatalogChange(record=RECORD))
    return made


def add_revision(tmp_path, monkeypatch, more="pass"):
    """Make this program one that works with one revision more."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    (folder / "versions" / "vnext.py").write_text(NEXT.format(last=LAST, more=more))
    monkeypatch.setattr(schema, "MIGRATIONS", str(folder))
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "next"))


def copies(path):
    return [file for file in path.parent.iterdir() if file.name.startswith(f"{path.name}.2")]


def test_an_older_schema_says_what_to_type(old, url, tmp_path, monkeypatch):
    """H52: nothing is upgraded in passing."""
    add_revision(tmp_path, monkeypatch)
    for create in (False, True):
        with pytest.raises(SchemaError, match=f"older schema '{LAST}'") as caught:
            open_catalog(url, create=create)
        assert caught.value.hint == "vmsnap db upgrade"
    status = database_status(url)
    assert (status.revision, status.expected, status.is_current) == (LAST, "next", False)


def test_an_upgrade_copies_the_file_first_and_keeps_the_rows(old, url, tmp_path, monkeypatch):
    identity = database_status(url).identity
    add_revision(tmp_path, monkeypatch)
    status, copied = upgrade_database(url)
    assert status.is_current
    assert status.identity == identity
    assert copies(old) == [copied]
    assert copied.parent == old.parent
    assert str(datetime.now(UTC).year) in copied.name
    assert stat.S_IMODE(copied.stat().st_mode) == 0o600
    with closing(open_catalog(url, create=False)) as catalog:
        assert catalog.records() == (RECORD,)
    monkeypatch.undo()
    with closing(open_catalog(f"sqlite:///{copied}", create=False)) as catalog:
        assert catalog.records() == (RECORD,)


def test_the_copy_holds_what_is_only_in_the_write_ahead_log(old, url, tmp_path, monkeypatch):
    other = DomainRecord(HostId("h"), DomainId("e"), "web2")
    with closing(open_catalog(url, create=True)) as catalog:
        catalog.apply(CatalogChange(record=other))
        add_revision(tmp_path, monkeypatch)
        _, copied = upgrade_database(url)
    monkeypatch.undo()
    with closing(open_catalog(f"sqlite:///{copied}", create=False)) as catalog:
        assert catalog.records() == (RECORD, other)


def test_an_upgrade_that_fails_changes_nothing(old, url, tmp_path, monkeypatch):
    """H3: all of a migration or none of it."""
    add_revision(tmp_path, monkeypatch, more='op.execute("SELECT * FROM nowhere")')
    with pytest.raises(VmsnapError, match="nowhere"):
        upgrade_database(url)
    monkeypatch.undo()
    assert database_status(url).is_current
    with closing(sqlite3.connect(old)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(domain)")]
    assert "rank" not in columns


def test_upgrading_what_is_current_or_missing_copies_nothing(old, url, tmp_path):
    status, copied = upgrade_database(url)
    assert (status.is_current, copied, copies(old)) == (True, None, [])
    status, copied = upgrade_database(f"sqlite:///{tmp_path}/other.db")
    assert (status.exists, copied) == (False, None)
