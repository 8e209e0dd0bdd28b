"""Merging layers and ending groups: what is repeated, refused and left for the next delete."""

from types import SimpleNamespace

import pytest

from vmsnap.engine.delete import _plan
from vmsnap.engine.deleting import deletion_steps
from vmsnap.engine.layers import Action
from vmsnap.engine.requests import DeleteRequest
from vmsnap.engine.steps.definition import Fence
from vmsnap.engine.steps.endings import EndGroups
from vmsnap.engine.steps.merges import MergeLayers
from vmsnap.errors import DomainRunningError
from vmsnap.model import CatalogChange


@pytest.fixture
def bed(world, run):
    """Two groups on each other; the steps that would delete one of them, behind the commit."""
    world.create("one")
    world.fill(2)
    world.create("two")
    world.fill(3)

    def begin(name):
        steps = deletion_steps(_plan(world.ports, run.operation, [name], DeleteRequest()))
        ids = next(step.group_ids for step in steps if isinstance(step, EndGroups))
        Fence().do(run)
        world.ports.catalog.apply(CatalogChange(deleting=ids))
        return [step for step in steps if isinstance(step, MergeLayers | EndGroups)]

    return SimpleNamespace(world=world, run=run, begin=begin, before=world.machine())


def do(bed, *steps):
    for step in steps:
        bed.run.facts.update(step.do(bed.run) or {})


def names(world):
    return [group.name for group in world.rows()[0]]


@pytest.mark.parametrize("name", ["one", "two"])
def test_every_step_can_be_repeated_by_a_run_that_knows_nothing_of_the_first(bed, name):
    """H44: begun twice, and taken for finished by nobody."""
    steps = bed.begin(name)
    for count in range(1, len(steps) + 1):
        bed.run.facts.clear()
        do(bed, *steps[:count])
    assert bed.world.machine() == bed.before
    assert name not in names(bed.world)


def test_an_original_file_has_no_victim_and_is_merged_into(bed):
    """H59."""
    merges = bed.begin("one")[:2]
    assert {merge.action for merge in merges} == {Action.COMMIT}
    assert {merge.layer_path for merge in merges} == set(bed.world.disks.values())
    victims = {merge.victim for merge in merges}
    assert not victims & set(bed.world.disks.values())
    do(bed, *merges)
    assert not any(path.exists() for path in victims)


def test_after_a_failure_the_other_merges_of_the_disk_are_left(bed):
    """H1: and the group stays with its backups."""
    steps = bed.begin("one")
    bed.run.facts["unmerged:vda"] = ["image", "it broke"]
    do(bed, *steps)
    assert names(bed.world) == ["one", "two"]
    assert [layer.target for layer in bed.world.rows()[2]].count("vda") == 3
    assert [layer.target for layer in bed.world.rows()[2]].count("vdb") == 2


def test_a_disk_that_uses_something_unknown_is_not_merged(bed):
    """H41."""
    steps = bed.begin("two")
    foreign = bed.world.stacked(bed.world.active("vda"), "foreign")
    bed.world.edit(str(bed.world.active("vda")), str(foreign))
    do(bed, *steps)
    code, message = bed.run.facts["unmerged:vda"]
    assert code == "wrong_state"
    assert "foreign" in message
    assert names(bed.world) == ["one", "two"]
    assert bed.world.active("vda") == foreign


def test_a_running_machine_is_waited_for(bed):
    """H44: not taken for a failure that the next delete mends."""
    merge = bed.begin("two")[0]
    machine = bed.world.hypervisor.machines[bed.world.uuid]
    machine.xml = bed.world.ports.definitions.without_fence(machine.xml)
    bed.world.hypervisor.start(bed.world.uuid)
    with pytest.raises(DomainRunningError):
        merge.do(bed.run)


def test_a_fence_that_was_taken_away_is_put_back_first(bed):
    """H55."""
    merge = bed.begin("two")[0]
    machine = bed.world.hypervisor.machines[bed.world.uuid]
    machine.xml = bed.world.ports.definitions.without_fence(machine.xml)
    do(bed, merge)
    assert bed.world.hypervisor.domain(bed.world.uuid).definition.is_fenced


def test_an_interrupted_run_begins_no_other_merge(bed):
    """H4."""
    steps = bed.begin("one")
    bed.run.is_interrupted = True
    before = bed.world.files()
    do(bed, *steps)
    assert bed.world.files() == before
    assert names(bed.world) == ["one", "two"]


def test_ending_groups_twice_ends_nothing_more(bed):
    """H2."""
    *merges, end = bed.begin("one")
    do(bed, *merges, end)
    rows = bed.world.rows()
    do(bed, end)
    assert bed.world.rows() == rows
    assert names(bed.world) == ["two"]
