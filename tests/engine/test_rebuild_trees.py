"""Random sequences, then the database is lost: what is rebuilt equals what there was."""

import pytest
from engine.test_rebuild import as_lost, lose_database, run
from engine.treebed.bed import Bed
from engine.treebed.dice import Dice

from vmsnap.model import GroupState

SEEDS = range(7100, 7124)
STEPS = 9


@pytest.mark.parametrize("seed", SEEDS)
def test_what_random_sequences_left_is_rebuilt(world, monkeypatch, seed):
    """Branches, resized layers, deletes that wait and interruptions: no row may be lost by it."""
    bed = Bed(world, monkeypatch)
    try:
        Dice(bed, seed, running_share=0.9 if seed % 3 else 0.0).play(STEPS)
        if bed.is_running:
            bed.stop()
        before, definition, files = world.rows(), world.definition(), world.files()
        machine = {target: bed.read(target) for target in bed.model.disks}
        rebuilt = lose_database(world)
        run(rebuilt)
        # Of a machine without groups nothing is recorded.
        assert rebuilt.rows() == (as_lost(before) if before[2] else ((), (), (), ()))
        assert run(rebuilt) == []
        assert (rebuilt.files(), rebuilt.definition()) == (files, definition)
        names = [group.name for group in rebuilt.ports.catalog.groups()]
        singles = tuple(name for name in names if "/" in name)
        rebuilt.delete(*(name for name in names if "/" not in name), singles=singles)
        assert {target: bed.read(target) for target in bed.model.disks} == machine
        assert all(group.state is GroupState.DELETING for group in rebuilt.ports.catalog.groups())
    except BaseException as error:
        error.add_note("\n".join(bed.script))
        raise
