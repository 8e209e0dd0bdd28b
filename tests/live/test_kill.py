"""vmsnap ended by a signal in the middle of every verb: recover leaves all as before, or finished.

The runs are real processes on the real libvirt of the private host.
"""

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.slow_qemu_img import SlowQemuImg
from livebed.world import FENCE, Saved, World, refusal

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def pristine() -> Iterator[Saved]:
    """A machine with host files and patterns on its disks, without groups; and another one."""
    machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=4))
    source = Machine(Hardware(disks=()))
    world = World(machine)
    world.source = source.name
    try:
        machine.create()
        world.make_variants()
        source.create()
        source.make_host_files()
        yield world.save("pristine")
    finally:
        source.remove()
        machine.remove()
        world.remove()


@pytest.fixture(scope="module")
def run(pristine: Saved) -> Iterator[Runner]:
    with Runner(f"sqlite:///{pristine.world.database}") as runner:
        yield runner


def one_group(world: World, run: Runner) -> None:
    run("snapshot", "create", world.name, "--name", "monday", status=0)
    world.change(1)


def two_groups(world: World, run: Runner) -> None:
    one_group(world, run)
    run("snapshot", "create", world.name, "--name", "tuesday", status=0)
    world.change(2)


def much_since(world: World, run: Runner) -> None:
    """The layer that tuesday froze is smaller than what was put on it."""
    two_groups(world, run)
    for target, path in world.disks().items():
        world.write(target, path, 4, "1536k")


def reverted(world: World, run: Runner) -> None:
    two_groups(world, run)
    run("group", "revert", world.name, "monday", status=0)
    world.change(3)


VERBS = MappingProxyType(
    {
        "create": (one_group, ("snapshot", "create", "NAME", "--name", "wednesday")),
        "revert": (two_groups, ("group", "revert", "NAME", "monday")),
        "restore": (one_group, ("backup", "restore", "NAME", "monday")),
        "clone": (one_group, ("backup", "clone", "SOURCE", "NAME")),
        "clone with the TPM": (one_group, ("backup", "clone", "SOURCE", "NAME", "--tpm", "keep")),
        "undo": (reverted, ("undo", "NAME")),
        "commit": (two_groups, ("group", "delete", "NAME", "monday", "--yes")),
        "pull": (much_since, ("group", "delete", "NAME", "tuesday", "--yes")),
        "branch": (reverted, ("group", "delete", "NAME", "monday", "--children", "--yes")),
    }
)


# Before the commit with all done that can be taken back, and right behind it.
INTERRUPTED = MappingProxyType(
    {
        "create": "LibvirtHypervisor.switch_disks",
        "revert": "LocalHostFiles.exchange",
        "undo": "SqlCatalog.commit",
        "branch": "QemuImages.commit",
    }
)
KILLS_AT_RANDOM = 8


class Sweep:
    """One verb on one machine, done once to see what it does, then ended again and again."""

    def __init__(self, world: World, run: Runner, verb: str) -> None:
        prepare, words = VERBS[verb]
        prepare(world, run)
        self.world, self.run = world, run
        names = {"NAME": world.name, "SOURCE": world.source}
        self.words = tuple(names.get(word, word) for word in words)
        self.start = world.save(f"start of {verb}")
        self.before = world.seen()
        assert world.leftovers() == []
        done = run(*self.words, status=0)
        self.seconds = done.seconds
        # Behind a qemu-img that was the last thing of its call nothing differs from behind it.
        following = (*done.calls[1:], "")
        self.moments = tuple(
            (number, call)
            for number, (call, after) in enumerate(zip(done.calls, following, strict=True), 1)
            if not (call.endswith("_write") and after.startswith("QemuImages"))
            or after.endswith("rebase")
        )
        self.after = world.seen()
        assert world.leftovers() == []
        assert self.after.essence != self.before.essence
        self.start.put_back()
        assert world.seen() == self.before

    def outcome(self, where: str) -> str:
        """Return whether all is as before or finished; fail if it is neither."""
        assert self.world.leftovers() == [], where
        seen = self.world.seen()
        if seen == self.before:
            return "before"
        assert seen.essence == self.after.essence, where
        assert self.world.damaged() == [], where
        self.run("backup", "verify", status=0)
        return "finished"

    def try_to_start(self, where: str) -> None:
        """H55: what autostart would do after a power cut; it must not find half a machine."""
        if not self.world.is_fenced:
            found = self.world.seen_machine()
            assert found in (self.before.machine, self.after.machine), where
            return
        reason = refusal(self.world.machine)
        assert reason is not None, where
        assert str(FENCE) in reason, where

    def recover(self, where: str) -> str:
        """Recover, twice."""
        done = self.run("recover", status=0)
        assert not done.stderr.startswith("error"), where
        again = self.run("recover", status=0)
        assert again.document["data"]["operations"] == [], where
        return self.outcome(where)


