"""Links, hard links and races that QEMU's, swtpm's or another user plants where vmsnap works.

The planter runs as root, which can do more than any of them.
"""

import io
import os
import tarfile
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from vmsnap.errors import ContentError, HostFileError, ImageExistsError, VmsnapError
from vmsnap.host.images import QemuImages
from vmsnap.host.renames import exchange_names
from vmsnap.host.safe_paths import opened_folder_of
from vmsnap.host.tpm_archive import ArchivedFile, pack
from vmsnap.model import FileMeta, HostFileType
from vmsnap.ports import HostFileSpec

SECRET = b"root:$y$secret" * 20
GOOD = b"variables" * 1000
META = FileMeta(uid=1234, gid=2345, mode=0o640)
OTHER_USER = 64055
RACE_SECONDS = 1.5


@pytest.fixture
def outside(tmp_path):
    """What is nobody's business: a file that only its owner may read, and its folder."""
    folder = tmp_path / "outside"
    folder.mkdir(0o755)
    file = folder / "shadow"
    file.write_bytes(SECRET)
    file.chmod(0o604)
    # Under the names that are looked for, too.
    (folder / "web_VARS.fd").write_bytes(SECRET)
    (folder / "tpm2").mkdir(0o755)
    (folder / "tpm2" / "state").write_bytes(SECRET)
    before = looks_of(folder)
    yield file
    assert looks_of(folder) == before


def looks_of(folder):
    """Return names, owners, modes and bytes of all that lies in a folder, and of itself."""
    return {
        str(path): (
            status.st_uid,
            status.st_gid,
            status.st_mode,
            path.is_file() and path.read_bytes(),
        )
        for path in (folder, *folder.rglob("*"))
        for status in [path.lstat()]
    }


def plants(file):
    """Return ways to make a name that is a trap, by what it is."""
    return {
        "link": lambda name: name.symlink_to(file),
        "link to the folder": lambda name: name.symlink_to(file.parent),
        "hard link": lambda name: name.hardlink_to(file),
        "FIFO": os.mkfifo,
        "device": lambda name: os.mknod(name, 0o20666, os.makedev(1, 5)),
        "directory": lambda name: name.mkdir(),
    }


def remove(name):
    with suppress(FileNotFoundError):
        name.unlink() if name.is_symlink() or not name.is_dir() else name.rmdir()


@contextmanager
def racing(act):
    """Let another thread act again and again: each of our system calls lets it run."""
    is_over = threading.Event()

    def loop():
        while not is_over.is_set():
            with suppress(OSError):
                act()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def swapping(name, outside):
    """Return an act that puts each trap, and then what was there, in a name's place."""

    def act():
        for plant in plants(outside).values():
            trap = name.with_name("planted")
            remove(trap)
            plant(trap)
            folder = os.open(name.parent, os.O_RDONLY)
            try:
                exchange_names(folder, trap.name, folder, name.name)
                exchange_names(folder, trap.name, folder, name.name)
            finally:
                os.close(folder)

    return act


def read_again_and_again(host_files, spec, allowed):
    """Read for a while; return how often it worked. What was read is all good, or an error."""
    worked = 0
    until = time.monotonic() + RACE_SECONDS
    while time.monotonic() < until:
        try:
            reading = host_files.read(spec)
        except HostFileError:
            continue
        if reading is not None:
            assert reading.content in {allowed, pack([])}
            assert SECRET not in reading.content
            worked += 1
    return worked


@pytest.fixture
def good_nvram(tmp_path):
    path = tmp_path / "host" / "nvram" / "web_VARS.fd"
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    return HostFileSpec(HostFileType.NVRAM, path)


@pytest.fixture
def good_tpm(tmp_path):
    path = tmp_path / "host" / "a-uuid" / "tpm2"
    path.mkdir(parents=True)
    (path / "state").write_bytes(GOOD)
    return HostFileSpec(HostFileType.TPM, path)


def test_a_hard_link_is_not_read(host_files, good_nvram, good_tpm, outside):
    """Were it read, a file of root's would get into a backup, and be given away by a restore."""
    good_nvram.path.unlink()
    good_nvram.path.hardlink_to(outside)
    (good_tpm.path / "planted").hardlink_to(outside)
    for spec in (good_nvram, good_tpm):
        with pytest.raises(HostFileError, match="names; a host file has only one") as caught:
            host_files.read(spec)
        assert str(outside.stat().st_ino) in caught.value.hint


