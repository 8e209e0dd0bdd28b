"""Moving an overlay to another backing file never changes what it reads."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmsnap.errors import ImageError
from vmsnap.host.qemu_img import QemuImg

KIB = 1024
MIB = 1024 * KIB
FORMAT_EXTENSION, UNKNOWN_EXTENSION = b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78"
"""How a qcow2 header marks the backing file's format (new programs always write it)."""
PULL_PREFIX = ".vmsnap-pull-"


@dataclass(frozen=True)
class Chain:
    """base <- middle <- top, and another image that has nothing to do with them."""

    base: Path
    base_format: str
    middle: Path
    top: Path
    other: Path


def written(size, *pieces):
    """Fill an image of this size with pieces (offset, length, byte) as far as they fit."""
    return [(at, min(length, size - at), byte) for at, length, byte in pieces if at < size]


def model(below, size, pieces):
    """Compute what an overlay reads, from what is below it and what was written to it."""
    content = bytearray(below[:size].ljust(size, b"\0"))
    for at, length, byte in pieces:
        content[at : at + length] = bytes([byte]) * length
    return bytes(content)


@pytest.fixture
def make_chain(bench):
    def make(base_size, middle_size, top_size, base_format="qcow2"):
        layers = {
            "base": (base_size, written(base_size, (0, base_size, 0x11))),
            "middle": (
                middle_size,
                written(middle_size, (192 * KIB, 64 * KIB, 0x22), (middle_size - 512, 512, 0x33)),
            ),
            "top": (top_size, written(top_size, (128 * KIB, 96 * KIB, 0x44))),
        }
        paths = {}
        below, content = None, b""
        for name, (size, pieces) in layers.items():
            format_ = base_format if name == "base" else "qcow2"
            below_format = base_format if name == "middle" else "qcow2"
            below = paths[name] = bench.make(
                name, size, format_=format_, backing=below, backing_format=below_format
            )
            for piece in pieces:
                bench.write(below, *piece, format_)
            content = model(content, size, pieces)
        other = bench.make("other", 5 * MIB // 2)
        bench.write(other, 0, 5 * MIB // 2, 0x55)
        assert bench.read(paths["top"]) == content
        return Chain(paths["base"], base_format, paths["middle"], paths["top"], other), content

    return make


def target_of(chain, name):
    targets = {
        "base": (chain.base, chain.base_format),
        "other": (chain.other, "qcow2"),
        "none": (None, None),
    }
    return targets[name]


@pytest.mark.parametrize("target", ["base", "other", "none"])
@pytest.mark.parametrize(
    ("sizes", "base_format"),
    [
        ((2 * MIB, 2 * MIB, 2 * MIB), "qcow2"),
        ((2 * MIB, 2 * MIB, 2 * MIB), "raw"),
        ((4 * MIB, MIB, 3 * MIB), "qcow2"),
        ((4 * MIB, MIB, 3 * MIB), "raw"),
        ((MIB, 2 * MIB, 3 * MIB), "raw"),
        ((3 * MIB, 2 * MIB, MIB), "qcow2"),
        ((MIB, 3 * MIB, 2 * MIB), "qcow2"),
        ((2 * MIB, MIB, 4 * MIB), "qcow2"),
        ((3 * MIB + 512, MIB + 1536, 2 * MIB + 4608), "raw"),
    ],
)
def test_what_an_image_reads_survives_a_pull_whatever_the_sizes(
    images, bench, make_chain, sizes, base_format, target
):
    """H54: merging layers of different virtual sizes changes what another layer reads."""
    chain, content = make_chain(*sizes, base_format)
    backing, format_ = target_of(chain, target)
    middle, base = bench.read(chain.middle), bench.read(chain.base, base_format)

    images.rebase(chain.top, backing, format_)

    assert bench.read(chain.top) == content
    info = images.info(chain.top, "qcow2")
    assert (info.backing_path, info.backing_format) == (backing, format_)
    assert (bench.read(chain.middle), bench.read(chain.base, base_format)) == (middle, base)
    assert bench.names() == {"base", "middle", "top", "other"}


def test_a_pull_onto_the_backing_that_it_has_does_nothing(images, make_chain):
    chain, _ = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    before = images.facts(chain.top)

    images.rebase(chain.top, chain.middle, "qcow2")

    assert images.facts(chain.top) == before


def test_a_pull_frees_what_an_interrupted_one_leaked(images, bench, make_chain):
    """H44: qemu-img killed between allocating a cluster and referring to it."""
    chain, content = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    bench.leak(chain.top)

    images.rebase(chain.top, chain.base, "qcow2")

    assert not bench.has_faults(chain.top)
    assert bench.read(chain.top) == content


def test_a_pull_of_an_image_that_stands_alone_onto_nothing_does_nothing(images, make_chain):
    chain, _ = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    before = images.facts(chain.base)

    images.rebase(chain.base, None, None)

    assert images.facts(chain.base) == before


class Interrupted(BaseException):
    """As if vmsnap was killed here."""


@pytest.mark.parametrize("stop", [(at, is_before) for at in (1, 2, 3) for is_before in (1, 0)])
@pytest.mark.parametrize("target", ["base", "none"])
def test_an_interrupted_pull_reads_the_same_and_is_finished_by_the_next_one(
    images, bench, make_chain, monkeypatch, target, stop
):
    """H44: a merge interrupted half-way and then taken for finished, or begun twice."""
    chain, content = make_chain(4 * MIB, MIB, 3 * MIB)
    backing, format_ = target_of(chain, target)
    (stop_at, is_before), calls = stop, []
    write = QemuImg._write

    def write_and_stop(self, *arguments):
        calls.append(arguments)
        if len(calls) == stop_at and is_before:
            raise Interrupted
        write(self, *arguments)
        if len(calls) == stop_at:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(QemuImg, "_write", write_and_stop)
        with pytest.raises(Interrupted):
            images.rebase(chain.top, backing, format_)
    assert bench.read(chain.top) == content

    images.rebase(chain.top, backing, format_)

    assert bench.read(chain.top) == content
    assert images.info(chain.top, "qcow2").backing_path == backing
    assert bench.names() == {"base", "middle", "top", "other"}


def nothing_runs_after_a_kill(*_):
    pass


def test_a_header_that_reached_the_disk_before_the_data_is_not_taken_for_a_finished_pull(
    images, bench, make_chain, monkeypatch
):
    """H44: after a power loss the new header can be there and the copied data gone."""
    chain, content = make_chain(2 * MIB, 2 * MIB, 2 * MIB)

    def lose_the_data(self, path, backing, *_):
        self.set_backing(path, *backing)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(QemuImg, "rebase", lose_the_data)
        patch.setattr("vmsnap.host.image_pull._take_back", nothing_runs_after_a_kill)
        with pytest.raises(Interrupted):
            images.rebase(chain.top, chain.base, "qcow2")
    assert bench.read(chain.top) != content

    images.rebase(chain.top, chain.base, "qcow2")

    assert bench.read(chain.top) == content
    assert bench.names() == {"base", "middle", "top", "other"}


def test_a_pull_that_finds_no_space_goes_back_to_the_old_backing(
    images, bench, make_chain, small_disk
):
    """H31: disk full while merging."""
    chain, _ = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    raw_top = small_disk / "top"
    bench.qemu_img(
        *("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k"),
        *("-b", str(chain.middle), "-F", "qcow2", str(raw_top)),
    )
    content = bench.read(raw_top)

    with pytest.raises(ImageError, match="No space left on device"):
        images.rebase(raw_top, chain.other, "qcow2")

    assert bench.read(raw_top) == content
    assert images.info(raw_top, "qcow2").backing_path == chain.middle
    assert [path.name for path in small_disk.iterdir()] == ["top"]


@pytest.mark.parametrize("is_resized", [True, False])
def test_what_an_abandoned_pull_left_does_no_harm(images, bench, make_chain, is_resized):
    """H54: what was left is from before the image was resized or moved."""
    chain, content = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(QemuImg, "set_backing", lambda *_: (_ for _ in ()).throw(Interrupted))
    with pytest.raises(Interrupted):
        images.rebase(chain.top, chain.base, "qcow2")
    monkey.undo()
    if is_resized:
        bench.qemu_img("resize", "-q", str(chain.top), str(4 * MIB))
        content = content.ljust(4 * MIB, b"\0")
    else:
        shutil.copy(chain.middle, chain.middle.with_name("moved"))
        images.set_backing(chain.top, chain.middle.with_name("moved"), "qcow2")

    images.rebase(chain.top, chain.base, "qcow2")

    assert bench.read(chain.top) == content
    assert not [name for name in bench.names() if name.startswith(PULL_PREFIX)]


def test_removing_an_overlay_removes_what_an_abandoned_pull_left(images, bench, make_chain):
    chain, _ = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(QemuImg, "rebase", lambda *_: (_ for _ in ()).throw(Interrupted))
    monkey.setattr("vmsnap.host.image_pull._take_back", nothing_runs_after_a_kill)
    with pytest.raises(Interrupted):
        images.rebase(chain.top, chain.base, "qcow2")
    monkey.undo()
    assert len(bench.names()) == 5

    images.remove_overlay(chain.top)

    assert bench.names() == {"base", "middle", "other"}


def test_an_image_whose_backing_has_no_recorded_format_is_not_moved(images, make_chain):
    """H34: the backing format is never probed."""
    chain, _ = make_chain(2 * MIB, 2 * MIB, 2 * MIB)
    header = chain.top.read_bytes()
    assert header.count(FORMAT_EXTENSION) == 1
    chain.top.write_bytes(header.replace(FORMAT_EXTENSION, UNKNOWN_EXTENSION))

    with pytest.raises(ImageError, match="names no format of its backing file"):
        images.rebase(chain.top, chain.base, "qcow2")