@pytest.fixture(scope="module")
def sweeps(pristine: Saved, run: Runner) -> Callable[[str], Sweep]:
    """Prepare each verb once."""
    made: dict[str, Sweep] = {}

    def sweep(verb: str) -> Sweep:
        if verb not in made:
            made[verb] = Sweep(pristine.put_back(), run, verb)
        made[verb].start.put_back()
        return made[verb]

    return sweep


@pytest.fixture(params=VERBS)
def sweep(request: pytest.FixtureRequest, sweeps: Callable[[str], Sweep]) -> Sweep:
    return sweeps(request.param)


def test_a_kill_behind_any_change_is_settled_by_recover(sweep: Sweep):
    """H36, H44, H55, H57: behind each call that changes anything, the journal's own included."""
    outcomes = []
    for at, call in sweep.moments:
        where = f"killed behind {at}: {call}"
        assert sweep.run(*sweep.words, at=at).was_killed, where
        sweep.try_to_start(where)
        outcomes.append(sweep.recover(where))
        if outcomes.count(outcomes[-1]) == 1:
            assert refusal(sweep.world.machine) is None, where
        sweep.start.put_back()
    assert outcomes == sorted(outcomes, key=("before", "finished").index), outcomes
    assert "finished" in outcomes


def test_a_kill_at_any_time_is_settled_by_recover(sweep: Sweep):
    """H44, H56: also in the middle of a call, of a transaction or of a running qemu-img."""
    times = random.Random(4)  # noqa: S311 - not a secret, and the same each time
    killed = 0
    for _ in range(KILLS_AT_RANDOM):
        seconds = times.uniform(0, sweep.seconds)
        where = f"killed after {seconds:.3f} s"
        killed += sweep.run(*sweep.words, after_seconds=seconds).was_killed
        sweep.try_to_start(where)
        sweep.recover(where)
        sweep.start.put_back()
    assert killed


@pytest.mark.parametrize(("verb", "call"), INTERRUPTED.items())
def test_a_killed_recover_is_settled_by_the_next(sweeps, run: Runner, verb: str, call: str):
    """H44: taking back, and finishing, can be interrupted as often as anything else."""
    sweep = sweeps(verb)
    at = next(number for number, name in reversed(sweep.moments) if name == call)
    run(*sweep.words, at=at)
    calls = run("recover", status=0).calls
    outcome = sweep.outcome("recovered")
    for number, name in enumerate(calls, start=1):
        sweep.start.put_back()
        run(*sweep.words, at=at)
        where = f"recover killed behind {number}: {name}"
        assert run("recover", at=number).was_killed, where
        sweep.try_to_start(where)
        assert sweep.recover(where) == outcome, where


def test_recover_waits_for_a_program_that_outlives_a_kill(
    sweeps, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """H56: what a killed vmsnap has started still holds the domain, and recover says so."""
    sweep = sweeps("commit")
    slow = SlowQemuImg(tmp_path, "commit")
    monkeypatch.setenv("PATH", slow.path)
    with Runner(run.database) as slowed:
        slowed.start(*sweep.words)
        slow.wait_until_begun()
        slowed.kill()
        assert slowed.end().was_killed
    monkeypatch.undo()
    sweep.try_to_start("qemu-img still runs")
    busy = run("recover", status=75)
    assert "a program that it started is still writing" in busy.document["errors"][0]["message"]
    assert run("recover", "--wait", "0.3", status=75).document["changed"] is False
    assert run("snapshot", "create", sweep.world.name, status=75).document["changed"] is False
    run.start("recover", "--wait", "60")
    slow.go_on()
    assert run.end().status == 0
    assert sweep.outcome("recovered") == "finished"


READING = (
    *(("group", verb) for verb in ("list", "tree", "check")),
    *((noun, "list") for noun in ("snapshot", "backup")),
)


@pytest.mark.parametrize("verb", ["create", "revert", "commit", "branch"])
def test_a_signal_behind_any_change_is_settled_at_once(sweeps, run: Runner, verb: str):
    """H5: no recovery is needed, and the answer says whether anything was changed."""
    sweep = sweeps(verb)
    world = sweep.world
    were_deleting = 0
    for at, call in sweep.moments:
        number = (signal.SIGINT, signal.SIGTERM)[at % 2]
        where = f"{number.name} behind {at}: {call}"
        ended = run(*sweep.words, at=at, number=number, status=128 + number)
        assert ended.document["exit_code"] == 128 + number, where
        if not world.states("deleting"):
            is_finished = sweep.outcome(where) == "finished"
            assert ended.document["changed"] is is_finished, where
        else:
            assert ended.document["changed"], where
            assert set(world.leftovers()) == {"a group that is not ready: ('deleting',)"}, where
            if not were_deleting:
                for words in READING:
                    assert run(*words, world.name).status in {0, 15}, (where, words)
            run(*sweep.words, status=0)
            assert sweep.outcome(where) == "finished", where
            were_deleting += 1
        sweep.start.put_back()
    assert bool(were_deleting) == (sweep.words[1] == "delete")
