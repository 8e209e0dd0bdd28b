"""Images on block devices: real loop devices, made and taken away again."""

import pytest
from servers import loop

from vmsnap.errors import ImageError
from vmsnap.host import image_files

KIB = 1024
SIZE = 4 * KIB * KIB

pytestmark = loop.needs_loop


@pytest.fixture
def device(tmp_path):
    """A block device of 4 MiB."""
    image = tmp_path / "device.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    made = loop.attach(image)
    yield made
    loop.detach(made)


def test_a_device_is_known_and_takes_all_of_its_size(images, device):
    info = images.info(device, "raw")
    assert (info.is_block_device, info.path) == (True, device)
    assert (info.virtual_size_bytes, info.allocated_bytes) == (SIZE, SIZE)
    assert images.allocated_bytes(device) == SIZE


def test_a_change_of_a_device_is_seen_at_its_start_only(images, device):
    """The facts have no time, and say so."""
    before = images.facts(device)
    assert (before.size_bytes, before.mtime_ns) == (SIZE, 0)
    with device.open("r+b", buffering=0) as file:
        file.seek(SIZE // 2)
        file.write(bytes([1]) * 4096)
    assert images.facts(device) == before
    with device.open("r+b", buffering=0) as file:
        file.write(bytes([1]) * 4096)
    assert images.facts(device) != before


def test_an_overlay_names_the_device_as_it_was_given_and_belongs_to_the_caller(
    images, device, bench
):
    """H25: the node's owner or group means others; what its link leads to is no lasting name."""
    path = bench.folder / "overlay.qcow2"
    images.create_overlay(path, device, "raw")
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o600)
    assert images.info(path, "qcow2").backing_path == device


def test_a_commit_into_a_device_writes_it_and_an_unlink_refuses_it(images, device, bench):
    """H59."""
    path = bench.folder / "overlay.qcow2"
    images.create_overlay(path, device, "raw")
    bench.write(path, 0, 64 * KIB, 7)
    wanted = bench.read(path)
    images.commit(path, device, child_format="qcow2", parent_format="raw")
    assert device.read_bytes() == wanted
    with pytest.raises(ImageError, match="no regular file"):
        images.remove_overlay(device)
    assert device.is_block_device()


def test_an_overlay_can_be_pulled_off_a_device(images, device, bench):
    device.write_bytes(bytes([3]) * SIZE)
    path = bench.folder / "overlay.qcow2"
    images.create_overlay(path, device, "raw")
    before = bench.read(path)
    images.rebase(path, None, None)
    assert images.info(path, "qcow2").backing_path is None
    assert bench.read(path) == before


def test_the_room_of_a_qcow2_on_a_device_is_what_lies_behind_its_end(images, device, bench):
    """H31."""
    bench.qemu_img("create", "-q", "-f", "qcow2", str(device), str(16 * SIZE))
    empty = images.free_bytes(device)
    assert SIZE // 2 < empty < SIZE
    path = bench.folder / "overlay.qcow2"
    images.create_overlay(path, device, "qcow2")
    bench.write(path, 0, 64 * KIB, 7)
    images.commit(path, device, child_format="qcow2", parent_format="qcow2")
    assert images.free_bytes(device) < empty


def test_two_nodes_of_one_device_are_the_same(device, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(device)
    assert image_files.is_same(link, device)
    assert not image_files.is_same(device, tmp_path)
    assert image_files.is_same(tmp_path / "missing", tmp_path / "missing")