@pytest.mark.parametrize("kind", ["nvram", "tpm"])
def test_what_is_swapped_while_it_is_read_is_read_whole_or_not_at_all(
    host_files, good_nvram, good_tpm, outside, kind
):
    spec = good_nvram if kind == "nvram" else good_tpm
    allowed = host_files.read(spec).content
    with racing(swapping(spec.path, outside)):
        read_again_and_again(host_files, spec, allowed)
    assert host_files.read(spec).content == allowed


def test_what_is_swapped_in_a_tpm_directory_while_it_is_read_is_never_followed(
    host_files, good_tpm, outside
):
    allowed = host_files.read(good_tpm).content
    act = swapping(good_tpm.path / "state", outside)
    traps = {"planted", "state"}
    with racing(act):
        until = time.monotonic() + RACE_SECONDS
        while time.monotonic() < until:
            with suppress(HostFileError):
                assert SECRET not in host_files.read(good_tpm).content
    for name in traps - {"state"}:
        remove(good_tpm.path / name)
    assert host_files.read(good_tpm).content == allowed


@pytest.mark.parametrize("level", ["its folder", "the folder above"])
def test_a_folder_that_is_swapped_for_a_link_while_it_is_walked_leads_nowhere(
    host_files, good_nvram, outside, level
):
    folder = good_nvram.path.parent
    target, name = outside.parent, folder
    if level == "the folder above":
        name = folder.parent
        (outside.parent.parent / "elsewhere").mkdir()
        target = outside.parent.parent / "elsewhere"
        outside.parent.parent.joinpath("elsewhere", "nvram").symlink_to(outside.parent)
        (target / "nvram").unlink()
        (target / "nvram").mkdir()
        (target / "nvram" / "web_VARS.fd").write_bytes(SECRET)
    link = name.with_name("link")
    link.symlink_to(target)
    os.lchown(link, OTHER_USER, OTHER_USER)
    above = os.open(name.parent, os.O_RDONLY)

    def swap():
        exchange_names(above, link.name, above, name.name)

    with racing(swap):
        read_again_and_again(host_files, good_nvram, GOOD)
        until = time.monotonic() + RACE_SECONDS
        staged = good_nvram.path.with_name(".staged")
        while time.monotonic() < until:
            with suppress(VmsnapError):
                host_files.stage(good_nvram, staged, GOOD, META)
            with suppress(VmsnapError):
                host_files.discard(good_nvram, staged)
    os.close(above)
    assert not [path for path in target.rglob("*") if path.name == ".staged"]


def test_links_high_above_are_followed_only_if_root_made_them(tmp_path, outside):
    (tmp_path / "real" / "nvram").mkdir(parents=True)
    for name, target in (("rel", "real"), ("abs", tmp_path / "real"), ("up", "outside/../real")):
        link = tmp_path / name
        link.symlink_to(target)
        with opened_folder_of(link / "nvram" / "file") as folder:
            assert os.fstat(folder).st_ino == (tmp_path / "real" / "nvram").stat().st_ino
        os.lchown(link, OTHER_USER, OTHER_USER)
        refusal = pytest.raises(HostFileError, match="leads through a link of another user")
        with refusal as caught, opened_folder_of(link / "nvram" / "file"):
            pass
        assert caught.value.hint.startswith("namei -l ")


def test_links_that_lead_in_a_ring_end(tmp_path):
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(HostFileError), opened_folder_of(tmp_path / "ring" / "nvram" / "file"):
        pass


