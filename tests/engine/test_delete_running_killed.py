"""A delete under a running machine, killed: recover finishes it, or there was nothing to finish."""

import pytest
from engine.running_machine import NAMES, ending, held, overlays, rest, start_with_groups
from fakes.dying import DyingJournals, KilledError, die
from fakes.saved_world import SavedWorld

from vmsnap.engine.recover import recover_all
from vmsnap.errors import VmsnapError


@pytest.fixture
def running(world):
    """A machine with four groups on each other, which runs."""
    return start_with_groups(world)


@pytest.mark.parametrize("stops", [False, True], ids=["running", "off"])
@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
@pytest.mark.parametrize("gone", [("two",), ("four", "one")], ids="-".join)
def test_a_kill_at_any_step_is_settled_by_recover(running, monkeypatch, gone, is_written, stops):
    """H40, H44: whether the machine runs on until recover comes, or is off by then."""
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    start, before, groups = SavedWorld(running), running.machine(), held(running)
    step, outcomes = 0, []
    while True:
        step += 1
        world = start.put_back()
        journals = DyingJournals(world.ports.journals, step, is_written=is_written)
        try:
            world.with_ports(journals=journals).delete(*gone)
        except KilledError:
            pass
        else:
            break
        _recover_and_look(world, (before, groups, gone), outcomes, stops=stops)
    assert set(outcomes) == {"before", "finished"}
    assert outcomes == sorted(outcomes, key=("before", "finished").index)


@pytest.mark.parametrize("stops", [False, True], ids=["running", "off"])
@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_kill_within_a_merge_is_settled_by_recover(running, monkeypatch, when, stops):
    """H44: never begun twice, and never taken for finished."""
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    before, groups, outcomes = running.machine(), held(running), []

    def kill():
        raise KilledError

    running.hypervisor.on("merge_live", kill, when=when, skip=1)
    with pytest.raises(KilledError):
        running.delete("four", "one")
    _recover_and_look(running, (before, groups, ("four", "one")), outcomes, stops=stops)
    assert outcomes == ["finished"]


def _recover_and_look(world, expected, outcomes, *, stops):
    before, groups, gone = expected
    if stops:
        world.hypervisor.stop(world.uuid)
    recover_all(world.ports, dry_run=False)
    assert recover_all(world.ports, dry_run=False) == ()
    assert world.journals() == ()
    assert ending(world) == []
    is_done = set(held(world)) == set(rest(groups, *gone))
    assert held(world) == (rest(groups, *gone) if is_done else groups)
    assert world.machine() == before
    assert not world.hypervisor.domain(world.uuid).definition.is_fenced
    left = len(NAMES) - (len(gone) if is_done else 0)
    assert len(overlays(world)) == 2 * left
    outcomes.append("finished" if is_done else "before")
    if not stops:
        world.hypervisor.stop(world.uuid)
    assert world.machine() == before
    try:
        world.hypervisor.start(world.uuid)
    except VmsnapError as error:  # pragma: no cover - the test is there to show that it is not
        pytest.fail(error.message)
