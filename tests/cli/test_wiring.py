"""What the verbs get, and what they are refused, where the database is not what it should be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap.cli import wiring
from vmsnap.cli.need import Need
from vmsnap.config import load_settings
from vmsnap.config.places import own_places
from vmsnap.host.journal_files import FolderJournals
from vmsnap.store import opening

NAME = "vmsnap-test-web"
OTHER = "bbbbbbbb-0000-4000-8000-000000000002"

CODES = {10: "database_unusable", 22: "database"}


@pytest.fixture
def database(tmp_path, monkeypatch) -> Path:
    """Where the database is to be."""
    path = tmp_path / "kept.db"
    monkeypatch.setenv("VMSNAP_DATABASE", str(path))
    return path


@pytest.fixture
def begin():
    """Leave the journal of an operation as if the host had gone down in it."""

    def leave(database: str) -> None:
        header = {
            "format": 1,
            "operation": {"domain_name": "mail", "verb": "group revert"},
            "database": database,
            "database_identity": None,
            "steps": [],
        }
        folder = own_places(os.environ).state_folder
        FolderJournals(folder).start(OTHER, header)

    return leave


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("group", "list"), 10),
        (("backup", "list"), 10),
        (("recover", "--dry-run"), 10),
        (("snapshot", "create", NAME), 10),
        (("backup", "create", NAME), 10),
        (("recover",), 22),
        (("undo", NAME), 22),
    ],
)
def test_a_missing_database_that_a_journal_names_is_no_empty_one(
    words, status, vmsnap, host, database, begin
):
    """A list that says "no groups yet" would hide that all of them are lost."""
    begin(f"sqlite:///{database}")
    run = vmsnap(*words, "--json", status=status)
    assert (run.code, run.changed) == (CODES[status], False)
    (error,) = run.document["errors"]
    assert f"'sqlite:///{database}' is missing" in error["message"]
    assert "domain 'mail'" in error["message"]
    assert "vmsnap recover" in error["hint"]
    assert not database.exists()


def test_no_database_is_made_while_another_ones_operation_is_pending(vmsnap, host, database, begin):
    begin("sqlite:////elsewhere/lost db")
    run = vmsnap("backup", "create", NAME, "--json", status=10)
    assert json.loads(run.out)["errors"][0]["hint"] == (
        "vmsnap --database 'sqlite:////elsewhere/lost db' recover"
    )
    assert not database.exists()
    assert vmsnap("group", "list").err.startswith("no groups yet")


def test_a_database_that_is_there_is_used_whatever_is_pending(vmsnap, host, database, begin):
    vmsnap("backup", "create", NAME)
    begin("sqlite:////elsewhere/x.db")
    vmsnap("backup", "create", NAME, "--name", "second")


def test_a_host_without_libvirt_s_binding_is_told_which_package_brings_it():
    code = (
        "import sys; sys.modules['libvirt'] = None; from vmsnap.cli.main import main;"
        " sys.exit(main(['vm', 'list']))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr == (
        "error: libvirt's binding for Python is not installed\nhint: apt install python3-libvirt\n"
    )


def test_several_domains_share_one_database_and_nothing_else(vmsnap, host, monkeypatch):
    """Opening it, and compiling each statement, took a fifth of the time of `create --all`."""
    opened, wired = [], []
    real_open, real_init = opening.open_catalog, wiring.Wiring.__init__

    def open_catalog(*arguments, **options):
        opened.append(real_open(*arguments, **options))
        return opened[-1]

    def init(self, *arguments):
        real_init(self, *arguments)
        wired.append(self)

    monkeypatch.setattr(opening, "open_catalog", open_catalog)
    monkeypatch.setattr(wiring.Wiring, "__init__", init)
    vmsnap("snapshot", "create", "--all", "--name", "monday")
    assert [item.is_beside for item in wired] == [False, True]
    one, other = (item.ports for item in wired)
    assert len(opened) == 1
    assert one.catalog is other.catalog is opened[0]
    for port in ("locks", "journals", "images"):
        assert getattr(one, port) is not getattr(other, port)


def test_ports_that_share_a_database_leave_it_open(vmsnap, host, monkeypatch):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    settings = load_settings({}, os.environ)
    first = wiring.Wiring(settings, None, Need.READ)
    second = first.beside()
    closed = []
    catalog = first.ports.catalog
    monkeypatch.setattr(catalog, "close", lambda: closed.append(catalog))
    second.close()
    assert closed == []
    first.close()
    assert closed == [catalog]
