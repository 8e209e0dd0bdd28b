"""The verbs for the day when the database is gone."""

import os
import stat

import pytest

from vmsnap.config.places import own_places
from vmsnap.host.journal_files import FolderJournals

NAME = "vmsnap-test-web"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"


@pytest.fixture
def database(tmp_path, monkeypatch):
    path = tmp_path / "kept.db"
    monkeypatch.setenv("VMSNAP_DATABASE", f"sqlite:///{path}")
    return path


@pytest.fixture
def lost(vmsnap, host, database):
    """Two groups whose database is gone."""
    for name in ("monday", "tuesday"):
        vmsnap("snapshot", "create", NAME, "--name", name)
    for path in database.parent.glob("kept.db*"):
        path.unlink()


def names(vmsnap, *words):
    return [group["name"] for group in vmsnap(*words, "group", "list", "--json").data["groups"]]


def test_a_lost_database_is_rebuilt(vmsnap, lost, database):
    dry = vmsnap("db", "rebuild", "--dry-run")
    assert "would bring back of domain 'vmsnap-test-web':" in dry.out
    assert not database.exists()
    run = vmsnap("db", "rebuild", "--json")
    assert run.changed
    (found,) = run.data["domains"]
    assert (found["domain"], found["groups"]) == (NAME, ["monday", "tuesday"])
    assert found["lost"][0] == {"group": "monday", "type": "nvram"}
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert names(vmsnap) == ["monday", "tuesday"]
    refused = vmsnap("group", "revert", NAME, "monday", status=15)
    assert "hint: --leave nvram --leave tpm" in refused.err
    again = vmsnap("db", "rebuild", NAME, "--json")
    assert (again.changed, again.data["domains"][0]["groups"]) == (False, [])
    assert "nothing to bring back" in vmsnap("db", "rebuild").err


def test_people_read_what_came_back_and_what_is_lost(vmsnap, lost):
    run = vmsnap("db", "rebuild", NAME)
    assert "brought back of domain 'vmsnap-test-web':" in run.out
    assert "  group 'monday'" in run.out
    assert "  6 layers" in run.out
    assert "  tpm of 'tuesday' is lost: a revert needs --leave tpm" in run.out
    shown = vmsnap("group", "list").out
    assert "lost" in shown
    assert "lost with its database" in vmsnap("group", "diff", NAME, "monday").out
    assert vmsnap("backup", "verify", "--json", status=None).status == 23


def test_overlays_without_a_record_are_named(vmsnap, lost, tmp_path):
    for path in (tmp_path / "host").glob(".*.vmsnap.json"):
        path.unlink()
    run = vmsnap("db", "rebuild", "--json", status=3)
    assert run.code == "not_available"
    assert "no record tells of which group it is" in run.err + run.out
    assert not run.changed


def test_an_unknown_domain_and_a_folder_that_is_none_are_refused(vmsnap, lost, tmp_path):
    assert vmsnap("db", "rebuild", "nobody", "--json", status=11).code == "domain_not_found"
    run = vmsnap("db", "rebuild", "--folder", str(tmp_path / "no"), "--json", status=2)
    assert run.code == "usage"


def test_a_backup_of_the_database_is_a_database(vmsnap, host, database, tmp_path):
    """H50: its URL may hold a password, which is not shown."""
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    file = tmp_path / "copy.db"
    run = vmsnap("db", "backup", str(file), "--json")
    assert run.data == {"file": str(file), "size_bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names(vmsnap, "--database", f"sqlite:///{file}") == ["monday"]
    assert vmsnap("db", "backup", str(file), "--json", status=10).code == "config"
    assert "copied the database" in vmsnap("db", "backup", "--force", str(file)).out


def test_without_a_database_there_is_nothing_to_copy(vmsnap, host, database, tmp_path):
    run = vmsnap("db", "backup", str(tmp_path / "copy.db"), "--json", status=10)
    assert run.code == "database_unusable"
    assert not (tmp_path / "copy.db").exists()


@pytest.fixture
def interrupted(lost, database):
    """A revert that was interrupted, and its database is gone."""
    journals = FolderJournals(own_places(os.environ).state_folder)
    header = {
        "format": 1,
        "operation": {"domain_name": NAME, "verb": "group revert"},
        "database": f"sqlite:///{database}",
        "database_identity": None,
        "steps": [],
    }
    journals.start(OTHER, header)
    return journals


def test_a_journal_whose_database_is_lost_is_set_aside_once_that_is_confirmed(
    vmsnap, interrupted, database, tmp_path
):
    refused = vmsnap("recover", status=22)
    assert f"db rebuild {NAME}" in refused.err
    asked = vmsnap("db", "rebuild", NAME, status=2)
    assert asked.err.endswith(f"hint: vmsnap db rebuild {NAME} --yes\n")
    assert interrupted.pending() == (OTHER,)
    assert not database.exists()
    run = vmsnap("db", "rebuild", NAME, "--yes")
    assert "brought back of domain" in run.out
    (kept,) = tmp_path.rglob("*.set-aside-*")
    assert str(kept) in "".join(run.err.split("\n"))
    assert "vmsnap recover --lift-fences" in run.err
    assert interrupted.pending() == ()
    assert names(vmsnap) == ["monday", "tuesday"]


def test_a_rebuild_of_all_domains_sets_no_journal_aside(vmsnap, interrupted, database):
    vmsnap("db", "rebuild", "--yes", status=10)
    assert interrupted.pending() == (OTHER,)


def test_the_journal_of_a_database_that_is_there_is_not_set_aside(vmsnap, interrupted, database):
    interrupted.remove(OTHER)
    vmsnap("db", "rebuild", "--yes")
    interrupted.start(
        OTHER, {"operation": {"domain_name": NAME}, "database": f"sqlite:///{database}"}
    )
    vmsnap("db", "rebuild", NAME, "--yes", status=None)
    assert interrupted.pending() == (OTHER,)
