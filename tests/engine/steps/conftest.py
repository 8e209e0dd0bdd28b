"""A run over single steps on the machine of `world`."""

import pytest

from vmsnap.engine.journal import Run
from vmsnap.model import Operation, OperationId


@pytest.fixture
def run(world):
    """A run of an operation on the machine, with no facts yet."""
    operation = Operation(
        id=OperationId(world.ports.clock.new_id()),
        verb="test",
        host_id=world.hypervisor.host,
        domain_id=world.uuid,
        domain_name=world.name,
        started_at=world.ports.clock.now(),
    )
    return Run(world.ports, operation)
