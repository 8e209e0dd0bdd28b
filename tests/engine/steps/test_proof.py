"""The proof before the commit: whatever is not as planned is an error, and is taken back."""

import hashlib
from pathlib import Path

import pytest

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.journal import Run
from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.engine.steps.proof import ExpectedHostFile, ExpectedOverlay, ProveReturn
from vmsnap.errors import ContentError, ImageError, LibvirtError, StateError
from vmsnap.model import HostFileType

NVRAM = HostFileType.NVRAM


@pytest.fixture
def overlay(world):
    """A new overlay on the first disk."""
    path = world.disks["vda"].with_name("new.qcow2")
    world.ports.images.create_overlay(path, world.disks["vda"], "qcow2")
    return path


def sources(world):
    return {disk.target: disk.path for disk in world.hypervisor.domain(world.uuid).definition.disks}


@pytest.fixture
def step(world, overlay):
    """What fits the fenced machine."""
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_fence(machine.xml)
    base = world.disks["vda"]
    digest = hashlib.sha256(world.nvram.read_bytes()).hexdigest()
    return ProveReturn(
        sources(world),
        (ExpectedOverlay(overlay, base, "qcow2"),),
        (LayerWitness(base, world.ports.images.facts(base)),),
        (ExpectedHostFile(NVRAM, world.nvram, digest),),
    )


def prove(world, step):
    operation = type("Operation", (), {"domain_id": world.uuid})()
    assert step.do(Run(world.ports, operation)) is None


def test_what_is_as_planned_passes(world, step):
    prove(world, step)


def test_it_survives_the_journal(step):
    assert from_json(ProveReturn, to_json(step)) == step


def test_a_fence_that_is_gone_is_seen(world, step):
    """H55."""
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    with pytest.raises(StateError, match="fence"):
        prove(world, step)


def test_another_file_in_the_definition_is_seen(world, step, overlay):
    """H24: what libvirt keeps counts, not what it was given."""
    world.edit(str(world.disks["vdb"]), str(overlay))
    with pytest.raises(LibvirtError, match="disk vdb"):
        prove(world, step)


def test_a_disk_that_was_not_planned_is_seen(world, step):
    without = {target: path for target, path in step.sources.items() if target != "vdb"}
    changed = ProveReturn(without, step.overlays, step.layers, step.host_files)
    with pytest.raises(LibvirtError, match="disk vdb"):
        prove(world, changed)


def test_a_definition_that_was_not_to_change_is_not_compared(world, step):
    prove(world, ProveReturn(None, step.overlays, step.layers, step.host_files))


def test_an_overlay_on_another_file_is_seen(world, step, overlay):
    world.ports.images.set_backing(overlay, world.disks["vdb"], "raw")
    with pytest.raises(ImageError, match="does not stand on"):
        prove(world, step)


def test_a_frozen_layer_that_was_written_to_is_seen(world, step):
    path = world.disks["vda"]
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ImageError, match="not as it was frozen"):
        prove(world, step)


def test_a_host_file_that_reads_otherwise_is_seen(world, step):
    """H38."""
    world.nvram.write_bytes(b"otherwise")
    with pytest.raises(ContentError, match="does not read"):
        prove(world, step)


def test_a_host_file_that_should_be_gone_is_seen(world, step):
    gone = (ExpectedHostFile(NVRAM, world.nvram, None),)
    with pytest.raises(ContentError):
        prove(world, ProveReturn(step.sources, (), (), gone))


def test_a_host_file_that_the_definition_does_not_name_is_seen(world, step):
    """H45."""
    world.edit(str(world.nvram), str(world.nvram.with_name("other.fd")))
    with pytest.raises(LibvirtError, match="elsewhere"):
        prove(world, step)


def test_a_revert_whose_proof_fails_is_taken_back(world):
    """Somebody puts another NVRAM there when all has been exchanged and defined."""
    world.create("monday")
    world.fill(2)
    before = world.everything()
    spoiled = []

    def spoil():
        spoiled.append(Path(world.nvram).write_bytes(b"spoiled"))

    world.hypervisor.on("define", spoil, when="after", skip=1)
    with pytest.raises(ContentError):
        world.revert("monday")
    assert spoiled
    assert world.everything() == before
