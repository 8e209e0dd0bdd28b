"""Switching disks at one proven instant: running, paused or off, and taken back from anywhere."""

from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest

from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.errors import HostFileChangedError, ImageError, InUseError, LibvirtError
from vmsnap.model import DomainState, HostFileType
from vmsnap.ports import GuestStop, HostFileSpec

WHEN = ("before", "after")
STOPS = ("suspend", "switch_disks", "resume")
ENDS = (LibvirtError("injected"), KeyboardInterrupt())


def do(run, *steps):
    for step in steps:
        run.facts.update(step.do(run) or {})


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
    world.hypervisor.switch_disks = lambda _domain, _overlays, _targets: 0.0
    with pytest.raises(LibvirtError, match="vda"):
        do(run, switch)


def test_a_machine_that_was_started_meanwhile_is_seen_after_the_switch(world, run, make, switch):
    """H26."""
    do(run, make)
    world.hypervisor.on("switch_disks", lambda: world.hypervisor.start(world.uuid))
    do(run, switch)
    assert run.facts["instant"]["domain_state"] == "running"
    assert run.facts["instant"]["proof"] == "unchanged"


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


# --- a running domain -----------------------------------------------------------------------------


@pytest.fixture
def nvram(world):
    return HostFileSpec(HostFileType.NVRAM, world.nvram)


@pytest.fixture
def running(world):
    """Let the machine run, with a guest agent."""
    world.hypervisor.machines[world.uuid].agent = "connected"
    world.hypervisor.start(world.uuid)
    world.hypervisor.calls.clear()
    return world


def calls(world):
    names = {"suspend", "resume", "freeze", "thaw", "switch_disks"}
    return [call[0] for call in world.hypervisor.calls if call[0] in names]


def state(world):
    return world.hypervisor.machines[world.uuid].state


def test_a_running_guest_is_not_stopped_while_its_host_files_keep_still(
    running, run, make, switch, nvram
):
    switch = replace(switch, was=DomainState.RUNNING, host_files=(nvram,))
    do(run, make, switch)
    assert calls(running) == ["switch_disks"]
    assert run.facts["instant"] == {
        "proof": "unchanged",
        "domain_state": "running",
        "stood_still_ms": 25.0,
        "is_quiesced": False,
        "frozen_ms": None,
    }
    assert run.readings[HostFileType.NVRAM].content == running.nvram.read_bytes()
    assert "backingStore" not in running.hypervisor.machines[running.uuid].xml, "H53"


def test_host_files_that_move_meanwhile_end_it(running, run, make, switch, nvram):
    """H16: disks of one moment and NVRAM of another are no group."""
    switch = replace(switch, was=DomainState.RUNNING, host_files=(nvram,))
    do(run, make)
    running.hypervisor.on("switch_disks", lambda: running.nvram.write_bytes(b"moved"), when="after")
    with pytest.raises(HostFileChangedError):
        do(run, switch)
    running.hypervisor.on_merge = lambda _order: None
    switch.undo(run)
    assert running.active("vda") == make.backing


def test_a_suspended_guest_is_resumed_and_its_stand_still_measured(running, run, make, switch):
    switch = replace(switch, was=DomainState.RUNNING, suspends=True)
    do(run, make, switch)
    assert calls(running) == ["suspend", "switch_disks", "resume"]
    assert state(running) is DomainState.RUNNING
    assert run.facts["instant"]["proof"] == "suspended"
    assert run.facts["instant"]["stood_still_ms"] == pytest.approx(1)
    assert running.ports.watcher.told == [
        ("watch", running.uuid),
        ("stopping", "suspended"),
        ("going", "suspended"),
        ("end", running.uuid),
    ]


@pytest.mark.parametrize("failure", list(product(STOPS, WHEN, ENDS)))
def test_no_failure_leaves_a_guest_suspended(running, run, make, switch, failure):
    """H29: neither an error nor a signal; what could not be resumed is left to the watcher."""
    switch = replace(switch, was=DomainState.RUNNING, suspends=True)
    do(run, make)
    method, when, error = failure
    running.hypervisor.fail(method, error, when=when)
    with suppress(LibvirtError, KeyboardInterrupt):
        do(run, switch)
    is_left = [watch.standing for watch in running.ports.watcher.left]
    assert state(running) is DomainState.RUNNING or is_left == [{GuestStop.SUSPENDED}]
    run.facts.pop("instant", None)
    running.hypervisor.on_merge = lambda _order: None
    switch.undo(run)
    assert state(running) is DomainState.RUNNING


