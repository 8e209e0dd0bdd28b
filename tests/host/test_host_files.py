"""NVRAM files and TPM directories are read and replaced as a whole, or not at all."""

import errno
import hashlib
import os
import stat
from dataclasses import replace

import pytest

from vmsnap.errors import ContentError, HostFileChangedError, HostFileError
from vmsnap.host import regular_files, tpm_directories
from vmsnap.host.host_files import MAX_NVRAM_BYTES, LocalHostFiles
from vmsnap.host.tpm_archive import MAX_FILES, MAX_TOTAL_BYTES, unpack
from vmsnap.model import FileMeta, HostFileType
from vmsnap.ports import FileIdentity, HostFileSpec

NVRAM_BYTES = b"variables" * 60_000
STATE_BYTES = b"tpm state" * 700


@pytest.fixture
def host_files():
    return LocalHostFiles()


@pytest.fixture
def nvram(tmp_path):
    path = tmp_path / "nvram" / "web_VARS.fd"
    path.parent.mkdir()
    path.write_bytes(NVRAM_BYTES)
    path.chmod(0o600)
    os.chown(path, 1234, 2345)
    return HostFileSpec(HostFileType.NVRAM, path)


@pytest.fixture
def tpm(tmp_path):
    path = tmp_path / "swtpm" / "a-uuid" / "tpm2"
    path.mkdir(parents=True)
    path.chmod(0o700)
    for name, data, mode in (
        ("tpm2-00.permall", STATE_BYTES, 0o600),
        ("tpm2-00.volatilestate", b"", 0o640),
        (".lock", b"", 0o640),
    ):
        (path / name).write_bytes(data)
        (path / name).chmod(mode)
        os.chown(path / name, 1234, 2345)
    os.chown(path, 1234, 2345)
    return HostFileSpec(HostFileType.TPM, path)


@pytest.fixture(params=["nvram", "tpm"])
def spec(request):
    return request.getfixturevalue(request.param)


def beside(spec, name="staged"):
    return spec.path.with_name(name)


def tree(folder):
    """Everything below a folder: name, kind, mode, owner and bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        key = str(path.relative_to(folder))
        found[key] = (oct(status.st_mode), status.st_uid, status.st_gid, data)
    return found


# --- reading ---------------------------------------------------------------------------------


def test_nvram_is_read_with_owner_mode_and_attributes(host_files, nvram):
    """H39: owner, mode or label lost."""
    os.setxattr(nvram.path, "security.selinux", b"system_u:object_r:svirt_image_t:s0\0")
    os.setxattr(nvram.path, "user.note", b"kept")

    reading = host_files.read(nvram)

    assert reading.content == NVRAM_BYTES
    assert reading.digest == hashlib.sha256(NVRAM_BYTES).hexdigest()
    assert (reading.meta.uid, reading.meta.gid, reading.meta.mode) == (1234, 2345, 0o600)
    assert reading.meta.xattrs == (
        ("security.selinux", b"system_u:object_r:svirt_image_t:s0\0".hex()),
        ("user.note", b"kept".hex()),
    )


def test_libvirts_own_attributes_are_left_out(host_files, nvram):
    """libvirt's notes on the former owner, put back, would give the file to the wrong user."""
    os.setxattr(nvram.path, "trusted.libvirt.security.dac", b"+0:+0")

    assert host_files.read(nvram).meta.xattrs == ()


def test_a_tpm_directory_is_read_without_its_lock(host_files, tpm):
    reading = host_files.read(tpm)

    files = unpack(reading.content)
    assert [file.name for file in files] == ["tpm2-00.permall", "tpm2-00.volatilestate"]
    assert files[0].data == STATE_BYTES
    assert files[0].meta == FileMeta(uid=1234, gid=2345, mode=0o600)
    assert files[1].meta.mode == 0o640
    assert reading.meta == FileMeta(uid=1234, gid=2345, mode=0o700)
    assert reading.digest == hashlib.sha256(reading.content).hexdigest()


def test_backup_files_that_newer_swtpm_keeps_are_taken_too(host_files, tpm):
    """H16: newer swtpm may keep .bak files: the directory is taken, not one file."""
    (tpm.path / "tpm2-00.permall.bak").write_bytes(b"older")

    names = [file.name for file in unpack(host_files.read(tpm).content)]

    assert "tpm2-00.permall.bak" in names


def test_equal_files_give_equal_content_whenever_they_were_written(host_files, tpm):
    before = host_files.read(tpm)
    os.utime(tpm.path / "tpm2-00.permall", ns=(1, 1))
    (tpm.path / ".lock").unlink()

    after = host_files.read(tpm)

    assert after.content == before.content
    assert after.signature != before.signature


