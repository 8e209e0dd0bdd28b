"""Reverting and undoing a machine that runs: shut down first, started after, or left alone."""

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine import power
from vmsnap.engine.requests import Power
from vmsnap.errors import (
    DomainRunningError,
    HostFileChangedError,
    HostFileError,
    ImageError,
    LeftChangedError,
    LibvirtError,
    NotAvailableError,
    StateError,
)
from vmsnap.model import DomainState, HostFileType, Job

BOTH = Power(shut_down=True, start=True)
DOWN = Power(shut_down=True)


@pytest.fixture
def monday(world):
    """The machine as a group holds it; it has written since, and runs."""
    world.create("monday")
    found = world.machine()
    world.fill(2)
    world.hypervisor.start(world.uuid)
    world.hypervisor.calls.clear()
    return found


def called(world, *names):
    return [call[0] for call in world.hypervisor.calls if call[0] in names]


def state(world):
    return world.hypervisor.domain(world.uuid).state


def deaf(world, monkeypatch):
    """Let the guest not hear that it is asked to shut down, and nobody wait for it."""
    monkeypatch.setattr(world.hypervisor, "stop", lambda _id: None)
    monkeypatch.setattr(power, "POLL_SECONDS", 0)


def test_without_being_asked_to_a_domain_that_runs_is_not_shut_down(world, monday):
    """H30."""
    before = world.everything()
    with pytest.raises(DomainRunningError):
        world.revert("monday", power=Power(start=True))
    assert state(world) is DomainState.RUNNING
    assert world.everything() == before


def test_it_is_shut_down_reverted_and_started(world, monday):
    result = world.revert("monday", power=BOTH)
    assert called(world, "shut_down", "start") == ["shut_down", "start"]
    assert state(world) is DomainState.RUNNING
    assert world.machine() == monday
    assert "guest: asked to shut down first, within 120 s" in result.changes
    assert "domain: started afterwards" in result.changes


def test_without_start_it_stays_off(world, monday):
    world.revert("monday", power=DOWN)
    assert state(world) is DomainState.SHUT_OFF
    assert world.machine() == monday


def test_one_that_is_off_is_started_too(world, monday):
    world.hypervisor.stop(world.uuid)
    world.revert("monday", power=BOTH)
    assert called(world, "shut_down", "start") == ["start"]


def test_undo_can_do_the_same(world, monday):
    left = world.machine()
    world.revert("monday", power=BOTH)
    world.undo(power=BOTH)
    assert called(world, "shut_down", "start") == ["shut_down", "start"] * 2
    assert world.machine() == left


