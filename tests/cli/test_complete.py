"""What a shell is told when it asks for names: those that fit, and never an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap.cli import complete as program
from vmsnap.cli.complete import complete
from vmsnap.host import listed_names

WEB = "vmsnap-test-web"
UUID = "aaaaaaaa-0000-4000-8000-000000000001"
HEAVY = (
    "typer",
    "sqlalchemy",
    "libvirt",
    "rich",
    "dataclasses",
    "pathlib",
    "tomllib",
    "subprocess",
)


@pytest.fixture
def names(capfd):
    """Ask for the names of a kind."""

    def ask(*words: str) -> list[str]:
        capfd.readouterr()
        assert complete(list(words)) == 0
        out, err = capfd.readouterr()
        assert err == ""
        return out.splitlines()

    return ask


@pytest.fixture
def listed(monkeypatch):
    """Domains as virsh lists them; there is no libvirt here."""
    found = [WEB, "other 1", "-dash"]
    monkeypatch.setattr(listed_names, "domain_names", lambda _uri: list(found))
    monkeypatch.setattr(listed_names, "disk_targets", lambda _uri, _domain: ["vda", "vdb"])
    monkeypatch.setattr(
        listed_names, "domain_uuids", lambda _uri, name: {"new": [UUID]}.get(name, [])
    )
    return found


@pytest.fixture
def stored(vmsnap, host):
    """A database with two groups, one that was ungrouped, and a backup."""
    for name in ("before upgrade", "grün", "loose"):
        vmsnap("snapshot", "create", WEB, "--name", name)
    vmsnap("group", "ungroup", WEB, "loose")
    vmsnap("backup", "create", WEB, "--name", "weekly")


def test_groups_backups_and_single_snapshots_are_told_apart(names, stored):
    assert names("group", WEB) == ["before upgrade", "grün"]
    assert names("backup", WEB) == ["before upgrade", "grün", "loose", "weekly"]
    assert names("snapshot", WEB) == ["loose/vda", "loose/vdb"]


@pytest.mark.parametrize("domain", [UUID, UUID[:8], UUID.upper()[:13]])
def test_a_domain_may_be_typed_by_its_uuid_or_the_beginning_of_it(domain, names, stored):
    assert names("group", domain) == ["before upgrade", "grün"]


@pytest.mark.parametrize("domain", ["", "a", UUID[:7], "%", "vmsnap-test-we", "gone"])
def test_nothing_else_is_taken_for_a_domain(domain, names, stored, listed):
    assert names("group", domain) == []


def test_a_domain_that_was_renamed_keeps_its_groups(names, stored, listed):
    assert names("group", "new") == ["before upgrade", "grün"]


def test_what_was_typed_already_is_not_offered_again(names, stored, listed):
    assert names("group", WEB, "grün") == ["before upgrade"]
    assert names("domain", WEB) == ["other 1", "-dash"]
    assert names("disk", WEB, "vda") == ["vdb"]


def test_only_what_is_left_of_undefined_domains_is_offered_to_purge(names, stored, listed):
    assert names("gone") == []
    listed.remove(WEB)
    assert names("gone") == [WEB]
    assert names("known") == ["other 1", "-dash", WEB]


def test_nothing_is_taken_for_undefined_when_libvirt_does_not_answer(names, stored, monkeypatch):
    def hanging(_uri):
        raise TimeoutError

    monkeypatch.setattr(listed_names, "domain_names", hanging)
    assert names("gone") == []


def test_a_shell_that_has_gone_is_no_error(process, stored):
    read, write = os.pipe()
    os.close(read)
    done = process("__complete", "group", WEB, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_names_that_would_harm_a_terminal_are_left_out(names, listed):
    listed[:] = ["fine", "bell\x07", "turned\u202e", "\x1b[2J", "joined\u200dletters", "b\xa0c"]
    assert names("domain") == ["fine", "joined\u200dletters", "b\xa0c"]


@pytest.mark.parametrize("words", [(), ("nonsense",), ("group",), ("disk",), ("group", "\0")])
def test_a_question_that_makes_no_sense_has_no_answer(words, names, listed):
    assert names(*words) == []


def test_a_database_that_is_damaged_has_no_names(names, stored, listed, tmp_path):
    path = tmp_path / "home/.local/share/vmsnap/vmsnap.db"
    path.write_bytes(b"not a database" * 100)
    assert names("group", WEB) == []


def test_an_interrupt_is_the_end_without_a_word(names, monkeypatch):
    def interrupted(*_words):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "_names", interrupted)
    assert names("domain") == []


def test_a_server_s_database_is_not_asked(names, stored, listed, monkeypatch):
    monkeypatch.setenv("VMSNAP_DATABASE", "mysql://me:secret@db.example.org/vmsnap")
    assert names("group", WEB) == []
    assert names("domain") == [WEB, "other 1", "-dash"]


def test_nothing_heavy_is_imported_for_a_name(stored, tmp_path):
    code = f"""
import os, sys
from vmsnap.cli.entry import main
os._exit = sys.exit
sys.argv = ["vmsnap", *sys.argv[1:]]
try:
    main()
except SystemExit:
    sys.exit(" ".join(name for name in {HEAVY} if name in sys.modules) or None)
"""
    done = subprocess.run(
        # -S: what a site's own start-up imports does not count.
        [sys.executable, "-S", "-c", code, "__complete", "group", WEB],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"VMSNAP_DATABASE": str(tmp_path / "home/.local/share/vmsnap/vmsnap.db")},
    )
    assert (done.stdout, done.stderr) == ("before upgrade\ngrün\n", "")
