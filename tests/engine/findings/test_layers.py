"""Layers that are not as they are recorded, each made so by hand."""

import subprocess

import pytest
from engine.conftest import qemu_img
from engine.patient import codes, counting, mended, only
from fakes.hypervisor import HOST_ID

from vmsnap.engine.findings.finding import Cure, Severity
from vmsnap.model import CatalogChange

WITHOUT_DISKS = "<domain type='qemu'><name>x</name><devices/></domain>"


@pytest.fixture
def grouped(world):
    """Two groups on each other."""
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    world.fill(3)
    return world


def layers(world, target="vda"):
    """The recorded layers of a disk, the original first."""
    found = world.ports.catalog.layers(HOST_ID, world.uuid)
    return [layer for layer in found if layer.target == target]


def frozen(world, name, target="vda"):
    """The layer that a group froze of a disk."""
    (group,) = (group for group in world.ports.catalog.groups() if group.name == name)
    return next(item for item in layers(world) if item.id == group.snapshot(target).layer_id)


def test_layer_missing_and_image_missing_name_the_file(grouped):
    middle = layers(grouped)[1]
    middle.path.unlink()
    found = only(grouped, "layer_missing")
    assert codes(grouped) == ["image_missing", "layer_missing"]
    assert found.message == f"disk vda: layer '{middle.path}' is missing"
    assert found.command == f"vmsnap group check {grouped.name}"
    assert (found.kind.severity, found.kind.cure) == (Severity.DANGER, Cure.BY_HAND)
    assert str(middle.path) in only(grouped, "image_missing").message


def test_image_missing_of_a_disk_without_groups(world):
    world.disks["vdb"].unlink()
    found = only(world, "image_missing")
    assert codes(world) == ["image_missing"]
    assert found.command == f"virsh domblklist --inactive {world.name}"


def test_layer_unreadable_says_why(grouped):
    middle = layers(grouped)[1]
    middle.path.write_bytes(b"no qcow2 at all")
    assert {"layer_unreadable", "image_unreadable"} <= set(codes(grouped))
    assert "image_missing" not in codes(grouped)
    assert str(middle.path) in only(grouped, "layer_unreadable").message
    assert only(grouped, "layer_unreadable").command == f"vmsnap group check {grouped.name}"


def test_image_unreadable_and_image_missing_are_ended_by_a_revert(grouped):
    """The newest group that holds the disk whole."""
    top = layers(grouped)[-1]
    top.path.write_bytes(b"no qcow2 at all")
    command = f"vmsnap group revert {grouped.name} tuesday"
    assert only(grouped, "image_unreadable").command == command
    top.path.unlink()
    assert only(grouped, "image_missing").command == command
    grouped.revert("tuesday")
    assert "image_missing" not in codes(grouped)
    layers(grouped)[1].path.unlink()
    assert only(grouped, "image_missing").command == f"vmsnap group revert {grouped.name} monday"


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_layer_that_one_group_alone_needs_ends_with_it(grouped, damage):
    result = grouped.revert("monday")
    grouped.delete(result.safety.name)
    leaf = frozen(grouped, "tuesday")
    if damage == "missing":
        leaf.path.unlink()
    else:
        write = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 0 64K", str(leaf.path)]
        subprocess.run(write, check=True)
    found = only(grouped, f"layer_{damage}")
    assert found.command == f"vmsnap group delete {grouped.name} tuesday"
    grouped.delete("tuesday")
    assert f"layer_{damage}" not in codes(grouped)


def test_layer_changed_after_it_was_frozen(grouped):
    original = layers(grouped)[0]
    command = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 0 64K", str(original.path)]
    subprocess.run(command, check=True)
    assert codes(grouped) == ["layer_changed"]
    assert str(original.path) in only(grouped, "layer_changed").message


def test_chain_differs_from_the_recorded_one(grouped):
    original, _, top = layers(grouped)
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", original.path, top.path)
    found = only(grouped, "chain_differs")
    assert codes(grouped) == ["chain_differs"]
    assert f"'{top.path}' stands on '{original.path}'" in found.message


def test_chain_differs_in_a_running_qemu(grouped):
    grouped.hypervisor.start(grouped.uuid)
    assert codes(grouped) == []
    machine = grouped.hypervisor.machines[grouped.uuid]
    original, _, top = layers(grouped)
    machine.live_chains["vda"] = (top.path, original.path)
    assert (
        f"QEMU has '{original.path}' open below '{top.path}'"
        in only(grouped, "chain_differs").message
    )


def test_disk_on_unknown_layer_of_another_database(grouped):
    top = layers(grouped)[-1]
    grouped.ports.catalog.apply(CatalogChange(removed_layers=(top.id,)))
    found = only(grouped, "disk_on_unknown_layer")
    assert codes(grouped) == ["disk_on_unknown_layer", "identity_stale"]
    assert str(top.path) in found.message
    assert found.command == f"vmsnap db rebuild {grouped.name}"


def test_disk_on_frozen_layer_is_dangerous_before_a_byte_is_written(grouped):
    middle, top = layers(grouped)[1:]
    grouped.edit(f"file='{top.path}'", f"file='{middle.path}'")
    assert codes(grouped) == ["disk_on_frozen_layer"]
    assert str(middle.path) in only(grouped, "disk_on_frozen_layer").message


def test_foreign_layer_is_taken_in_by_the_next_create(grouped):
    top = layers(grouped)[-1]
    made = grouped.stacked(top.path, "by-hand")
    grouped.edit(f"file='{top.path}'", f"file='{made}'")
    found = only(grouped, "foreign_layer")
    assert found.command == f"vmsnap snapshot create {grouped.name}"
    grouped.create("wednesday")
    assert codes(grouped) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666])
def test_overlay_readable_by_others_becomes_private(grouped, mode):
    """H25."""
    top = layers(grouped)[-1]
    top.path.chmod(mode)
    found = only(grouped, "overlay_readable")
    assert codes(grouped) == ["overlay_readable"]
    assert f"{mode:04o}" in found.message
    assert found.command == f"chmod 0600 {top.path}"
    mended(grouped, found)
    assert codes(grouped) == []
    assert top.path.stat().st_mode & 0o777 == 0o600


def test_an_original_image_may_have_any_mode(grouped):
    grouped.disks["vda"].chmod(0o666)
    assert codes(grouped) == []


def test_chain_deep_and_chain_too_deep_with_the_limits_of_create(grouped):
    """H32."""
    grouped.hypervisor.depth = 3
    assert codes(grouped) == ["chain_deep", "chain_deep"]
    grouped.hypervisor.depth = 2
    assert codes(grouped) == ["chain_too_deep", "chain_too_deep"]
    assert "3 layers; libvirt starts 2 at most" in counting(grouped)[0].message
    assert counting(grouped)[0].command == f"vmsnap group delete {grouped.name} monday"
    grouped.delete("monday")
    assert codes(grouped) == ["chain_deep", "chain_deep"]
    grouped.hypervisor.depth = 200
    assert codes(grouped) == []


def test_a_layer_of_a_detached_disk_is_no_finding(grouped):
    machine = grouped.hypervisor.machines[grouped.uuid]
    machine.xml = grouped.ports.definitions.with_disks_of(machine.xml, WITHOUT_DISKS, ["vdb"])
    assert codes(grouped) == []
