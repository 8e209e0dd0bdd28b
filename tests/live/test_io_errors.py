"""Disks that answer with an error: the journal's, the database's, those of host files and locks."""

import errno
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
from livebed.faults import FaultyRunner, Trial
from livebed.machine import Hardware, Machine
from livebed.refusing import looks
from livebed.world import Saved, World

pytestmark = pytest.mark.live

JOURNAL = "/vmsnap/journal"
DATABASE = "/database/vmsnap.db"
NVRAM = "/qemu/nvram/"
TPM = "/libvirt/swtpm/"
VERBS = MappingProxyType(
    {
        "create": ("snapshot", "create", "NAME", "--name", "tuesday"),
        "revert": ("group", "revert", "NAME", "monday"),
        "delete": ("group", "delete", "NAME", "monday", "--yes"),
    }
)
MOST_CALLS = 200


@pytest.fixture(scope="module")
def start() -> Iterator[Saved]:
    """A machine with a group that has changed since."""
    machine = Machine(Hardware(disks=("qcow2",), disk_mib=4))
    world = World(machine)
    try:
        machine.create()
        world.make_variants()
        with FaultyRunner(f"sqlite:///{world.database}") as runner:
            runner("snapshot", "create", world.name, "--name", "monday", status=0)
        world.change(1)
        yield world.save("start")
    finally:
        machine.remove()
        world.remove()


@pytest.fixture(scope="module")
def run(start: Saved) -> Iterator[FaultyRunner]:
    with FaultyRunner(f"sqlite:///{start.world.database}") as runner:
        yield runner


@pytest.fixture(scope="module")
def trials(start: Saved, run: FaultyRunner) -> Callable[[str], Trial]:
    """Prepare each verb once."""
    made: dict[str, Trial] = {}

    def trial(verb: str) -> Trial:
        if verb not in made:
            world = start.put_back()
            words = tuple(world.name if word == "NAME" else word for word in VERBS[verb])
            made[verb] = Trial(world, run, words)
        made[verb].put_back()
        return made[verb]

    return trial


def sweep(
    trial: Trial, run: FaultyRunner, fault: tuple[str, str, int], *, once: bool, stride: int = 1
) -> list[str]:
    """Let the first call fail, then the one `stride` further, until a run meets none.

    Returns what became of each. What was left is recovered, once the disk is well again.
    """
    found = []
    for count in range(1, MOST_CALLS, stride):
        where = f"{trial.words[:2]}: {fault}, from number {count}"
        with run.fault(*fault, count=count, once=once):
            ended = run(*trial.words)
            met = run.met
        found.append(trial.judge(ended, where))
        if found[-1] == "left":
            trial.recover(where)
        trial.put_back()
        if not met:
            return found
    raise AssertionError(found)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_journal_that_cannot_be_written_any_more_leaves_nothing_in_doubt(trials, run, verb, call):
    """H5, H31, H36: before the commit all is undone; behind it recover is named, and finishes."""
    found = sweep(trials(verb), run, (call, JOURNAL, errno.EIO), once=False, stride=2)
    assert {"undone", "left"} <= set(found)


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_journal_that_fails_once_leaves_nothing_to_be_recovered(trials, run, verb):
    """H5: what can be undone or finished at once, is."""
    found = sweep(trials(verb), run, ("sync", JOURNAL, errno.EIO), once=True, stride=2)
    assert set(found) == {"undone", "done"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["broken", "full"])
def test_a_database_that_cannot_be_written_any_more_loses_nothing(trials, run, verb, number):
    """H3, H31, H52, H57: every write of SQLite may be the one from which on nothing is kept."""
    found = sweep(trials(verb), run, ("write", DATABASE, number), once=False, stride=29)
    assert {"refused", "done"} <= set(found)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("once", [True, False], ids=["once", "always"])
def test_a_database_that_cannot_be_synced_loses_nothing(trials, run, verb, once):
    """H57: whether a commit whose sync failed took place is decided by the key, not by a look."""
    found = sweep(trials(verb), run, ("sync", DATABASE, errno.EIO), once=once, stride=3)
    assert set(found) > {"done"}


@pytest.mark.parametrize("call", ["open", "read"])
@pytest.mark.parametrize("path", [NVRAM, TPM])
@pytest.mark.parametrize("verb", ["create", "revert"])
def test_a_host_file_that_cannot_be_read_is_not_taken_for_a_missing_one(
    trials, run, verb, path, call
):
    """H15, H37: nothing is kept, so nothing is made and nothing replaced."""
    found = sweep(trials(verb), run, (call, path, errno.EIO), once=False, stride=9)
    assert set(found) <= {"undone", "left", "done"}
    assert "undone" in found


@pytest.mark.parametrize("path", [NVRAM, TPM])
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("make", errno.EROFS),
        ("write", errno.ENOSPC),
        ("sync", errno.EIO),
        ("rename", errno.EIO),
    ],
)
def test_a_host_file_that_cannot_be_written_stays_as_it_was(trials, run, path, call, number):
    """H31, H36, H38: a revert writes beside the live file, and takes all back."""
    found = sweep(trials("revert"), run, (call, path, number), once=True)
    assert set(found) <= {"undone", "done"}
    assert "undone" in found


def test_a_lock_that_cannot_be_opened_refuses(trials, run):
    """H48: without the lock nothing is begun."""
    assert sweep(trials("create"), run, ("open", "/vmsnap/locks", errno.EIO), once=False) == [
        "refused",
        "done",
    ]


def test_a_journal_that_cannot_be_read_keeps_every_verb_from_changing_anything(trials, run):
    """H5: what it says of an interrupted operation is not known, which is not nothing."""
    trial = trials("revert")
    at = trial.calls.index("LocalHostFiles.exchange") + 1
    assert run(*trial.words, at=at).was_killed
    machine = trial.world.machine
    state = looks(machine)
    with run.fault("read", JOURNAL):
        for words in (("recover",), trial.words, ("snapshot", "create", trial.world.name)):
            ended = run(*words)
            (error,) = ended.document["errors"]
            assert (ended.status, error["code"]) == (21, "host_file"), ended
            assert error["hint"]
            assert trial.world.journals()
    assert looks(machine) == state
    assert trial.recover("the disk is well again") == "before"
