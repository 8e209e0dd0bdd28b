"""The fence and what is defined behind it: each done, repeated and taken back."""

import pytest

from vmsnap.engine.steps.definition import (
    Define,
    Fence,
    FenceManagedSave,
    LiftFence,
    RemoveManagedSave,
)
from vmsnap.errors import DomainRunningError, LibvirtError, StateError

MEMORY, LESS = "262144", "131072"


def is_fenced(world):
    return world.hypervisor.domain(world.uuid).definition.is_fenced


def xml(world):
    return world.hypervisor.machines[world.uuid].xml


def do(run, *steps):
    for step in steps:
        run.facts.update(step.do(run) or {})


@pytest.fixture
def define(world):
    """A definition with other disks and more memory."""
    other = world.stacked(world.disks["vda"], "other")
    new = world.ports.definitions.with_sources(
        xml(world).replace(MEMORY, "524288"), {"vda": (other, "qcow2")}
    )
    return Define(new, xml(world), {"vda": (world.disks["vda"], "qcow2")})


def test_a_fenced_machine_cannot_be_started_and_a_lifted_one_is_as_before(world, run):
    """H55."""
    before = world.definition()
    do(run, Fence(), Fence())
    with pytest.raises(LibvirtError, match="interrupted-run-vmsnap-recover"):
        world.hypervisor.start(world.uuid)
    do(run, LiftFence(), LiftFence())
    assert world.definition() == before
    world.hypervisor.start(world.uuid)


def test_a_running_machine_is_not_fenced(world, run):
    """H35."""
    world.hypervisor.start(world.uuid)
    with pytest.raises(DomainRunningError):
        do(run, Fence())
    assert not is_fenced(world)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_machine_started_while_it_is_fenced_loses_its_fence_again(world, run, when):
    """H26: looked at after the define, for libvirt defines under a running machine."""
    if when == "before":
        world.hypervisor.on("define", lambda: world.hypervisor.start(world.uuid))
    else:
        machine = world.hypervisor.machines[world.uuid]

        def start():
            fenced, machine.xml = machine.xml, world.ports.definitions.without_fence(machine.xml)
            world.hypervisor.start(world.uuid)
            machine.xml = fenced

        world.hypervisor.on("define", start, when="after")
    with pytest.raises(DomainRunningError):
        do(run, Fence())
    assert not is_fenced(world)


def test_an_edit_behind_the_fence_survives_its_lifting(world, run):
    """H58."""
    do(run, Fence())
    world.edit(MEMORY, LESS)
    Fence().undo(run)
    assert LESS in world.definition()
    assert not is_fenced(world)


def test_a_definition_is_exchanged_behind_the_fence_and_taken_back(world, run, define):
    before = world.definition()
    do(run, Fence(), define)
    assert is_fenced(world)
    assert "524288" in world.definition()
    define.undo(run)
    define.undo(run)
    assert is_fenced(world)
    Fence().undo(run)
    assert world.definition() == before


def test_without_the_fence_nothing_is_defined(world, run, define):
    """H55."""
    before = xml(world)
    with pytest.raises(StateError, match="fence"):
        do(run, define)
    assert xml(world) == before


def test_todays_name_is_kept(world, run, define):
    """H58."""
    do(run, Fence())
    world.hypervisor.rename(world.uuid, "vmsnap-test-renamed")
    do(run, define)
    assert world.hypervisor.domain(world.uuid).name == "vmsnap-test-renamed"
    define.undo(run)
    assert world.hypervisor.domain(world.uuid).name == "vmsnap-test-renamed"


@pytest.mark.parametrize("is_defined", [False, True], ids=["before", "after"])
def test_an_edit_survives_taking_it_back_and_the_disks_go_back(world, run, define, is_defined):
    """H58: made before or after the new definition was defined."""
    do(run, Fence())
    if is_defined:
        do(run, define)
    world.edit("hush", "whisper")
    define.undo(run)
    assert "whisper" in world.definition()
    assert world.active("vda") == world.disks["vda"]


def test_a_define_that_was_not_recorded_is_taken_back(world, run, define):
    """H44: the kill came between libvirt's answer and the journal."""
    before = world.definition()
    do(run, Fence())
    define.do(run)
    run.facts.clear()
    define.undo(run)
    Fence().undo(run)
    assert world.definition() == before


def test_a_disk_that_was_detached_meanwhile_does_not_stop_the_way_back(world, run, define):
    """H58."""
    do(run, Fence(), define)
    world.hypervisor.machines[world.uuid].xml = world.ports.definitions.with_disks_of(
        xml(world), "<domain/>", ["vda"]
    )
    define.undo(run)
    assert list(world.hypervisor.domain(world.uuid).active_paths) == ["vdb"]


def test_nothing_is_taken_back_under_a_running_machine(world, run, define):
    """H35: somebody took the fence away by hand."""
    do(run, Fence(), define)
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    world.hypervisor.start(world.uuid)
    before = machine.xml
    with pytest.raises(DomainRunningError):
        define.undo(run)
    assert machine.xml == before


def test_what_is_defined_names_no_backing_store(world, run, define):
    """H53."""
    chain = "<backingStore type='file'><source file='/old'/></backingStore><target dev='vdb'"
    world.edit("<target dev='vdb'", chain)
    do(run, Fence())
    assert "backingStore" not in xml(world)
    world.edit("<target dev='vdb'", chain)
    do(run, LiftFence())
    assert "backingStore" not in xml(world)


def test_a_saved_image_is_fenced_given_back_and_removed(world, run):
    """H27: libvirt resumes it with the definition inside, which knows no other fence."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    saved = world.hypervisor.machines[world.uuid].saved_xml
    fence = FenceManagedSave(saved)
    do(run, fence, fence)
    with pytest.raises(LibvirtError, match="interrupted-run-vmsnap-recover"):
        world.hypervisor.start(world.uuid)
    fence.undo(run)
    assert world.hypervisor.machines[world.uuid].saved_xml == saved
    do(run, RemoveManagedSave(), RemoveManagedSave())
    fence.undo(run)
    assert not world.hypervisor.domain(world.uuid).has_managed_save


def test_an_undefined_domain_keeps_nothing_from_being_taken_back(world, run, define):
    do(run, Fence(), define)
    world.hypervisor.undefine(world.uuid)
    define.undo(run)
    Fence().undo(run)
    do(run, LiftFence())
    assert world.hypervisor.machines == {}


def test_nothing_shows_the_definitions(world, define):
    """H50."""
    assert "hush" not in repr(define)
    assert "hush" not in repr(FenceManagedSave(xml(world)))