def test_the_signature_of_a_file_that_nobody_touched_stays(host_files, spec):
    assert host_files.read(spec).signature == host_files.read(spec).signature


def test_the_signature_sees_a_write_that_put_size_and_mtime_back(host_files, nvram):
    """H16: bytes, size, mtime and ctime prove one instant."""
    before = host_files.read(nvram)
    status = nvram.path.stat()
    nvram.path.write_bytes(NVRAM_BYTES[::-1])
    os.utime(nvram.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert host_files.read(nvram).signature != before.signature


def test_a_missing_file_is_none(host_files, spec):
    """H18: what is not there is told from what cannot be read."""
    missing = replace(spec, path=spec.path.with_name("gone"))
    in_missing_folder = replace(spec, path=spec.path.parent / "gone" / "gone")

    assert host_files.read(missing) is None
    assert host_files.read(in_missing_folder) is None
    assert host_files.identity(missing.path) is None


def test_a_file_that_cannot_be_read_is_not_taken_for_absent(host_files, nvram, monkeypatch):
    """H15: "could not be saved" treated as "was not there"."""

    def fail(*_arguments):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "read", fail)

    with pytest.raises(HostFileError, match="Input/output error"):
        host_files.read(nvram)


def test_an_unreadable_folder_is_not_taken_for_absent(host_files, nvram):
    """H15: "could not be saved" treated as "was not there"."""
    nvram.path.parent.chmod(0)
    child = os.fork()
    if child == 0:
        os.chown(nvram.path.parent, 0, 0)
        os.setresuid(65534, 65534, 65534)
        try:
            host_files.read(nvram)
        except HostFileError:
            os._exit(21)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 21


def test_links_are_not_followed(host_files, spec):
    """H22: no links followed."""
    spec.path.rename(beside(spec, "elsewhere"))
    spec.path.symlink_to("elsewhere")

    with pytest.raises(HostFileError, match="is a symbolic link"):
        host_files.read(spec)


def test_a_link_in_a_tpm_directory_is_not_followed(host_files, tpm):
    """H22: a link to a secret of the host would put that secret into the backup."""
    (tpm.path / "tpm2-00.permall.bak").symlink_to("/etc/shadow")

    with pytest.raises(HostFileError, match=r"permall.bak' is a symbolic link"):
        host_files.read(tpm)


