"""Looking at the operation's domain before something is changed."""

import pytest

from vmsnap.engine.steps.look import look, look_if_defined, require_off
from vmsnap.errors import DomainNotFoundError, DomainRunningError
from vmsnap.model import DomainState


def test_every_look_is_a_fresh_one(world, run):
    assert look(run).state is DomainState.SHUT_OFF
    world.hypervisor.start(world.uuid)
    assert look(run).state is DomainState.RUNNING


def test_a_domain_that_is_gone_is_told_apart(world, run):
    world.hypervisor.undefine(world.uuid)
    assert look_if_defined(run) is None
    require_off(run)
    with pytest.raises(DomainNotFoundError):
        look(run)


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED, DomainState.OTHER])
def test_everything_but_off_is_refused(world, run, state):
    """H35."""
    require_off(run)
    world.hypervisor.start(world.uuid)
    world.hypervisor.machines[world.uuid].state = state
    with pytest.raises(DomainRunningError, match=state.value):
        require_off(run)
