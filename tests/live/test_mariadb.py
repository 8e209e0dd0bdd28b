"""The main job on a MariaDB server, and what is said of a server that cannot be used."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.refusing import refused
from livebed.world import World, refusal
from servers.mariadb import MariaDb, running_mariadb

pytestmark = pytest.mark.live

LOG = Path("/var/log/vmsnap/vmsnap.log")
PASSWORD = "geh3im"  # noqa: S105 - of a server that lives as long as the test
EMPTY_TABLES = ("pending", "pending_content", "claim", "resource", "content", "layer")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    with running_mariadb() as running:
        running.run(
            [
                "CREATE DATABASE vmsnap",
                f"CREATE USER keeper@localhost IDENTIFIED BY '{PASSWORD}'",
                "GRANT ALL ON vmsnap.* TO keeper@localhost",
            ]
        )
        yield running


@pytest.fixture
def url(server: MariaDb) -> str:
    return f"mysql+pymysql://keeper:{PASSWORD}@localhost/vmsnap?unix_socket={server.socket}"


@pytest.fixture
def world() -> Iterator[World]:
    machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=4))
    made = World(machine)
    try:
        machine.create()
        machine.make_host_files()
        yield made
    finally:
        machine.remove()
        made.remove()


def names(run: Runner, domain: str) -> list[str]:
    """Return the names of a domain's groups."""
    groups = run("group", "list", domain, status=0).document["data"]["groups"]
    return [group["name"] for group in groups]


def test_the_main_job_on_mariadb(world: World, server: MariaDb, url: str):
    """H57: with a kill in the middle of it that only the database can tell the end of."""
    world.make_variants()
    name, originals = world.name, world.disks()
    monday = world.seen_machine()
    with Runner(url) as run:
        run("snapshot", "create", name, "--name", "monday", status=0)
        world.change(1)
        friday = world.seen_machine()

        calls = run("group", "revert", name, "monday", status=0).calls
        assert world.seen_machine()[:3] == monday[:3]
        run("undo", name, status=0)
        assert world.seen_machine() == friday

        commit = calls.index("SqlCatalog.commit") + 1
        for at, outcome in ((commit - 1, "undone"), (commit, "finished")):
            assert run("group", "revert", name, "monday", at=at).was_killed
            done = run("recover", status=0).document["data"]["operations"]
            assert [item["outcome"] for item in done] == [outcome]
            assert run("recover", status=0).document["data"]["operations"] == []
            state = friday if outcome == "undone" else monday
            assert world.seen_machine()[:3] == state[:3]
        run("backup", "verify", status=0)
        assert run("group", "check", name, status=0).document["data"]["groups"]

        run("group", "delete", name, *names(run, name), "--yes", status=0)
        assert names(run, name) == []
    assert world.disks() == originals
    assert list(world.machine.folder.glob("*.vmsnap-*")) == []
    for table in EMPTY_TABLES:
        assert server.run(f"SELECT * FROM {table}", "vmsnap") == [], table  # noqa: S608 - our own
    assert refusal(world.machine) is None


def test_a_journal_is_left_alone_by_a_run_with_another_database(
    world: World, url: str, tmp_path: Path
):
    """Rule 15: only its own database knows what became of an interrupted operation."""
    with Runner(url) as run, Runner(f"sqlite:///{tmp_path / 'vmsnap.db'}") as other:
        calls = run("snapshot", "create", world.name, status=0).calls
        run("snapshot", "create", world.name, at=calls.index("SqlCatalog.commit"))
        for status, words in ((22, ("recover",)), (10, ("snapshot", "create", world.name))):
            ended = other(*words, status=status)
            assert PASSWORD not in ended.stdout + ended.stderr
            assert "vmsnap" in ended.document["errors"][0]["hint"]
            assert world.journals()
        assert PASSWORD not in "".join(path.read_text() for path in world.journals())
        run("recover", status=0)
        assert not world.journals()


def test_a_server_that_cannot_be_used_is_refused_and_no_password_is_shown(
    world: World, server: MariaDb, url: str, tmp_path: Path
):
    """H50: neither on the terminal, nor in JSON, nor in the log file."""
    wrong = (
        url.replace(PASSWORD, f"{PASSWORD}-wrong"),
        url.replace(str(server.socket), str(tmp_path / "nowhere")),
        url.replace("/vmsnap?", "/nosuch?"),
    )
    vmsnap = Vmsnap(tmp_path / "unused")
    for bad in wrong:
        vmsnap.database = bad
        create = ("snapshot", "create", world.name)
        assert PASSWORD not in refused(vmsnap, *create, status=10, machine=world.machine)
        for words in (create, ("group", "list"), ("db", "status")):
            answer = vmsnap(*words, "-v", status=10)
            assert answer.code == "database_unusable"
            assert PASSWORD not in answer.stdout + answer.stderr
    assert PASSWORD not in LOG.read_text()


def test_a_password_on_the_command_line_is_refused(vmsnap: Vmsnap, url: str):
    """H50: everyone on the host can read it there."""
    assert PASSWORD not in refused(vmsnap, "--database", url, "group", "list", status=2)
