"""libvirtd or QEMU killed in the middle of a verb, restarted at once or only afterwards."""

import time
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
from livebed.faults import Trial, held, kill_libvirtd, kill_qemu, start_libvirtd
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.world import Saved, World

pytestmark = pytest.mark.live

VERBS = MappingProxyType(
    {
        "create": ("snapshot", "create", "NAME", "--name", "tuesday"),
        "revert": ("group", "revert", "NAME", "monday"),
        "delete": ("group", "delete", "NAME", "monday", "--yes"),
    }
)


@pytest.fixture(scope="module")
def start() -> Iterator[Saved]:
    """A machine without firmware and TPM, with a group; its disk has changed since."""
    machine = Machine(Hardware(disks=("qcow2",), disk_mib=4, firmware="bios", tpm=None))
    world = World(machine)
    try:
        machine.create()
        with Runner(f"sqlite:///{world.database}") as runner:
            runner("snapshot", "create", world.name, "--name", "monday", status=0)
        for target, path in world.disks().items():
            world.write(target, path, 1)
        yield world.save("start")
    finally:
        machine.remove()
        world.remove()


@pytest.fixture(scope="module")
def run(start: Saved) -> Iterator[Runner]:
    with Runner(f"sqlite:///{start.world.database}") as runner:
        yield runner


@pytest.fixture(scope="module")
def trials(start: Saved, run: Runner) -> Callable[[str], Trial]:
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


def around_libvirt(calls: tuple[str, ...]) -> list[int]:
    """Return the moments before and behind each call by which libvirt is changed."""
    changing = [at for at, call in enumerate(calls, 1) if call.startswith("LibvirtHypervisor")]
    return sorted({at for number in changing for at in (number - 1, number) if 0 < at < len(calls)})


@pytest.mark.parametrize("verb", VERBS)
def test_a_libvirtd_that_is_killed_and_restarted_leaves_nothing_in_doubt(trials, run, verb):
    """H24: the next call finds the new one, or all is taken back."""
    trial = trials(verb)
    for at in around_libvirt(trial.calls)[::3]:
        where = f"libvirtd restarted behind {at}: {trial.calls[at - 1]}"
        with held(run, *trial.words, at=at):
            kill_libvirtd()
            start_libvirtd()
            trial.world.reconnect()
        assert trial.judge(run.end(), where) in {"undone", "done"}
        trial.put_back()


@pytest.mark.parametrize("verb", VERBS)
def test_a_libvirtd_that_does_not_come_back_is_waited_for_by_recover(trials, run, verb):
    """H4, H24, H55: soon given up, with the journal left, and settled when it answers again."""
    trial = trials(verb)
    for at in around_libvirt(trial.calls)[1::3]:
        where = f"libvirtd killed behind {at}: {trial.calls[at - 1]}"
        began = time.monotonic()
        with held(run, *trial.words, at=at):
            kill_libvirtd()
        try:
            ended = run.end()
            assert time.monotonic() - began < 60, where
            again = run("recover")
        finally:
            start_libvirtd()
            trial.world.reconnect()
        found = trial.judge(ended, where)
        assert again.status == (20 if found == "left" else again.status), where
        assert found != "left" or trial.recover(where)
        trial.put_back()


def running(trial: Trial) -> None:
    """Put all back, and start the machine."""
    if trial.world.machine.state != "shut off":
        trial.world.machine.destroy()
    trial.put_back()
    trial.world.machine.start()


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_qemu_that_is_killed_in_a_live_verb_leaves_a_whole_machine(trials, run, verb):
    """H26, H44, H53: done or undone at once; what the definition says is right for a start."""
    trial = trials(verb)
    running(trial)
    calls = run(*trial.words, status=0).calls
    statuses = []
    for at in sorted({*range(1, len(calls), 12), *around_libvirt(calls)[::2]}):
        where = f"QEMU killed behind {at}: {calls[at - 1]}"
        running(trial)
        with held(run, *trial.words, at=at):
            kill_qemu(trial.world.machine)
        ended = run.end()
        assert "<backingStore" not in trial.world.definition(), where
        found = trial.judge(ended, where)
        assert found in {"undone", "done"}, where
        statuses.append(found)
        assert run("recover", status=0).document["data"]["operations"] == [], where
        trial.world.machine.start("--paused")
    assert "done" in statuses


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_libvirtd_that_is_restarted_in_a_live_verb_leaves_a_machine_that_runs(trials, run, verb):
    """H24, H29, H44."""
    trial = trials(verb)
    running(trial)
    calls = run(*trial.words, status=0).calls
    for at in around_libvirt(calls)[1::2]:
        where = f"libvirtd restarted behind {at}: {calls[at - 1]}"
        running(trial)
        with held(run, *trial.words, at=at):
            kill_libvirtd()
            start_libvirtd()
            trial.world.reconnect()
        ended = run.end()
        assert trial.world.machine.state == "running", where
        trial.world.machine.destroy()
        assert trial.judge(ended, where) in {"undone", "done"}