def test_a_guest_that_does_not_shut_down_is_left_alone(world, monday, monkeypatch):
    """Nothing is reverted, and it is said that the guest was asked."""
    before = world.everything()
    deaf(world, monkeypatch)
    with pytest.raises(DomainRunningError, match=r"was asked to shut down, but .* still running"):
        world.revert("monday", power=Power(shut_down=True, timeout_seconds=1))
    assert world.everything() == before
    assert called(world, "shut_down", "define") == ["shut_down"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_paused_guest_cannot_hear_and_is_refused_at_once(world, monday, dry_run):
    world.hypervisor.suspend(world.uuid)
    with pytest.raises(DomainRunningError, match="is paused") as caught:
        world.revert("monday", power=DOWN, dry_run=dry_run)
    assert caught.value.hint == f"virsh resume {world.name}"
    assert called(world, "shut_down") == []


def test_a_guest_that_shut_down_by_itself_meanwhile_is_as_good(world, monday):
    world.hypervisor.on("shut_down", lambda: world.hypervisor.stop(world.uuid))
    world.revert("monday", power=DOWN)
    assert world.machine() == monday


def test_a_guest_that_cannot_be_asked_is_left_alone(world, monday):
    world.hypervisor.fail("shut_down")
    with pytest.raises(LibvirtError):
        world.revert("monday", power=DOWN)
    assert state(world) is DomainState.RUNNING


def test_an_interrupted_wait_says_that_the_guest_was_asked(world, monday, monkeypatch):
    deaf(world, monkeypatch)
    world.hypervisor.on(
        "shut_down", lambda: world.hypervisor.on("domain", raising(KeyboardInterrupt()))
    )
    with pytest.raises(KeyboardInterrupt):
        world.revert("monday", power=BOTH)
    assert any("was asked to shut down" in text for text in world.ports.reporter.warnings)


def test_what_would_be_refused_costs_no_downtime(world, monday):
    """The group is checked, and all is planned, before the guest is asked."""
    group = world.rows()[0][0]
    layers = {layer.id: layer for layer in world.rows()[2]}
    frozen = layers[group.snapshots[0].layer_id].path
    frozen.write_bytes(frozen.read_bytes() + b"damage")
    with pytest.raises(NotAvailableError):
        world.revert("monday", power=BOTH)
    assert state(world) is DomainState.RUNNING
    assert called(world, "shut_down") == []


def test_a_block_job_is_refused_before_the_guest_is_asked(world, monday):
    world.hypervisor.machines[world.uuid].block_jobs = (Job("commit", "vda"),)
    with pytest.raises(StateError, match="busy with another job"):
        world.revert("monday", power=BOTH)
    assert called(world, "shut_down") == []


def test_host_files_that_the_guest_writes_while_it_is_planned_are_no_reason(world, monday):
    files = Failing(world.ports.host_files, "read", raising(HostFileChangedError("it moved")))
    world.with_ports(host_files=files).revert("monday", power=BOTH)
    assert world.machine() == monday


def test_a_dry_run_says_it_and_asks_nobody(world, monday):
    before = world.everything()
    result = world.revert("monday", power=BOTH, dry_run=True)
    assert "guest: asked to shut down first, within 120 s" in result.changes
    assert "domain: started afterwards" in result.changes
    assert not result.is_done
    assert (world.everything(), state(world)) == (before, DomainState.RUNNING)
    assert called(world, "shut_down", "start") == []


def test_after_a_revert_that_failed_it_is_started_again(world, monday):
    left = world.machine()
    files = Failing(world.ports.host_files, "exchange", raising(HostFileError("injected")))
    with pytest.raises(HostFileError):
        world.with_ports(host_files=files).revert("monday", power=BOTH)
    assert state(world) is DomainState.RUNNING
    assert world.machine() == left


def test_after_a_revert_that_failed_it_stays_off_unless_it_was_to_be_started(world, monday):
    files = Failing(world.ports.host_files, "exchange", raising(HostFileError("injected")))
    with pytest.raises(HostFileError):
        world.with_ports(host_files=files).revert("monday", power=DOWN)
    assert state(world) is DomainState.SHUT_OFF
    assert "stays off" in world.ports.reporter.warnings[-1]


def test_what_could_not_be_settled_is_never_started(world, monday):
    """H55: it is fenced."""
    catalog = Failing(world.ports.catalog, "ping", raising(ImageError("injected")))
    files = Failing(world.ports.host_files, "exchange", raising(HostFileError("injected")))
    with pytest.raises(LeftChangedError):
        world.with_ports(host_files=files, catalog=catalog).revert("monday", power=BOTH)
    assert called(world, "start") == []


def test_a_start_that_fails_leaves_the_revert_and_says_that_it_took_place(world, monday):
    world.hypervisor.fail("start")
    with pytest.raises(LibvirtError, match="was changed as asked, but does not start") as caught:
        world.revert("monday", power=BOTH)
    assert caught.value.vmsnap_changed is True
    assert world.machine() == monday
    assert world.journals() == ()


def test_a_start_again_that_fails_is_only_warned_of(world, monday):
    files = Failing(world.ports.host_files, "exchange", raising(HostFileError("injected")))
    world.hypervisor.fail("start")
    with pytest.raises(HostFileError):
        world.with_ports(host_files=files).revert("monday", power=BOTH)
    assert "stays off" in world.ports.reporter.warnings[-1]


def test_a_guest_that_writes_at_its_end_is_reverted_from_what_it_wrote(world, monday):
    """The plan is made anew when it is off: what it wrote last is kept for undo."""
    world.hypervisor.on("shut_down", lambda: world.touch_firmware(7))
    world.revert("monday", power=DOWN)
    world.undo()
    assert world.machine()[HostFileType.NVRAM.value] == bytes([7]) * 4096
