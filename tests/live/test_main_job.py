"""The main job on a real guest: what was sealed, set and written is there again, all of it."""

import pytest
from livebed.machine import virsh

pytestmark = pytest.mark.live

MONDAY = {"secret": "monday", "variable": "monday", "vda": "monday", "vdb": "monday"}
DESTROYED = {"secret": "-", **dict.fromkeys(("variable", "vda", "vdb"), "destroyed")}


def names(vmsnap, domain: str) -> list[str]:
    """Return the names of a domain's groups."""
    return [group["name"] for group in vmsnap("group", "list", domain).data["groups"]]


def is_available(vmsnap, domain: str, group: str) -> bool:
    """Return what `group check` says of one group."""
    (verdict,) = vmsnap("group", "check", domain, group).data["groups"]
    return verdict["available"]


def test_revert_brings_a_destroyed_guest_back_and_undo_takes_that_back(written_machine, vmsnap):
    web = written_machine
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert web.boot("destroy", "read") == DESTROYED
    destroyed_files, destroyed_disks = web.host_files(), web.disks

    assert is_available(vmsnap, web.name, "monday")
    vmsnap("group", "revert", web.name, "monday")
    assert web.boot("read") == MONDAY

    vmsnap("undo", web.name)
    assert web.host_files() == destroyed_files
    assert web.disks == destroyed_disks
    assert web.boot("read") == DESTROYED


def test_restore_brings_secret_and_variable_back_and_delete_leaves_the_original_files(
    written_machine, vmsnap
):
    web = written_machine
    there_before = set(web.folder.iterdir())
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.boot("destroy")

    vmsnap("backup", "restore", web.name, "monday")
    restored = {**DESTROYED, "secret": "monday", "variable": "monday"}
    assert web.boot("read") == restored

    vmsnap("group", "delete", web.name, *names(vmsnap, web.name), "--yes")
    assert names(vmsnap, web.name) == []
    assert web.disks == web.originals
    assert set(web.folder.iterdir()) - {web.console} == there_before
    assert web.boot("read") == restored


def test_a_domain_boots_after_a_revert_although_virsh_left_backing_stores_in_it(
    written_machine, vmsnap
):
    """H53: a <backingStore> in the inactive definition overrides the images' own headers."""
    web = written_machine
    snapshot = ("snapshot-create-as", web.id, "--disk-only", "--atomic", "--no-metadata")
    virsh(*snapshot, "off")
    web.start("--paused")
    virsh("blockcommit", web.id, "vda", "--active", "--pivot", "--wait")
    virsh(*snapshot, "live", "--diskspec", "vda,snapshot=no")
    web.destroy()
    left = web.definition()
    # Of the live snapshot, on vdb; libvirt 9 leaves an empty one of the pivot on vda too.
    assert "<backingStore type=" in left

    vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert web.boot("destroy", "read") == DESTROYED
    vmsnap("group", "revert", web.name, "monday")
    assert "<backingStore" not in web.definition()
    assert web.boot("read") == MONDAY
