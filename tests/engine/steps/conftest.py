"""A run over single steps on the machine of `world`."""

import pytest

from vmsnap.engine.journal import Run
from vmsnap.engine.steps.overlays import MakeOverlay
from vmsnap.engine.steps.switching import SwitchDisks
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


@pytest.fixture
def make(world):
    """The step that makes an overlay on vda."""
    image = world.disks["vda"]
    return MakeOverlay(image.with_name("over.qcow2"), image, "qcow2")


@pytest.fixture
def switch(make):
    """The step that switches vda to it, of a domain that is off."""
    return SwitchDisks({"vda": make.path}, {"vda": (make.backing, "qcow2")})
