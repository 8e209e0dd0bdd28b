"""Steps on the catalog: reserved, committed, struck off; taken back without a trace."""

import pytest

from vmsnap.engine.capture import capture
from vmsnap.engine.groups import BackupPlan, draft_backup
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import NameTakenError
from vmsnap.model import CatalogChange, ResourceKind


@pytest.fixture
def draft(world, run):
    """A backup that the run is about to reserve."""
    domain = world.hypervisor.domain(world.uuid)
    plan = BackupPlan("kept", ResourceKind.STANDALONE, capture(world.ports, domain.definition))
    made, contents = draft_backup(world.ports, world.hypervisor.host, domain, plan)
    run.supply = lambda _run: ((made,), contents)
    return made


def test_what_is_reserved_is_seen_by_nobody_and_discarded_without_a_trace(world, run, draft):
    """H9, H10."""
    before = world.rows()
    Reserve().do(run)
    assert world.rows()[1] == ()
    Reserve().undo(run)
    Reserve().undo(run)
    assert world.rows() == before
    Reserve().do(run)
    assert draft.resource.name == "kept"


def test_what_is_committed_is_there_and_stays(world, run, draft):
    Reserve().do(run)
    commit = Commit(CatalogChange(ready=(draft.resource.id,)))
    for step in (commit, commit, Finish(), Finish()):
        step.do(run)
    assert [resource.name for resource in world.rows()[1]] == ["kept"]
    assert world.ports.catalog.was_committed(run.operation.id)


def test_a_name_that_is_taken_meanwhile_is_refused_and_leaves_nothing(world, run, draft):
    """H8: the database decides."""
    world.create("kept")
    before = world.rows()
    with pytest.raises(NameTakenError):
        Reserve().do(run)
    Reserve().undo(run)
    assert world.rows() == before
