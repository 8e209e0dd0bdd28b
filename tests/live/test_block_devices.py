"""Disks on block devices and on several file systems, with loop devices: LVM's look the same."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from livebed.machine import IMAGES
from servers import loop

pytestmark = pytest.mark.live

LINKS = Path("/dev/vmsnap-test")
MIB = 1024 * 1024


@pytest.fixture
def device(tmp_path):
    """A block device of 32 MiB, reached by a link below /dev as LVM's are."""
    image = tmp_path / "device.img"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    made = loop.attach(image)
    LINKS.mkdir(exist_ok=True)
    link = LINKS / "lv"
    link.symlink_to(made)
    yield link
    link.unlink()
    loop.detach(made)


@pytest.fixture
def overlays():
    """A folder for overlays."""
    folder = IMAGES / "overlays"
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def disk(device, format_="raw"):
    return (
        f"<disk type='block' device='disk'><driver name='qemu' type='{format_}' cache='none'/>"
        f"<source dev='{device}'/><target dev='vdb' bus='virtio'/></disk>"
    )


def with_device(machine, device, format_="raw"):
    """Return a machine whose second disk is a block device."""
    if format_ == "qcow2":
        run("qemu-img", "create", "-q", "-f", "qcow2", device, "16M")
    return machine(firmware="bios", tpm=None, disks=("qcow2",), devices=disk(device, format_))


def run(*command):
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=60)
    return done.stdout.decode()


def write(path, value):
    format_ = "qcow2" if path.suffix == ".qcow2" else "raw"
    run("qemu-io", "-f", format_, "-c", f"write -q -P {value} 0 1M", path)


def content(path, format_, folder):
    raw = folder / "content.raw"
    run("qemu-img", "convert", "-U", "-f", format_, "-O", "raw", path, raw)
    return hashlib.sha256(raw.read_bytes()).hexdigest()


def second_disk(machine):
    """Return the lines of the second disk's definition that say where it is."""
    xml = machine.definition().split("<target dev='vdb'")[0]
    return "<disk" + xml.rsplit("<disk", 1)[1]


def starts(machine):
    machine.start("--paused")
    machine.destroy()


def test_a_block_device_needs_a_folder_for_its_overlay(machine, device, vmsnap):
    web = with_device(machine, device)
    before = web.definition()
    refused = vmsnap("snapshot", "create", web.name, status=14)
    assert "--overlay-dir" in refused.document["errors"][0]["hint"]
    assert web.definition() == before
    # Excluded by name, it is in nobody's way.
    vmsnap("snapshot", "create", web.name, "--exclude", "vdb", "--dry-run")
    shown = vmsnap("vm", "show", web.name, as_json=False).stdout
    assert "would be taken: its overlay needs --overlay-dir" in shown


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
def test_the_whole_life_of_a_group_on_a_block_device(
    machine, device, overlays, vmsnap, tmp_path, format_
):
    """H59: the device is written to by a commit, and never unlinked."""
    web = with_device(machine, device, format_)
    original = second_disk(web)
    create = ("snapshot", "create", web.name, "--overlay-dir", str(overlays), "--name")
    vmsnap(*create, "monday")
    monday = content(device, format_, tmp_path)
    overlay = web.disks["vdb"]
    assert overlay.parent == web.disks["vda"].parent == overlays
    assert stat.S_IMODE(overlay.stat().st_mode) == 0o600
    (info,) = [
        line for line in run("qemu-img", "info", overlay).splitlines() if "file: /dev" in line
    ]
    assert info.split(": ")[1].split(" ")[0] == str(device)
    starts(web)

    write(overlay, 7)
    friday = content(overlay, "qcow2", tmp_path)
    # Without the folder: beside the layer that is frozen now, which is a file.
    vmsnap("snapshot", "create", web.name, "--name", "friday")
    assert web.disks["vdb"].parent == overlays
    vmsnap("group", "check", web.name)

    vmsnap("group", "revert", web.name, "monday")
    assert web.disks["vdb"].parent == overlays
    assert content(web.disks["vdb"], "qcow2", tmp_path) == monday
    starts(web)
    vmsnap("undo", web.name)
    assert content(web.disks["vdb"], "qcow2", tmp_path) == friday
    starts(web)

    groups = [group["name"] for group in vmsnap("group", "list", web.name).data["groups"]]
    vmsnap("group", "delete", web.name, *groups, "--yes")
    assert second_disk(web) == original
    assert device.is_block_device()
    assert content(device, format_, tmp_path) == friday
    assert list(overlays.iterdir()) == []
    starts(web)


