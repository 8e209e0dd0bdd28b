"""Images are made, merged and looked at by the real qemu-img."""

import hashlib
import os
import shutil
import stat
from pathlib import Path

import pytest

from vmsnap.errors import ImageError, ImageExistsError, ProgramMissingError
from vmsnap.host.images import QemuImages

KIB = 1024
MIB = 1024 * KIB


# --- looking ---------------------------------------------------------------------------------


def test_info_describes_one_image(images, overlay, base):
    info = images.info(overlay, "qcow2")

    assert (info.path, info.format) == (overlay, "qcow2")
    assert info.virtual_size_bytes == 3 * MIB
    assert 64 * KIB < info.allocated_bytes < MIB
    assert (info.backing_path, info.backing_format) == (base, "qcow2")


def test_info_believes_the_given_format(images, base):
    """H34: an image's format is never probed where it is known."""
    assert images.info(base, "raw").format == "raw"
    assert images.info(base, "raw").backing_path is None


def test_info_learns_the_format_where_nobody_knows_it(images, base):
    assert images.info(base).format == "qcow2"


def test_info_tells_encryption_data_files_and_internal_snapshots(images, bench):
    """H60: a LUKS-encrypted disk gets a plain overlay."""
    # QEMU's older encryption: LUKS takes seconds to make, and is told in the same place.
    locked = bench.folder / "locked.qcow2"
    secret = ["--object", "secret,id=key,data=test"]
    options = ["-o", "encrypt.format=aes,encrypt.key-secret=key"]
    bench.qemu_img("create", "-q", "-f", "qcow2", *secret, *options, str(locked), "1M")
    split = bench.folder / "split.qcow2"
    data_file = f"data_file={bench.folder / 'split.data'}"
    bench.qemu_img("create", "-q", "-f", "qcow2", "-o", data_file, str(split), "1M")
    bench.qemu_img("snapshot", "-c", "one", str(bench.make("snapshots.qcow2", MIB)))

    assert images.info(locked, "qcow2").is_encrypted
    assert images.info(split, "qcow2").has_data_file
    assert images.info(bench.folder / "snapshots.qcow2", "qcow2").internal_snapshots == 1


def test_info_of_a_missing_image_names_it(images, tmp_path):
    with pytest.raises(ImageError, match=r"image '.*/gone.qcow2' does not exist"):
        images.info(tmp_path / "gone.qcow2", "qcow2")


def test_info_does_not_block_on_a_fifo(images, tmp_path):
    """H22: the file is huge, a FIFO, a device or a link."""
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ImageError, match="neither a file nor a block device"):
        images.info(tmp_path / "fifo", "raw")


def test_chain_lists_all_layers_topmost_first(images, bench, overlay, base):
    top = bench.make("top.qcow2", 3 * MIB, backing=overlay)

    assert [layer.path for layer in images.chain(top, "qcow2")] == [top, overlay, base]


def test_chain_finds_relative_backing_files_beside_the_image(images, bench, base, monkeypatch):
    monkeypatch.chdir(bench.folder)
    (bench.folder / "sub").mkdir()
    bench.make("sub/top.qcow2", 2 * MIB, backing=Path("../base.qcow2"))

    chain = images.chain(Path("sub/top.qcow2"), "qcow2")

    assert [layer.path for layer in chain] == [bench.folder / "sub" / "top.qcow2", base]
    assert chain[0].backing_path == base


def test_chain_returns_resolved_paths(images, bench, overlay, base):
    link = bench.folder / "link.qcow2"
    link.symlink_to(overlay)

    assert [layer.path for layer in images.chain(link, "qcow2")] == [overlay, base]


def test_chain_names_the_backing_file_that_is_missing(images, bench, overlay, base):
    top = bench.make("top.qcow2", 3 * MIB, backing=overlay)
    base.unlink()

    with pytest.raises(ImageError) as caught:
        images.chain(top, "qcow2")

    assert caught.value.message == f"image '{base}' does not exist"


def test_chain_names_the_image_that_stands_on_itself(images, bench, overlay, base):
    """H4: a loop of images ends with an answer."""
    bench.qemu_img("rebase", "-u", "-b", str(overlay), "-F", "qcow2", str(base))

    with pytest.raises(
        ImageError, match=rf"image '{base}' stands on '{overlay}', and so on itself"
    ):
        images.chain(overlay, "qcow2")


def test_chain_names_a_backing_that_is_no_file(images, bench, overlay):
    bench.qemu_img("rebase", "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", str(overlay))

    with pytest.raises(ImageError, match=r"stands on 'nbd://127\.0\.0\.1:1/x', which is no file"):
        images.chain(overlay, "qcow2")


def test_facts_change_with_the_header_and_are_none_for_a_missing_file(images, overlay):
    before = images.facts(overlay)
    with overlay.open("r+b") as file:
        file.seek(10)
        file.write(b"\xff")
    after = images.facts(overlay)

    assert before.size_bytes == after.size_bytes == overlay.stat().st_size
    assert after.header_digest == hashlib.sha256(overlay.read_bytes()[: 64 * KIB]).hexdigest()
    assert before.header_digest != after.header_digest
    assert images.facts(overlay.with_name("gone")) is None


