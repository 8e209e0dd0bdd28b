"""Real file systems that are full or read-only: those of journal, database, images, host files."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from livebed.faults import Trial
from livebed.killing import Runner
from livebed.machine import NVRAM, SWTPM, Hardware, Machine
from livebed.refusing import SmallDisk
from livebed.world import STATE, World

pytestmark = pytest.mark.live

VERBS = MappingProxyType(
    {
        "create": ("snapshot", "create", "NAME", "--name", "tuesday"),
        "revert": ("group", "revert", "NAME", "monday"),
        "delete": ("group", "delete", "NAME", "monday", "--yes"),
    }
)


class Bed:
    """A machine whose journal, database, NVRAM and TPM state are each on a small disk."""

    def __init__(self, world: World, run: Runner, disks: Mapping[str, SmallDisk]) -> None:
        self.world, self.run, self.disks = world, run, disks
        self._trials: dict[str, Trial] = {}
        run("snapshot", "create", world.name, "--name", "monday", status=0)
        world.change(1)
        self._start = world.save("start")

    def trial(self, verb: str) -> Trial:
        """Return a verb that was done once, on a machine with a group that has changed since."""
        if verb not in self._trials:
            self._start.put_back()
            words = tuple(self.world.name if word == "NAME" else word for word in VERBS[verb])
            self._trials[verb] = Trial(self.world, self.run, words)
        self._trials[verb].put_back()
        return self._trials[verb]

    def folder(self, place: str) -> Path:
        """Return the folder in which a place is."""
        if place == "images":
            return self.world.machine.folder
        if place == "database":
            return self.world.database.parent
        return self.disks[place].folder


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    machine = Machine(Hardware(disks=("qcow2",), disk_mib=4))
    world = World(machine)
    world.database.parent.rmdir()
    # What is compared and put back lies beside the database.
    places = {"state": (STATE, 1), "database": (world.folder, 48), "nvram": (NVRAM, 8),
              "tpm": (SWTPM, 2)}  # fmt: skip
    with ExitStack() as stack:
        stack.callback(world.remove)
        disks = {}
        for name, (folder, mib) in places.items():
            disks[name] = SmallDisk(folder, mib)
            stack.callback(disks[name].remove)
        world.database.parent.mkdir()
        stack.callback(machine.remove)
        machine.create()
        world.make_variants()
        yield Bed(world, stack.enter_context(Runner(f"sqlite:///{world.database}")), disks)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mount a folder read-only over itself."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("place", "verb", "free_kib"),
    [
        *(("state", verb, free) for verb in VERBS for free in (0, 4)),
        *(("database", verb, free) for verb in VERBS for free in (0, 40, 120)),
        *(("nvram", "revert", free) for free in (0, 256)),
        *(("tpm", "revert", free) for free in (0, 8)),
    ],
)
def test_a_full_disk_changes_nothing_or_is_recovered_when_there_is_room(bed, place, verb, free_kib):
    """H31: refused, undone, or left with its journal; with room again all is whole."""
    trial, disk = bed.trial(verb), bed.disks[place]
    where = f"{verb}, {place} with {free_kib} KiB"
    disk.fill(free_kib)
    try:
        ended = bed.run(*trial.words)
    finally:
        disk.empty()
    assert trial.judge(ended, where) != "left" or trial.recover(where)
    assert ended.status != 0 or free_kib


@pytest.mark.parametrize(
    ("place", "verb"),
    [
        *((place, verb) for place in ("state", "database", "images") for verb in VERBS),
        ("nvram", "revert"),
        ("tpm", "revert"),
    ],
)
def test_a_read_only_file_system_is_refused_or_undone_and_can_be_read(bed, place, verb):
    """H31, H52: nothing is begun, or all is taken back at once."""
    trial = bed.trial(verb)
    with read_only(bed.folder(place)):
        ended = bed.run(*trial.words)
        assert bed.run("group", "list", bed.world.name, status=0).document["data"]["groups"]
    assert trial.judge(ended, f"{verb}, {place} read-only") in {"refused", "undone"}
    if place in {"state", "database"}:
        assert ended.status == 10


def test_a_database_that_cannot_be_read_for_want_of_room_says_so(bed):
    """H31, H52: SQLite says 'disk I/O error'."""
    disk = bed.disks["database"]
    assert bed.run("group", "list").status == 0
    for path in bed.world.database.parent.glob(f"{bed.world.database.name}-*"):
        path.unlink()
    disk.fill(0)
    try:
        found = bed.run("group", "list")
    finally:
        disk.empty()
    assert found.status == 10
    (error,) = found.document["errors"]
    assert error["message"].endswith("failed: its file system is full")
    assert error["hint"] == "df -h"
    assert bed.run("group", "list").status == 0


def test_an_undo_that_finds_no_room_is_left_to_recover(bed):
    """H31, H36: a disk that fills up in the middle; recover says so until there is room."""
    trial, disk = bed.trial("revert"), bed.disks["database"]
    assert bed.run(*trial.words, at=trial.calls.index("LocalHostFiles.exchange") + 1).was_killed
    disk.fill(0)
    try:
        found = bed.run("recover")
    finally:
        disk.empty()
    assert found.status in {0, 10, 22}, found
    assert found.status == 0 or found.document["errors"][0]["hint"] == "df -h"
    assert trial.recover("there is room") == "before"
