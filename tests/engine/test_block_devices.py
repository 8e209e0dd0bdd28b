"""A disk on a block device through every verb, with a real loop device and a fake libvirt."""

import uuid
from pathlib import Path

import pytest
from engine.conftest import DISK_BYTES, qemu_img
from servers import loop

from vmsnap.engine.check import check_groups
from vmsnap.errors import HostFileError, LibvirtError, UnsupportedError

pytestmark = loop.needs_loop


@pytest.fixture
def device(tmp_path):
    """A block device as large as the world's disks, by a name such as LVM's."""
    image = tmp_path / "device.img"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    made = loop.attach(image)
    link = Path(f"/dev/vmsnap-test-{uuid.uuid4()}.raw")
    link.symlink_to(made)
    yield link
    link.unlink()
    loop.detach(made)


@pytest.fixture
def host(world, device):
    """The world with its second disk on a block device, and its folder for overlays."""
    old = world.disks["vdb"]
    was = f"type='file' device='disk'><driver name='qemu' type='raw'/><source file='{old}'/>"
    now = f"type='block' device='disk'><driver name='qemu' type='raw'/><source dev='{device}'/>"
    world.edit(f"<disk {was}", f"<disk {now}")
    old.unlink()
    world.disks["vdb"] = device
    world.fill(1)
    (world.folder / "overlays").mkdir()
    return world


def create(host, name):
    return host.create(name, overlay_dir=host.folder / "overlays")


def disk_of(host, target="vdb"):
    disks = host.hypervisor.domain(host.uuid).definition.disks
    return next(disk for disk in disks if disk.target == target)


def test_a_create_without_a_folder_changes_nothing(host):
    before = host.everything()
    with pytest.raises(UnsupportedError, match="block device"):
        host.create("monday")
    assert host.everything() == before
    host.create("monday", exclude=("vdb",))


@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_failed_create_gives_the_device_back(host, when):
    """H23, H24: its definition too."""
    before = host.everything()
    host.hypervisor.fail("switch_disks", LibvirtError("injected"), when=when)
    if when == "after":
        create(host, "monday")
        return
    with pytest.raises(LibvirtError):
        create(host, "monday")
    assert host.everything() == before
    assert (disk_of(host).source_type, disk_of(host).path) == ("block", host.disks["vdb"])


def test_the_whole_life_of_a_group(host):
    """H59: the machine ends on its device, which holds the newest data."""
    monday = host.machine()
    create(host, "monday")
    host.fill(2)
    host.create("tuesday")
    host.fill(3)
    wednesday = host.machine()
    host.revert("monday")
    assert host.machine() == monday
    assert host.active("vdb").parent == host.folder / "overlays"
    host.undo()
    assert host.machine() == wednesday
    groups = [group.name for group in host.ports.catalog.groups()]
    assert host.delete(*groups).is_complete
    assert host.machine() == wednesday
    assert (disk_of(host).source_type, disk_of(host).path) == ("block", host.disks["vdb"])
    assert list((host.folder / "overlays").iterdir()) == []


def test_a_failed_revert_gives_the_device_back(host):
    create(host, "monday")
    host.delete("monday")
    host.fill(2)
    create(host, "tuesday")
    host.fill(3)
    before = host.everything()
    host.hypervisor.fail("define", LibvirtError("injected"), skip=1)
    with pytest.raises((LibvirtError, HostFileError)):
        host.revert("tuesday")
    assert host.everything() == before


def test_a_device_that_is_too_small_stays_below_nothing(host):
    """H54: it cannot grow, so its data go into the layer on it."""
    create(host, "monday")
    qemu_img("resize", "-q", "-f", "qcow2", host.active("vdb"), 2 * DISK_BYTES)
    host.write("vdb", 4, sector=20)
    friday = host.machine()
    device = host.read(host.disks["vdb"])
    result = host.delete("monday")
    assert result.is_complete
    assert any("stays, vmsnap did not make it" in line for line in result.changes)
    assert host.machine() == friday
    assert host.active("vdb").parent == host.folder / "overlays"
    assert host.read(host.disks["vdb"]) == device
    assert host.ports.images.info(host.active("vdb"), "qcow2").backing_path is None


def test_a_device_that_grew_since_is_a_damaged_group(host):
    """H43: the size is one of the two changes of a device that are seen."""
    create(host, "monday")
    node = host.disks["vdb"].resolve()
    image = host.folder.parent / "device.img"
    with image.open("r+b") as file:
        file.truncate(2 * DISK_BYTES)
    loop.grow(node)
    (check,) = check_groups(host.ports, host.name, "monday")
    assert {reason.code for reason in check.reasons} == {"layer_changed"}
