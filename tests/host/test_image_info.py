"""What `qemu-img info` says, understood."""

import json
from pathlib import Path

import pytest

from vmsnap.errors import ImageError
from vmsnap.host.image_info import parse_chain, parse_end


def answer(**keys):
    image = {"filename": "/pool/web.qcow2", "format": "qcow2", "virtual-size": 1024}
    return json.dumps({**image, "actual-size": 512, **keys}).encode()


def test_a_plain_image_stands_alone_and_is_neither_encrypted_nor_split():
    (image,) = parse_chain(answer())

    assert (image.path, image.format) == (Path("/pool/web.qcow2"), "qcow2")
    assert (image.virtual_size_bytes, image.allocated_bytes) == (1024, 512)
    assert (image.backing_path, image.backing_format) == (None, None)
    assert not image.is_encrypted
    assert not image.has_data_file
    assert image.internal_snapshots == 0
    assert image.cluster_bytes is None


def test_the_size_of_clusters_is_told():
    (image,) = parse_chain(answer(**{"cluster-size": 65536}))

    assert image.cluster_bytes == 65536


def test_the_name_of_a_device_is_not_resolved():
    """After the next boot, what /dev/vg/web led to is another disk."""
    keys = {"backing-filename": "/dev/stdin", "backing-filename-format": "raw"}

    (image,) = parse_chain(answer(**keys))

    assert image.backing_path == Path("/dev/stdin")
    assert not image.is_block_device
    (image,) = parse_chain(answer(filename="host_device:/dev/vg/../vg/web"))
    assert image.path == Path("/dev/vg/web")


@pytest.mark.parametrize("output", [b"", b"[]", b"{}", b"no"])
def test_an_end_that_is_not_told_is_an_error(output):
    with pytest.raises(ImageError, match="where the image ends"):
        parse_end(output)
    assert parse_end(b'{"image-end-offset": 65536}') == 65536


def test_a_relative_backing_name_is_taken_from_the_full_one():
    keys = {"backing-filename": "../base.raw", "full-backing-filename": "/pool/../base.raw"}

    (image,) = parse_chain(answer(**keys, **{"backing-filename-format": "raw"}))

    assert (image.backing_path, image.backing_format) == (Path("/base.raw"), "raw")


@pytest.mark.parametrize(
    "keys",
    [
        {"format": "luks"},
        {"encrypted": True},
        {"format-specific": {"type": "qcow2", "data": {"encrypt": {"format": "luks"}}}},
    ],
)
def test_luks_is_seen_wherever_it_is(keys):
    """H60: a LUKS-encrypted disk gets a plain overlay."""
    assert parse_chain(answer(**keys))[0].is_encrypted


def test_an_external_data_file_is_seen():
    data = {"type": "qcow2", "data": {"data-file": "web.data"}}

    assert parse_chain(answer(**{"format-specific": data}))[0].has_data_file


@pytest.mark.parametrize("name", ["nbd://host/disk", 'json:{"driver": "nbd"}', "ssh://host/x"])
def test_a_backing_that_is_no_file_is_named(name):
    with pytest.raises(ImageError) as caught:
        parse_chain(answer(**{"full-backing-filename": name}))

    assert f"'/pool/web.qcow2' stands on '{name}'" in caught.value.message


def test_a_password_in_a_backing_name_is_not_shown():
    """H50: a password in a URL shown in an error."""
    with pytest.raises(ImageError) as caught:
        parse_chain(answer(**{"full-backing-filename": "https://me:secret@host/disk"}))

    assert "'https://host/disk'" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("output", [b"", b"qemu-img: what?", b"[1]", b'{"format": "raw"}'])
def test_an_answer_that_is_not_understood_is_an_image_error(output):
    with pytest.raises(ImageError):
        parse_chain(output)
