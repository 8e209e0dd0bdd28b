"""The verbs of the database."""

import sqlite3

import pytest

from vmsnap.store import schema

NAME = "vmsnap-test-web"


@pytest.fixture
def url(tmp_path, monkeypatch):
    found = f"sqlite:///{tmp_path}/kept.db"
    monkeypatch.setenv("VMSNAP_DATABASE", found)
    return found


def test_a_missing_database_is_no_error(vmsnap, url):
    run = vmsnap("db", "status")
    assert "exists:    no" in run.out
    assert vmsnap("db", "status", "--json").data["database"]["exists"] is False


def test_status_and_upgrade_of_a_current_database(vmsnap, host, url):
    vmsnap("backup", "create", NAME)
    found = vmsnap("db", "status", "--json").data["database"]
    assert (found["url"], found["exists"], found["is_current"]) == (url, True, True)
    run = vmsnap("db", "upgrade", "--json")
    assert (run.changed, run.data["copy"]) == (False, None)


def test_a_schema_of_another_version_is_told_and_refused(vmsnap, host, url, tmp_path):
    """H52: a database that is newer than the program is refused, and said by `db status`."""
    vmsnap("backup", "create", NAME)
    with sqlite3.connect(tmp_path / "kept.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    run = vmsnap("db", "status", "--json", status=10)
    assert (run.code, run.data["database"]["revision"]) == ("schema", "9999")
    assert vmsnap("group", "list", "--json", status=10).code == "schema"


def test_a_database_in_a_missing_folder_is_refused(vmsnap, host, monkeypatch):
    monkeypatch.setenv("VMSNAP_DATABASE", "sqlite:////nowhere/at/all/x.db")
    run = vmsnap("backup", "create", NAME, "--json", status=10)
    assert (run.code, run.changed) == ("database_unusable", False)


def test_a_dry_upgrade_says_from_where_to_where_and_changes_nothing(
    vmsnap, host, url, tmp_path, monkeypatch
):
    vmsnap("backup", "create", NAME)
    assert "nothing to upgrade" in vmsnap("db", "upgrade", "--dry-run").out
    with sqlite3.connect(tmp_path / "kept.db") as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *schema.REVISIONS))
    files = sorted(tmp_path.glob("kept.db*"))
    run = vmsnap("db", "upgrade", "--dry-run")
    assert f"would upgrade from 0000 to {revision}" in run.out
    assert vmsnap("db", "upgrade", "--dry-run", "--json").changed is False
    assert sorted(tmp_path.glob("kept.db*")) == files
    assert vmsnap("db", "status", "--json", status=10).data["database"]["revision"] == "0000"


def test_a_dry_upgrade_of_a_newer_schema_is_refused_as_the_upgrade_is(vmsnap, host, url, tmp_path):
    vmsnap("backup", "create", NAME)
    with sqlite3.connect(tmp_path / "kept.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert vmsnap("db", "upgrade", "--dry-run", "--json", status=10).code == "schema"
