"""MariaDB killed, restarted or cut off before, in and behind the commit of a verb."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from livebed.cutting import CuttingProxy
from livebed.databases import MariaDbDatabase
from livebed.faults import Trial, held
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.world import World, refusal
from servers.mariadb import MariaDb, running_mariadb, start_mariadb

pytestmark = pytest.mark.live

VERBS = MappingProxyType(
    {
        "create": ("snapshot", "create", "NAME", "--name", "tuesday"),
        "revert": ("group", "revert", "NAME", "monday"),
        "delete": ("group", "delete", "NAME", "monday", "--yes"),
    }
)
# A server that was told not to write its log at a commit forgets some when it is killed.
OPTIONS = ("--skip-networking", "--innodb-flush-log-at-trx-commit=1")
READS_BETWEEN_CUTS = 15


class Bed:
    """A machine whose groups are on a MariaDB server that can be killed and be cut off."""

    def __init__(self, server: MariaDb, machine: Machine) -> None:
        self.server, self.machine = server, machine
        self.world = World(machine, MariaDbDatabase(server, "vmsnap"))
        self.proxy = CuttingProxy(server.socket.with_name("proxy"), server.socket)
        self._process: subprocess.Popen | None = None
        self._trials: dict[str, Trial] = {}

    def prepare(self, run: Runner) -> None:
        """Make a group, and change the machine behind it."""
        self.run = run
        self.machine.create()
        self.world.make_variants()
        run("snapshot", "create", self.world.name, "--name", "monday", status=0)
        self.world.change(1)
        self._start = self.world.save("start")

    def trial(self, verb: str) -> Trial:
        """Return a verb that was done once."""
        if verb not in self._trials:
            self._start.put_back()
            words = tuple(self.world.name if word == "NAME" else word for word in VERBS[verb])
            self._trials[verb] = Trial(self.world, self.run, words)
        self._trials[verb].put_back()
        return self._trials[verb]

    def kill(self) -> None:
        """Kill the server."""
        pid = Path(self.server.run("SELECT @@pid_file")[0][0]).read_text().strip()
        subprocess.run(["kill", "-KILL", pid], check=True)
        while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
            pass

    def restart(self) -> None:
        """Start it again on what it has written."""
        if self._process is not None:
            self._process.wait(60)
        self._process, _ = start_mariadb(self.server.socket.parent, OPTIONS)

    def remove(self) -> None:
        """End the server that was started last."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with running_mariadb(*OPTIONS) as server:
        machine = Machine(Hardware(disks=("qcow2",), disk_mib=4))
        made = Bed(server, machine)
        url = f"mysql://root@localhost/vmsnap?unix_socket={server.socket.with_name('proxy')}"
        try:
            with made.proxy, Runner(url) as run:
                made.prepare(run)
                yield made
        finally:
            machine.remove()
            made.world.remove()
            made.remove()


def worth_a_cut(commits: list[bool]) -> list[int]:
    """Choose all transactions that write, and some that only read; counted from 1."""
    numbers = enumerate(commits, 1)
    return [number for number, wrote in numbers if wrote or number % READS_BETWEEN_CUTS == 1]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_at_a_commit_leaves_nothing_in_doubt(bed, verb, when):
    """H57: whether it took place is decided by the key; the same run undoes or finishes."""
    trial = bed.trial(verb)
    bed.proxy.cut(0, when)
    bed.run(*trial.words, status=0)
    commits = bed.proxy.commits
    assert True in commits
    trial.put_back()
    found = []
    for number in worth_a_cut(commits):
        bed.proxy.cut(number, when)
        ended = bed.run(*trial.words)
        assert bed.proxy.has_cut, number
        found.append(trial.judge(ended, f"{verb}: cut {when} commit {number}"))
        trial.put_back()
    assert "left" not in found
    assert "done" in found
    assert {"refused", "undone"} & set(found)


def moments(calls: tuple[str, ...]) -> dict[str, int]:
    """Return the calls before and behind the commit."""
    commit = calls.index("SqlCatalog.commit") + 1
    return {"before the commit": commit - 1, "behind the commit": commit}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("moment", ["before the commit", "behind the commit"])
def test_a_server_that_is_killed_and_restarted_leaves_nothing_in_doubt(bed, verb, moment):
    """H57."""
    trial = bed.trial(verb)
    with held(bed.run, *trial.words, at=moments(trial.calls)[moment]):
        bed.kill()
        bed.restart()
    found = trial.judge(bed.run.end(), f"{verb}: restarted {moment}")
    assert found in ({"undone", "done"} if moment.startswith("before") else {"done"})


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("moment", ["before the commit", "behind the commit"])
def test_a_server_that_does_not_come_back_leaves_the_fence_to_recover(bed, verb, moment):
    """H52, H55, H57: nothing is decided without it, and no verb goes on."""
    trial = bed.trial(verb)
    where = f"{verb}: killed {moment}"
    with held(bed.run, *trial.words, at=moments(trial.calls)[moment]):
        bed.kill()
    try:
        ended = bed.run.end()
        if verb != "create" and moment.startswith("before"):
            assert refusal(bed.machine) is not None, where
        again = bed.run("recover")
        other = bed.run("snapshot", "create", bed.world.name)
    finally:
        bed.restart()
    assert trial.judge(ended, where) == "left"
    assert (again.status, again.document["changed"]) == (22, False), again
    assert other.status in {10, 22}, other
    expected = "before" if moment.startswith("before") else "finished"
    assert trial.recover(where) == expected
    assert refusal(bed.machine) is None


def test_a_server_that_is_gone_before_anything_began_is_a_refusal(bed):
    """H52."""
    trial = bed.trial("create")
    bed.kill()
    try:
        found = [bed.run(*words).status for words in (trial.words, ("group", "list"))]
    finally:
        bed.restart()
    assert found == [10, 10]
    assert trial.outcome("the server was gone") == "before"
