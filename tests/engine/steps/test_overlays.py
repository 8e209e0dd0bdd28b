"""Making overlays, switching to them, and dropping layers: each done, repeated and taken back."""

import subprocess

import pytest

from vmsnap.engine.steps.overlays import DropLayer, MakeOverlay, SwitchDisks
from vmsnap.errors import DomainRunningError, ImageError, InUseError, LibvirtError


@pytest.fixture
def make(world):
    image = world.disks["vda"]
    return MakeOverlay(image.with_name("over.qcow2"), image, "qcow2")


@pytest.fixture
def switch(world, make):
    return SwitchDisks({"vda": make.path}, {"vda": (make.backing, "qcow2")})


def do(run, *steps):
    for step in steps:
        run.facts.update(step.do(run) or {})


def test_an_overlay_is_made_and_taken_back(world, run, make):
    before = world.files()
    do(run, make)
    assert world.ports.images.info(make.path).backing_format == "qcow2"
    make.undo(run)
    make.undo(run)
    assert world.files() == before


def test_a_file_that_was_there_is_neither_overwritten_nor_removed(world, run, make):
    """H33."""
    make.path.write_bytes(b"mine")
    with pytest.raises(ImageError, match="exists"):
        do(run, make)
    make.undo(run)
    assert make.path.read_bytes() == b"mine"


def test_somebody_elses_image_of_that_name_is_left_alone(world, run, make):
    """H33: made between a kill and the recovery."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", make.path, "1M"], check=True)
    make.undo(run)
    assert make.path.exists()
    assert any(str(make.path) in text for text in world.ports.reporter.warnings)


def test_an_unfinished_overlay_of_a_kill_is_removed(run, make):
    """H31."""
    make.path.write_bytes(b"")
    make.undo(run)
    assert not make.path.exists()


def test_an_overlay_in_use_is_never_removed(run, make, switch):
    """H41."""
    do(run, make, switch)
    with pytest.raises(InUseError):
        make.undo(run)
    assert make.path.exists()


def test_an_overlay_that_was_written_to_is_left_in_place(world, run, make):
    """H44."""
    do(run, make)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 0 64k", make.path], check=True)
    make.undo(run)
    assert make.path.exists()
    assert any(str(make.path) in text for text in world.ports.reporter.warnings)


def test_disks_are_switched_and_switched_back(world, run, make, switch):
    before = world.everything()
    do(run, make, switch)
    assert world.active("vda") == make.path
    switch.undo(run)
    make.undo(run)
    assert world.everything() == before


def test_a_switch_that_never_began_is_taken_back_by_nothing(world, run, make, switch):
    before = world.definition()
    world.hypervisor.calls.clear()
    switch.undo(run)
    assert world.definition() == before
    assert "define" not in {call[0] for call in world.hypervisor.calls}


def test_what_libvirt_says_is_believed_less_than_what_the_domain_uses(world, run, make, switch):
    """H24."""
    do(run, make)
    world.hypervisor.fail("switch_disks", when="after")
    do(run, switch)
    world.hypervisor.machines[world.uuid].xml = world.ports.definitions.with_sources(
        world.hypervisor.machines[world.uuid].xml, {"vda": (make.backing, "qcow2")}
    )
    world.hypervisor.fail("switch_disks", when="before")
    with pytest.raises(LibvirtError, match="injected"):
        do(run, switch)


def test_a_switch_that_did_nothing_without_an_error_is_an_error(world, run, make, switch):
    """H24."""
    do(run, make)
    world.hypervisor.switch_disks = lambda _domain, _overlays: None
    with pytest.raises(LibvirtError, match="vda"):
        do(run, switch)


def test_a_machine_that_was_started_meanwhile_is_seen_after_the_switch(world, run, make, switch):
    """H26."""
    do(run, make)
    world.hypervisor.on("switch_disks", lambda: world.hypervisor.start(world.uuid))
    with pytest.raises(DomainRunningError):
        do(run, switch)


def test_what_was_written_after_a_switch_is_merged_when_it_is_taken_back(world, run, make, switch):
    """H44."""
    do(run, make, switch)
    world.write("vda", 7, sector=2)
    read = world.read(make.path)
    switch.undo(run)
    make.undo(run)
    assert world.active("vda") == make.backing
    assert world.read(make.backing) == read
    assert not make.path.exists()


def test_an_administrators_edit_survives_switching_back(world, run, make, switch):
    """H58."""
    do(run, make, switch)
    world.edit("262144", "131072")
    world.hypervisor.rename(world.uuid, "vmsnap-test-renamed")
    switch.undo(run)
    assert "131072" in world.definition()
    assert world.hypervisor.domain(world.uuid).name == "vmsnap-test-renamed"


def test_a_layer_is_dropped_unless_it_is_in_use(world, run, make, switch):
    """H41."""
    do(run, make, switch)
    drop = DropLayer(make.path)
    do(run, drop)
    assert make.path.exists()
    switch.undo(run)
    do(run, drop, drop)
    assert not make.path.exists()


def test_an_undefined_domain_keeps_nothing_from_being_taken_back(world, run, make, switch):
    do(run, make, switch)
    world.hypervisor.undefine(world.uuid)
    switch.undo(run)
    make.undo(run)
    assert not make.path.exists()
