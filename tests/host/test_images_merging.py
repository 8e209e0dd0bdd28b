"""Images are merged by the real qemu-img, and tell how far they are."""

import hashlib
from pathlib import Path

import pytest

from vmsnap.errors import ImageError
from vmsnap.host import processes

KIB = 1024
MIB = 1024 * KIB


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("way", ["commit", "rebase"])
def test_a_merge_tells_how_far_it_is(images, bench, way, monkeypatch):
    monkeypatch.setattr(processes, "LISTEN_SECONDS", 0.001)
    told = []
    base = bench.make("base.qcow2", 64 * MIB)
    bench.write(base, 0, 64 * MIB, 0x11)
    top = bench.make("top.qcow2", 64 * MIB, backing=base)
    bench.write(top, 32 * MIB, 32 * MIB, 0x22)

    def progress(done, total):
        told.append((done, total))

    if way == "commit":
        images.commit(top, base, child_format="qcow2", parent_format="qcow2", progress=progress)
    else:
        images.rebase(top, None, None, progress=progress)

    assert told == sorted(told)
    assert {0 <= done <= total for done, total in told} == {True}


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
@pytest.mark.parametrize("size", [2 * MIB, 3 * MIB])
def test_commit_makes_the_parent_read_as_the_child_and_leaves_the_child(
    images, bench, format_, size
):
    parent = bench.make("parent.img", 2 * MIB, format_=format_)
    bench.write(parent, 0, 2 * MIB, 0x11, format_)
    child = bench.make("child.qcow2", size, backing=parent, backing_format=format_)
    bench.write(child, MIB, 64 * KIB, 0x22)
    bench.write(child, size - 4 * KIB, 4 * KIB, 0x33)
    expected = bench.read(child)
    child_digest = digest(child)

    for _ in range(2):
        images.commit(child, parent, child_format="qcow2", parent_format=format_)

        assert bench.read(parent, format_) == expected
        assert digest(child) == child_digest


def test_commit_needs_the_direct_parent(images, bench, overlay, base):
    """H40: a merge goes into no other layer than the one below."""
    top = bench.make("top.qcow2", 3 * MIB, backing=overlay)

    with pytest.raises(ImageError, match="does not stand on"):
        images.commit(top, base, child_format="qcow2", parent_format="qcow2")


def test_commit_refuses_a_child_that_is_smaller_than_its_parent(images, bench, base):
    """H54: the parent cannot shrink, so it would not read as the child did."""
    child = bench.make("child.qcow2", MIB, backing=base)
    before = digest(base)

    with pytest.raises(ImageError, match="which is larger"):
        images.commit(child, base, child_format="qcow2", parent_format="qcow2")

    assert digest(base) == before


def test_commit_refuses_a_child_whose_header_names_another_format(images, bench, overlay, base):
    """H34: the backing format is not probed."""
    bench.qemu_img("rebase", "-u", "-b", str(base), "-F", "raw", str(overlay))

    with pytest.raises(ImageError, match="names raw for its backing file, not qcow2"):
        images.commit(overlay, base, child_format="qcow2", parent_format="qcow2")


def test_commit_mends_clusters_that_an_interrupted_merge_leaked(images, bench, overlay, base):
    """H44: a merge interrupted half-way."""
    bench.leak(base)

    images.commit(overlay, base, child_format="qcow2", parent_format="qcow2")

    assert not bench.has_faults(base)


def test_a_commit_that_finds_no_space_leaves_the_child(images, bench, small_disk):
    """H31: disk full while merging."""
    parent = small_disk / "parent.raw"
    bench.qemu_img("create", "-q", "-f", "raw", str(parent), "2M")
    child = bench.make("child.qcow2", 2 * MIB, backing=parent, backing_format="raw")
    bench.write(child, 0, MIB, 0x22)
    before = digest(child)

    with pytest.raises(ImageError, match="No space left on device"):
        images.commit(child, parent, child_format="qcow2", parent_format="raw")

    assert digest(child) == before


def test_a_locked_image_is_not_written(images, overlay, base, python, wait_until):
    """H26: a machine that was started meanwhile holds its images."""
    python(
        "import os, sys\n"
        "os.execvp('qemu-io', ['qemu-io', '-f', 'qcow2', '-c', 'sleep 60000', sys.argv[1]])",
        base,
    )
    wait_until(lambda: f":{base.stat().st_ino} " in Path("/proc/locks").read_text())
    before = digest(base)

    with pytest.raises(ImageError, match="another process using the image"):
        images.commit(overlay, base, child_format="qcow2", parent_format="qcow2")

    assert digest(base) == before
    assert images.chain(overlay, "qcow2")[-1].path == base, "readers do not wait"