def test_a_running_machine_on_a_block_device(machine, device, overlays, vmsnap, tmp_path):
    web = with_device(machine, device)
    original = second_disk(web)
    web.start("--paused")
    vmsnap("snapshot", "create", web.name, "--overlay-dir", str(overlays), "--name", "monday")
    assert web.state == "paused"
    web.destroy()
    write(web.disks["vdb"], 9)
    friday = content(web.disks["vdb"], "qcow2", tmp_path)
    web.start("--paused")
    vmsnap("group", "delete", web.name, "monday", "--yes")
    assert web.state == "paused"
    assert second_disk(web) == original
    web.destroy()
    assert content(device, "raw", tmp_path) == friday
    assert list(overlays.iterdir()) == []
    starts(web)


def test_the_same_device_by_another_name_is_in_use(machine, device, overlays, vmsnap):
    """H28: by the node that the link leads to, and by another node of the same device."""
    web = with_device(machine, device)
    node = LINKS / "node"
    os.mknod(node, 0o660 | stat.S_IFBLK, device.stat().st_rdev)
    try:
        for name in (device.resolve(), node):
            other = with_device(machine, name)
            refused = vmsnap(
                "snapshot", "create", web.name, "--overlay-dir", str(overlays), status=14
            )
            assert other.name in refused.document["errors"][0]["message"]
            other.remove()
    finally:
        node.unlink()
    vmsnap("snapshot", "create", web.name, "--overlay-dir", str(overlays), "--dry-run")


@pytest.mark.parametrize(
    ("folder", "status", "word"),
    [
        ("overlays", 2, "absolute"),
        ("/nowhere/overlays", 14, "does not exist"),
        ("/dev/vmsnap-test", 14, "below /dev"),
        ("/var/lib/libvirt/images/closed/in", 14, "cannot enter '/var/lib/libvirt/images/closed'"),
    ],
)
def test_a_folder_that_overlays_cannot_live_in_is_refused(
    machine, device, vmsnap, folder, status, word
):
    web = with_device(machine, device)
    closed = IMAGES / "closed"
    (closed / "in").mkdir(parents=True)
    closed.chmod(0o700)
    try:
        refused = vmsnap("snapshot", "create", web.name, "--overlay-dir", folder, status=status)
    finally:
        shutil.rmtree(closed)
    assert word in refused.document["errors"][0]["message"]


def test_a_device_that_is_named_outside_of_dev_is_refused_by_name(machine, device, vmsnap):
    """Its definition could not be told from a file's when it is given back."""
    link = IMAGES / "lv"
    link.symlink_to(device.resolve())
    try:
        web = with_device(machine, link)
        refused = vmsnap("snapshot", "create", web.name, "--overlay-dir", str(IMAGES), status=14)
    finally:
        link.unlink()
    assert "is not below /dev" in refused.document["errors"][0]["message"]


@pytest.fixture
def file_systems():
    """Two file systems of their own, of which the second is nearly full."""
    folders = [IMAGES / name for name in ("roomy", "full")]
    for folder, size in zip(folders, ("64m", "2m"), strict=True):
        folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={size},mode=711", "tmpfs", folder)
    yield folders
    for folder in folders:
        run("umount", folder)
        folder.rmdir()


def test_disks_on_several_file_systems_have_their_overlays_beside_them(
    machine, file_systems, vmsnap
):
    """H31: one that is full refuses the create before anything is changed."""
    web = machine(firmware="bios", tpm=None, disks=("qcow2", "qcow2"), disk_mib=1)
    definition = web.definition()
    for target, folder in zip(web.targets, file_systems, strict=True):
        path = folder / f"{target}.qcow2"
        web.make_image(path, "qcow2", 1)
        definition = definition.replace(str(web.original(target)), str(path))
    web.define(definition)
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    assert [path.parent for path in web.disks.values()] == file_systems
    starts(web)
    filler = file_systems[1] / "filler"
    filler.write_bytes(bytes(MIB))
    before = (web.definition(), sorted(file_systems[0].iterdir()))
    refused = vmsnap("snapshot", "create", web.name, status=16)
    assert str(file_systems[1]) in refused.document["errors"][0]["message"]
    assert (web.definition(), sorted(file_systems[0].iterdir())) == before
    # The full one is spared where overlays go elsewhere.
    vmsnap("snapshot", "create", web.name, "--overlay-dir", str(file_systems[0]))
    assert {path.parent for path in web.disks.values()} == {file_systems[0]}
