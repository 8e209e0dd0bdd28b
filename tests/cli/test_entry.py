"""The entry: the version and a shell's questions are answered before much is imported."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap import __version__
from vmsnap.store.opening import open_catalog

NEEDED = {"vmsnap", "vmsnap.cli", "vmsnap.cli.entry"}
CODE = """
import json, os, sys
before = set(sys.modules)
from vmsnap.cli.entry import main
sys.argv = ["vmsnap", *sys.argv[1:]]
os._exit = sys.exit
try:
    status = main()
except SystemExit as end:
    status = end.code
print(json.dumps([status, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""


HEAVY = {"alembic", "libvirt", "lxml", "pydantic", "rich", "sqlalchemy", "typer"}
"""What takes 10 to 300 ms to import: more than Python takes to start."""


def imports_of(*words: str, **variables: str) -> tuple[int, set[str]]:
    """Run the entry in a fresh interpreter; return its status and what it imported."""
    command = [sys.executable, "-c", CODE, *words]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    status, names = json.loads(done.stderr.splitlines()[-1])
    return status, set(names)


def test_a_lone_version_imports_nothing_else():
    assert imports_of("--version") == (0, NEEDED)


def test_a_lone_version_is_that_of_the_package(process):
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"vmsnap {__version__}\n".encode())


@pytest.mark.parametrize("words", [("--version", "--json"), ("vm", "list", "--version")])
def test_a_version_among_other_words_is_answered_by_the_command_line(words, process):
    done = process(*words)
    assert done.returncode == 0
    assert __version__.encode() in done.stdout


def test_a_version_that_cannot_be_written_is_said(process):
    with Path("/dev/full").open("wb") as full:
        done = process("--version", stdout=full)
    assert done.returncode == 10
    assert done.stderr == b"error: the result cannot be written: No space left on device\n"


def heavy(names: set[str]) -> set[str]:
    """Pick what is heavy of what was imported, and MySQL's half of SQLAlchemy."""
    found = {name.partition(".")[0] for name in names} & HEAVY
    return found | ({"MySQL"} if any(".mysql" in name for name in names) else set())


@pytest.mark.parametrize("kind", ["domain", "group"])
def test_a_completion_imports_nothing_heavy(kind):
    """Names of domains come from virsh or libvirt's own binding, never through SQLAlchemy."""
    status, names = imports_of("__complete", kind, "web1", VMSNAP_CONNECT="test:///default")
    assert status == 0
    assert heavy(names) <= {"libvirt"}


@pytest.mark.parametrize("words", [(), ("group",), ("snapshot", "create")], ids=str)
def test_help_imports_the_command_line_library_alone(words):
    status, names = imports_of(*words, "--help")
    assert status == 0
    assert heavy(names) == {"typer"}


@pytest.mark.parametrize("words", [("group", "list"), ("vm", "list")], ids=str)
def test_a_list_through_a_pipe_imports_only_what_asks_libvirt_and_the_database(words, tmp_path):
    """No migrations, nothing that draws on terminals, and on SQLite no MySQL."""
    url = f"sqlite:///{tmp_path}/vmsnap.db"
    open_catalog(url, create=True).close()
    status, names = imports_of(*words, VMSNAP_CONNECT="test:///default", VMSNAP_DATABASE=url)
    assert status == 0
    assert heavy(names) == {"typer", "sqlalchemy", "libvirt", "lxml"}
    assert not names & {"email", "zipfile"}


COLLECTOR = """
import gc
import vmsnap.cli.entry, vmsnap.cli.main
vmsnap.cli.main.main = lambda: print("while importing", gc.isenabled()) or 0
vmsnap.cli.entry.main()
print("at the end", gc.get_freeze_count() > 1000)
"""


def test_garbage_is_not_looked_for_while_imports_go_on_nor_at_the_end():
    command = [sys.executable, "-c", COLLECTOR, "vm", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["while importing False", "at the end True"]


@pytest.mark.usefixtures("host")
def test_garbage_is_looked_for_again_when_a_verb_begins_to_work(vmsnap):
    gc.disable()
    try:
        vmsnap("group", "list")
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
