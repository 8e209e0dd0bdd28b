"""Fixtures of the live tests: machines on the private host, and the real vmsnap command."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from livebed.command import Vmsnap
from livebed.databases import SqliteDatabase
from livebed.machine import Hardware, Machine
from livebed.world import World

EVERYTHING = ("secret", "variable", "vda", "vdb")


@pytest.fixture
def machine() -> Iterator[Callable[..., Machine]]:
    """Make machines: `machine(firmware="bios", tpm=None, …)`, see Hardware; removed at the end."""
    made: list[Machine] = []

    def make(**hardware: object) -> Machine:
        made.append(Machine(Hardware(**hardware)))
        made[-1].create()
        return made[-1]

    yield make
    for each in reversed(made):
        each.remove()


@pytest.fixture(scope="session")
def monday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boot a guest once for all tests: a saved state in which everything says monday.

    The machine is gone at once: tests that look at the whole host must not find it.
    """
    first = Machine(Hardware(boots_guest=True))
    folder = tmp_path_factory.mktemp("monday") / "state"
    try:
        first.create()
        assert first.boot("read", "write monday") == dict.fromkeys(EVERYTHING, "-")
        first.save_state(folder)
    finally:
        first.remove()
    return folder


@pytest.fixture
def written_machine(machine: Callable[..., Machine], monday: Path) -> Machine:
    """Return a machine, off, whose secret, variable and disks say monday; it boots the guest."""
    made = machine(boots_guest=True)
    made.load_state(monday)
    return made


@pytest.fixture(scope="module")
def agent_machine() -> Iterator[Machine]:
    """Boot a machine once whose file systems are mounted and whose agent answers."""
    made = Machine(Hardware(boots_guest=True, agent=True))
    try:
        made.create()
        made.boot_and_stay("mount", "agent")
        yield made
    finally:
        made.remove()


@pytest.fixture
def world(machine: Callable[..., Machine], tmp_path: Path) -> Iterator[World]:
    """Return a small machine, off, with host files, and a database of the test's own."""
    made = machine(disks=("qcow2", "raw"), disk_mib=4)
    made.make_host_files()
    world = World(made, SqliteDatabase(tmp_path / "database" / "vmsnap.db"))
    yield world
    world.remove()


@pytest.fixture
def vmsnap(tmp_path: Path) -> Vmsnap:
    """Run the real vmsnap, with a database of the test's own."""
    return Vmsnap(tmp_path / "vmsnap.db")
