"""Random sequences of what happens to a machine, off and running, on a real libvirt.

The dice, the model and the comparison are those of tests/engine/test_trees.py. More of them:
`--live-tree-sequences N`; others: `--tree-seed S`. A failure prints its script, and
`--live-tree-sequences 1 --tree-seed S` plays that sequence alone.
"""

from collections.abc import Iterator

import pytest
from engine.treebed.dice import Dice
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.trees import LiveBed, wire
from livebed.world import Saved, World

pytestmark = pytest.mark.live

STEPS = 20
RUNNING_SHARE = 0.65
"""Of the steps that a running machine allows: about half of all are done on one."""
# Libvirt's own changes of a definition are not what is looked for here.
WITHOUT = ("detach", "attach", "memory")


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--tree-seed")
        count = metafunc.config.getoption("--live-tree-sequences")
        metafunc.parametrize("seed", range(first, first + count))


@pytest.fixture(scope="module")
def pristine() -> Iterator[Saved]:
    """A machine with host files that was never snapshotted."""
    machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=1))
    world = World(machine)
    try:
        machine.create()
        world.make_variants()
        yield world.save("pristine")
    finally:
        machine.remove()
        world.remove()


@pytest.fixture(scope="module")
def runner(pristine: Saved) -> Iterator[Runner]:
    with Runner(f"sqlite:///{pristine.world.database}") as made:
        yield made


@pytest.fixture
def bed(pristine: Saved, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveBed]:
    """The machine as it was at first, off."""
    if pristine.world.machine.state != "shut off":
        pristine.world.machine.destroy()
    world = pristine.put_back()
    wiring = wire(runner.database)
    try:
        yield LiveBed(world, wiring, runner, monkeypatch)
    finally:
        wiring.close()


def test_random_sequences_keep_every_group_and_the_machine(bed: LiveBed, seed: int):
    """H23, H36, H40, H41, H44, H54: half of the steps while QEMU has the images open."""
    try:
        Dice(bed, seed, running_share=RUNNING_SHARE, without=WITHOUT).play(STEPS)
        bed.finish()
    except BaseException as error:
        error.add_note("\n".join([f"--tree-seed {seed}, the script:", *bed.script]))
        raise