def test_a_guest_that_was_paused_before_stays_paused(running, run, make, switch):
    running.hypervisor.suspend(running.uuid)
    running.hypervisor.calls.clear()
    switch = replace(switch, was=DomainState.PAUSED, suspends=True)
    do(run, make, switch)
    assert calls(running) == ["switch_disks"]
    assert state(running) is DomainState.PAUSED
    assert run.facts["instant"]["proof"] == "suspended"
    assert run.facts["instant"]["stood_still_ms"] == 0
    switch.undo(run)
    assert state(running) is DomainState.PAUSED


def test_file_systems_are_frozen_before_and_thawed_after(running, run, make, switch):
    switch = replace(switch, was=DomainState.RUNNING, suspends=True, freeze_seconds=7)
    do(run, make, switch)
    assert calls(running) == ["freeze", "suspend", "switch_disks", "resume", "thaw"]
    assert run.facts["instant"]["is_quiesced"]
    assert run.facts["instant"]["frozen_ms"] > run.facts["instant"]["stood_still_ms"]


@pytest.mark.parametrize("failure", list(product(["freeze", "switch_disks", "thaw"], WHEN, ENDS)))
def test_no_failure_leaves_file_systems_frozen(running, run, make, switch, failure):
    """H30: thawed whatever happens, also after a freeze that seemed to fail."""
    switch = replace(switch, was=DomainState.RUNNING, freeze_seconds=7)
    do(run, make)
    method, when, error = failure
    running.hypervisor.fail(method, error, when=when)
    with suppress(LibvirtError, KeyboardInterrupt):
        do(run, switch)
    machine = running.hypervisor.machines[running.uuid]
    is_left = [watch.standing for watch in running.ports.watcher.left]
    assert not machine.is_frozen or is_left == [{GuestStop.FROZEN}]
    run.facts.pop("instant", None)
    running.hypervisor.on_merge = lambda _order: None
    switch.undo(run)
    assert not machine.is_frozen


def test_a_freeze_that_may_fail_is_said_and_gone_without(running, run, make, switch):
    switch = replace(switch, was=DomainState.RUNNING, freeze_seconds=7, must_freeze=False)
    do(run, make)
    running.hypervisor.fail("freeze")
    do(run, switch)
    assert not run.facts["instant"]["is_quiesced"]
    assert any("going on without" in text for text in running.ports.reporter.warnings)


def test_a_layer_that_somebody_else_put_on_a_disk_is_not_passed_over(running, run, make, switch):
    """H26: between the plan and the switch."""
    do(run, make)
    other = make.path.with_name("other.qcow2")
    running.ports.images.create_overlay(other, make.backing, "qcow2")
    running.hypervisor.switch_disks(running.uuid, {"vda": other})
    with pytest.raises(InUseError, match="somebody else"):
        do(run, switch)
    switch.undo(run)
    assert running.active("vda") == other


def test_a_layer_put_on_at_the_very_moment_is_seen_and_kept(running, run, make, switch):
    """H26: between the last look and the switch; only vmsnap's own layer is taken back."""
    do(run, make)
    other = make.path.with_name("other.qcow2")
    running.ports.images.create_overlay(other, make.backing, "qcow2")
    running.hypervisor.on(
        "switch_disks", lambda: running.hypervisor.switch_disks(running.uuid, {"vda": other})
    )
    with pytest.raises(LibvirtError, match="at the same time"):
        do(run, replace(switch, was=DomainState.RUNNING))
    merged = []
    running.hypervisor.on_merge = merged.append
    switch.undo(run)
    assert running.active("vda") == other
    assert [order.base for order in merged] == [other]


def test_an_image_that_changes_under_a_domain_that_is_off_ends_it(world, run, make, switch):
    facts = world.ports.images.facts(make.backing)
    do(run, make)
    world.write("vda", 9)
    with pytest.raises(ImageError, match="changed in the meantime"):
        do(run, replace(switch, layers=(LayerWitness(make.backing, facts),)))