@pytest.mark.parametrize("kind", ["nvram", "tpm"])
def test_nothing_outside_is_written_or_given_away_while_names_are_swapped(
    host_files, good_nvram, good_tpm, outside, kind
):
    """The fixture asserts that bytes, owners and modes outside stayed as they were."""
    spec = good_nvram if kind == "nvram" else good_tpm
    content = GOOD if kind == "nvram" else pack([ArchivedFile("state", GOOD, META)])
    staged = spec.path.with_name(".staged")

    def act():
        for plant in plants(outside).values():
            for name in (staged, spec.path):
                with suppress(OSError):
                    plant_inside(name)
                with suppress(OSError):
                    remove(name)
                    plant(name)

    def plant_inside(directory):
        # The planter itself follows no link: it would write outside by its own hand.
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.symlink(outside, "state", dir_fd=folder)
        finally:
            os.close(folder)

    with racing(act):
        until = time.monotonic() + 2 * RACE_SECONDS
        while time.monotonic() < until:
            with suppress(VmsnapError):
                host_files.stage(spec, staged, content, META)
                host_files.exchange(staged, spec.path)
            with suppress(VmsnapError):
                host_files.discard(spec, staged)
    with suppress(VmsnapError):
        host_files.discard(spec, staged)
    host_files.stage(spec, staged, content, META)
    assert staged.lstat().st_uid == META.uid


@pytest.mark.parametrize("plant", plants(None))
def test_a_temporary_name_that_was_planted_is_replaced_and_not_used(
    host_files, good_nvram, outside, plant
):
    staged = good_nvram.path.with_name(".staged")
    plants(outside)[plant](staged)
    host_files.stage(good_nvram, staged, GOOD, META)
    assert staged.read_bytes() == GOOD
    assert staged.lstat().st_nlink == 1


@pytest.mark.parametrize("plant", [*plants(None), "link to nothing"])
def test_an_overlay_s_name_that_was_planted_is_neither_written_nor_followed(
    tmp_path, outside, plant
):
    """H33: an overlay name that exists already is never overwritten, never adopted."""
    base = tmp_path / "images" / "vda.qcow2"
    base.parent.mkdir()
    base.touch()
    overlay = base.with_name("vda.overlay")
    ways = plants(outside)
    ways["link to nothing"] = lambda name: name.symlink_to(outside.parent / "new")
    ways[plant](overlay)
    before = overlay.lstat()
    with pytest.raises(ImageExistsError):
        create_overlay(overlay, base)
    assert overlay.lstat() == before


def create_overlay(overlay, base):
    QemuImages().create_overlay(overlay, base, "raw")


def test_an_image_header_that_a_guest_wrote_into_its_raw_disk_is_no_header(bench, outside):
    """H34: as qcow2 the disk would stand on a file of root's, which the guest could then read."""
    disk = bench.make("vda.raw", 1 << 20, backing=outside, backing_format="raw")
    assert QemuImages().info(disk, "qcow2").backing_path == outside
    assert [image.format for image in QemuImages().chain(disk, "raw")] == ["raw"]
    overlay = disk.with_name("overlay.qcow2")
    QemuImages().create_overlay(overlay, disk, "raw")
    assert [image.format for image in QemuImages().chain(overlay, "qcow2")] == ["qcow2", "raw"]
    assert SECRET not in bench.read(overlay)


def member(name, kind=tarfile.REGTYPE, link=""):
    item = tarfile.TarInfo(name)
    item.type, item.linkname, item.mode = kind, link, 0o600
    item.size = len(SECRET) if kind == tarfile.REGTYPE else 0
    return item


@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/planted")],
        [member("../planted")],
        [member("a/b")],
        [member("state", tarfile.SYMTYPE, "/etc/shadow")],
        [member("state", tarfile.LNKTYPE, "/etc/shadow")],
        [member("state", tarfile.CHRTYPE)],
        [member("state", tarfile.FIFOTYPE)],
        [member("state", tarfile.DIRTYPE)],
        [member("state"), member("state")],
        [member("state", tarfile.SYMTYPE, "."), member("state/x")],
        [member(".")],
        [member("..")],
    ],
    ids=str.split("absolute up below link hard-link device FIFO directory twice through dot dots"),
)
def test_a_hostile_archive_is_refused_before_anything_is_written(host_files, good_tpm, members):
    """H49: also where the digest fits, because somebody wrote both into the database."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for item in members:
            tar.addfile(item, io.BytesIO(SECRET) if item.size else None)
    staged = good_tpm.path.with_name(".staged")
    before = looks_of(good_tpm.path.parent)
    with pytest.raises(ContentError):
        host_files.stage(good_tpm, staged, buffer.getvalue(), META)
    assert looks_of(good_tpm.path.parent) == before
