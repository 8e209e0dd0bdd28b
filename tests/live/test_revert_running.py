"""Reverting a real guest that runs: shut down first, started after, from the group's bytes."""

import pytest
from livebed import guest
from livebed.machine import virsh

pytestmark = pytest.mark.live

MONDAY = dict.fromkeys(("secret", "variable", "vda", "vdb"), "monday")


def test_a_guest_is_shut_down_reverted_and_boots_to_the_groups_values(written_machine, vmsnap):
    """H30."""
    web = written_machine
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.boot_and_stay("destroy")
    refused = vmsnap("group", "revert", web.name, "monday", status=14)
    assert refused.code == "domain_running"
    assert web.state == "running"

    # What the next boot is ordered to do; the guest that runs has its own orders in memory.
    guest.give_orders(web.folder, ("read",))
    vmsnap("group", "revert", web.name, "monday", "--shutdown", "--start")
    web._wait_until_off(120)
    assert web.found() == MONDAY


def test_a_guest_that_does_not_hear_runs_on_and_nothing_is_reverted(machine, vmsnap):
    """Without a system to boot, nobody sees the power button; paused, it cannot be pressed."""
    web = machine()
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.start("--paused")
    before = web.disks, web.definition()
    words = ("group", "revert", web.name, "monday", "--shutdown", "--shutdown-timeout", "2")
    assert vmsnap(*words, status=14).code == "domain_running"
    assert web.state == "paused"
    virsh("resume", web.id)
    assert vmsnap(*words, status=14).code == "domain_running"
    assert web.state == "running"
    assert (web.disks, web.definition()) == before