@pytest.mark.parametrize("kind", ["FIFO", "device", "directory", "socket"])
def test_only_regular_files_are_read(host_files, nvram, tpm, kind):
    """H22: a FIFO would block for ever."""
    makers = {
        "FIFO": os.mkfifo,
        "directory": os.mkdir,
        "device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
        "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    }
    nvram.path.unlink()
    makers[kind](nvram.path)
    makers[kind](tpm.path / "more")

    with pytest.raises(HostFileError, match=f"VARS.fd' is a .*{kind}, not a regular file"):
        host_files.read(nvram)
    with pytest.raises(HostFileError, match=f"more' is a .*{kind}, not a regular file"):
        host_files.read(tpm)


def test_a_tpm_that_is_a_file_is_refused_by_name(host_files, tmp_path):
    """H21: support or refuse by name; never skip in silence."""
    (tmp_path / "state").write_bytes(b"state")

    with pytest.raises(HostFileError, match="state' is a regular file, not a directory"):
        host_files.read(HostFileSpec(HostFileType.TPM, tmp_path / "state"))


def test_reads_are_bounded(host_files, nvram, tpm):
    """H22: the file is huge."""
    with nvram.path.open("r+b") as file:
        file.truncate(MAX_NVRAM_BYTES + 1)
    for name in ("one", "two"):
        with (tpm.path / name).open("wb") as file:
            file.truncate(MAX_TOTAL_BYTES // 2)

    with pytest.raises(HostFileError, match="is larger than"):
        host_files.read(nvram)
    with pytest.raises(HostFileError, match="is larger than"):
        host_files.read(tpm)


def test_a_tpm_directory_with_very_many_files_is_refused(host_files, tpm):
    """H22: bounded reads."""
    for number in range(MAX_FILES):
        (tpm.path / str(number)).touch()

    with pytest.raises(HostFileError, match="more than 64 files"):
        host_files.read(tpm)


def interrupt_reading(monkeypatch, act):
    """Do something to the file after its first piece was read."""
    read = os.read
    acts = [act]

    def read_and_act(descriptor, size):
        piece = read(descriptor, size)
        if acts:
            acts.pop()()
        return piece

    monkeypatch.setattr(regular_files.os, "read", read_and_act)


def test_nvram_that_was_written_while_it_was_read_is_not_taken(host_files, nvram, monkeypatch):
    """H16: torn read."""

    def write():
        with nvram.path.open("r+b") as file:
            file.write(b"new")

    interrupt_reading(monkeypatch, write)

    with pytest.raises(HostFileChangedError, match="changed while it was being read"):
        host_files.read(nvram)


def test_a_tpm_state_that_was_replaced_while_it_was_read_is_not_taken(host_files, tpm, monkeypatch):
    """H16: swtpm replaces its state by rename."""

    def replace_state():
        (tpm.path / "TMP").write_bytes(STATE_BYTES)
        (tpm.path / "TMP").rename(tpm.path / "tpm2-00.permall")

    interrupt_reading(monkeypatch, replace_state)

    with pytest.raises(HostFileChangedError):
        host_files.read(tpm)


@pytest.mark.parametrize("act", ["unlink", "touch"])
def test_a_tpm_directory_whose_files_came_or_went_is_not_taken(host_files, tpm, monkeypatch, act):
    """H16: torn read."""
    name = {"unlink": "tpm2-00.volatilestate", "touch": "z-new"}[act]
    interrupt_reading(monkeypatch, getattr(tpm.path / name, act))

    with pytest.raises(HostFileChangedError):
        host_files.read(tpm)


# --- writing ---------------------------------------------------------------------------------


def test_what_was_read_can_be_staged_and_reads_the_same(host_files, spec):
    """H39: owner, mode or label lost."""
    for path in (spec.path, *(spec.path.iterdir() if spec.path.is_dir() else ())):
        os.setxattr(path, "security.selinux", b"system_u:object_r:svirt_image_t:s0\0")
        os.setxattr(path, "trusted.other", b"\x00\xff")
    before = host_files.read(spec)

    identity = host_files.stage(spec, beside(spec), before.content, before.meta)

    staged = host_files.read(replace(spec, path=beside(spec)))
    assert (staged.content, staged.meta) == (before.content, before.meta)
    assert host_files.identity(beside(spec)) == identity
    assert host_files.read(spec).signature == before.signature


def test_staged_modes_never_make_a_file_run_as_its_owner(host_files, nvram):
    """What is put back comes from a database."""
    host_files.stage(nvram, beside(nvram), b"x", FileMeta(uid=0, gid=0, mode=0o6755))

    assert stat.S_IMODE(beside(nvram).stat().st_mode) == 0o755


@pytest.mark.parametrize("left", ["file", "directory", "link"])
def test_what_a_former_attempt_left_is_replaced(host_files, spec, left, tmp_path):
    before = host_files.read(spec)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    staged = beside(spec)
    if left == "file":
        staged.write_text("half")
    elif left == "directory":
        staged.mkdir()
        (staged / "half").write_text("half")
        (staged / "link").symlink_to(precious)
    else:
        staged.symlink_to(precious)

    host_files.stage(spec, staged, before.content, before.meta)

    assert host_files.read(replace(spec, path=staged)).content == before.content
    assert (precious / "file").read_text() == "precious"


def test_a_missing_tpm_parent_is_made_so_that_swtpm_gets_through(host_files, tpm):
    """H45: libvirt makes it 0711 and does not repair it."""
    before = host_files.read(tpm)
    other = replace(tpm, path=tpm.path.parent.parent / "other-uuid" / "tpm2")
    umask = os.umask(0o077)
    try:
        host_files.stage(other, beside(other), before.content, before.meta)
    finally:
        os.umask(umask)

    status = other.path.parent.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o711, 0, 0)


def test_a_missing_nvram_folder_is_not_made(host_files, nvram):
    lost = replace(nvram, path=nvram.path.parent / "gone" / "web_VARS.fd")

    with pytest.raises(HostFileError, match="No such file or directory"):
        host_files.stage(lost, beside(lost), b"x", FileMeta(uid=0, gid=0, mode=0o600))


def test_a_damaged_archive_is_refused_before_anything_is_written(host_files, tpm):
    """H49: a damaged archive."""
    other = replace(tpm, path=tpm.path.parent.parent / "other-uuid" / "tpm2")
    meta = FileMeta(uid=0, gid=0, mode=0o700)
    before = tree(tpm.path.parent.parent)

    with pytest.raises(ContentError):
        host_files.stage(other, beside(other), b"no archive", meta)

    assert tree(tpm.path.parent.parent) == before


def test_damaged_attributes_are_refused_before_anything_is_written(host_files, nvram):
    meta = FileMeta(uid=0, gid=0, mode=0o600, xattrs=(("user.note", "no hex"),))

    with pytest.raises(ContentError):
        host_files.stage(nvram, beside(nvram), b"x", meta)

    assert not beside(nvram).exists()


def test_a_full_disk_leaves_nothing_half_written(host_files, spec, small_disk):
    """H31, H38: disk full while a file is written."""
    reading = host_files.read(spec)
    full = HostFileSpec(spec.type, small_disk / "folder" / "live")
    full.path.parent.mkdir()
    (small_disk / "ballast").write_bytes(b"x" * 124 * 1024)

    with pytest.raises(HostFileError, match="No space left on device"):
        host_files.stage(full, beside(full), reading.content, reading.meta)

    assert list(full.path.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["web_VARS.fd", "sub/staged"])
def test_only_another_name_in_the_same_folder_is_staged_or_discarded(host_files, nvram, name):
    """H38: the live file is never written in place."""
    path = nvram.path.parent / name

    with pytest.raises(HostFileError, match="is no other name"):
        host_files.stage(nvram, path, b"x", FileMeta(uid=0, gid=0, mode=0o600))
    with pytest.raises(HostFileError, match="is no other name"):
        host_files.discard(nvram, path)

    assert nvram.path.read_bytes() == NVRAM_BYTES


def test_an_error_on_the_way_leaves_no_staged_directory(host_files, tpm, monkeypatch):
    """H38: half a TPM state."""
    reading = host_files.read(tpm)

    def fail(*_arguments):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(tpm_directories, "apply_meta", fail)

    with pytest.raises(HostFileError, match="Input/output error"):
        host_files.stage(tpm, beside(tpm), reading.content, reading.meta)

    assert not beside(tpm).exists()


# --- exchanging ------------------------------------------------------------------------------


def test_exchange_swaps_live_and_staged_in_one_step(host_files, spec):
    """H38: remove-then-move leaves no TPM."""
    reading = host_files.read(spec)
    live = host_files.identity(spec.path)
    staged = host_files.stage(spec, beside(spec), reading.content, reading.meta)

    host_files.exchange(beside(spec), spec.path)

    assert host_files.identity(spec.path) == staged
    assert host_files.identity(beside(spec)) == live
    host_files.exchange(beside(spec), spec.path)
    assert host_files.identity(spec.path) == live


def test_exchange_needs_both_names(host_files, spec):
    before = tree(spec.path.parent)

    with pytest.raises(HostFileError, match="No such file or directory"):
        host_files.exchange(spec.path, beside(spec))

    assert tree(spec.path.parent) == before


def test_rename_gives_a_new_name(host_files, spec):
    live = host_files.identity(spec.path)

    host_files.rename(spec.path, beside(spec, "aside"))

    assert host_files.identity(spec.path) is None
    assert host_files.identity(beside(spec, "aside")) == live


def test_rename_never_replaces(host_files, spec):
    """H38: nothing that is there is overwritten."""
    if spec.type is HostFileType.TPM:
        beside(spec).mkdir()  # plain rename(2) would replace an empty directory
    else:
        beside(spec).write_bytes(b"")
    before = tree(spec.path.parent)

    with pytest.raises(HostFileError, match="File exists"):
        host_files.rename(spec.path, beside(spec))

    assert tree(spec.path.parent) == before


def test_identity_is_that_of_a_link_itself(host_files, nvram):
    link = beside(nvram, "link")
    link.symlink_to(nvram.path)

    status = link.lstat()
    assert host_files.identity(link) == FileIdentity(status.st_dev, status.st_ino)


def test_discard_removes_a_staged_file_or_directory_and_nothing_else(host_files, spec):
    reading = host_files.read(spec)
    before = tree(spec.path.parent)
    host_files.stage(spec, beside(spec), reading.content, reading.meta)

    host_files.discard(spec, beside(spec))
    host_files.discard(spec, beside(spec))

    assert tree(spec.path.parent) == before


def test_discard_removes_links_and_not_what_they_lead_to(host_files, spec):
    """H22: no links followed."""
    beside(spec).symlink_to(spec.path.name)
    before = host_files.read(spec)

    host_files.discard(spec, beside(spec))

    assert not os.path.lexists(beside(spec))
    assert host_files.read(spec).content == before.content


def test_discard_refuses_a_directory_with_directories_in_it(host_files, tpm):
    (beside(tpm) / "sub").mkdir(parents=True)

    with pytest.raises(HostFileError, match="cannot remove"):
        host_files.discard(tpm, beside(tpm))

    assert (beside(tpm) / "sub").is_dir()