def test_exists_sees_dangling_links_too(images, tmp_path):
    """H33: a name that exists already is never overwritten."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert images.exists(tmp_path / "link")
    assert not images.exists(tmp_path / "nothing")


def test_space_is_told_in_bytes(images, base, tmp_path):
    assert images.allocated_bytes(base) >= 2 * MIB
    assert images.allocated_bytes(base.with_name("gone")) == 0
    assert images.free_bytes(tmp_path) == shutil.disk_usage(tmp_path).free
    with pytest.raises(ImageError, match="measure the space"):
        images.free_bytes(tmp_path / "gone")


# --- making ----------------------------------------------------------------------------------


def test_an_overlay_reads_as_its_backing_and_records_its_format(images, bench, base):
    """H34: the backing format is always recorded."""
    path = bench.folder / "new.qcow2"

    images.create_overlay(path, base, "qcow2")

    assert bench.read(path) == bench.read(base)
    info = images.info(path, "qcow2")
    assert (info.backing_path, info.backing_format) == (base, "qcow2")


def test_an_overlay_on_a_raw_image_is_raw_below_even_if_the_guest_wrote_a_header(images, bench):
    """H34: what a guest wrote into its raw disk is never taken for an image's header."""
    evil = bench.make("evil.raw", MIB, format_="raw")
    secret = bench.make("secret.qcow2", MIB)
    evil.write_bytes(secret.read_bytes().ljust(MIB, b"\0"))
    path = bench.folder / "new.qcow2"

    images.create_overlay(path, evil, "raw")

    assert bench.read(path) == evil.read_bytes()


def test_an_overlay_belongs_to_its_backings_owner_and_nobody_else_reads_it(images, bench, base):
    """H25: overlays made world-readable."""
    os.chown(base, 1234, 2345)
    path = bench.folder / "new.qcow2"

    images.create_overlay(path, base, "qcow2")

    status = path.stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)
    assert stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_an_overlays_name_that_is_taken_is_left_alone(images, bench, base, kind):
    """H33: an overlay name that exists already: never overwritten, never adopted."""
    path = bench.folder / "new.qcow2"
    if kind == "file":
        path.write_bytes(b"precious")
    elif kind == "link":
        path.symlink_to(bench.folder / "elsewhere")
    else:
        path.mkdir()

    with pytest.raises(ImageExistsError, match="exists already"):
        images.create_overlay(path, base, "qcow2")

    assert images.exists(path)
    assert not (bench.folder / "elsewhere").exists()
    assert kind != "file" or path.read_bytes() == b"precious"


def test_an_overlay_that_cannot_be_made_leaves_nothing(images, bench, base):
    path = bench.folder / "new.qcow2"
    base.write_bytes(b"no qcow2")

    with pytest.raises(ImageError, match="cannot make image"):
        images.create_overlay(path, base, "qcow2")

    assert not path.exists()


def test_without_qemu_img_nothing_is_read_or_left(images, bench, base, monkeypatch, tmp_path):
    """H5: that is no fault of an image."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for work in (
        lambda: images.info(base),
        lambda: images.chain(base),
        lambda: images.create_overlay(tmp_path / "new.qcow2", base, "qcow2"),
    ):
        with pytest.raises(ProgramMissingError):
            work()
    assert not (tmp_path / "new.qcow2").exists()


def test_an_overlay_that_finds_no_space_leaves_nothing(images, base, small_disk):
    """H31: disk full while creating an overlay."""
    path = small_disk / "new.qcow2"

    with pytest.raises(ImageError, match="No space left on device"):
        images.create_overlay(path, base, "qcow2")

    assert not path.exists()


def test_programs_that_write_inherit_the_lock(bench, base, monkeypatch, tmp_path):
    """H56: a child process goes on writing after its parent was killed."""
    lock = (tmp_path / "lock").open("w")
    spy = tmp_path / "bin" / "qemu-img"
    spy.parent.mkdir()
    spy.write_text(
        f"#!/bin/sh\nreadlink /proc/$$/fd/* | grep -qx {lock.name} && echo $1 >> {tmp_path}/log\n"
        f'exec {shutil.which("qemu-img")} "$@"\n'
    )
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}:{os.environ['PATH']}")
    images = QemuImages(lambda: (lock.fileno(),))
    path = bench.folder / "new.qcow2"

    images.create_overlay(path, base, "qcow2")
    images.commit(path, base, child_format="qcow2", parent_format="qcow2")
    images.set_backing(path, base, "qcow2")
    images.rebase(path, None, None)
    lock.close()

    log = (tmp_path / "log").read_text().split()
    assert set(log) == {"create", "commit", "check", "rebase"}


def test_set_backing_changes_the_name_and_no_data(images, bench, overlay, base):
    copy = bench.folder / "copy.qcow2"
    shutil.copy(base, copy)
    before = bench.read(overlay)

    images.set_backing(overlay, copy, "qcow2")

    assert images.info(overlay, "qcow2").backing_path == copy
    assert bench.read(overlay) == before


def test_remove_overlay_takes_a_missing_file_for_removed(images, overlay):
    images.remove_overlay(overlay)
    images.remove_overlay(overlay)

    assert not overlay.exists()


def test_remove_overlay_tells_why_it_could_not(images, tmp_path):
    (tmp_path / "folder").mkdir()

    with pytest.raises(ImageError, match="cannot remove image"):
        images.remove_overlay(tmp_path / "folder")


# --- looking at several ----------------------------------------------------------------------


def test_chains_of_several_images_are_read_as_each_alone(images, bench, base, overlay):
    raw = bench.make("plain.img", MIB, format_="raw")
    asked = [(overlay, "qcow2"), (raw, "raw"), (base, "qcow2"), (base, None)] * 3

    assert images.chains(asked) == tuple(images.chain(*item) for item in asked)
    assert images.chains([]) == ()


def test_an_image_that_cannot_be_read_hides_no_other(images, bench, base, overlay, tmp_path):
    lost = bench.make("on-lost.qcow2", MIB, backing=overlay)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    overlay.unlink()

    one, other, third = images.chains([(lost, "qcow2"), (base, "qcow2"), (fifo, "raw")])

    assert str(overlay) in one.message
    assert other == images.chain(base, "qcow2")
    assert "neither a file nor a block device" in third.message
