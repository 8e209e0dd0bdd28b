"""NVRAM files and TPM directories are read as a whole, or not at all."""

import errno
import hashlib
import os
import stat
from dataclasses import replace

import pytest

from vmsnap.errors import HostFileChangedError, HostFileError
from vmsnap.host import regular_files
from vmsnap.host.host_files import MAX_NVRAM_BYTES
from vmsnap.host.tpm_archive import MAX_FILES, MAX_TOTAL_BYTES, unpack
from vmsnap.model import FileMeta, HostFileType
from vmsnap.ports import HostFileSpec


def beside(spec, name="staged"):
    return spec.path.with_name(name)


def test_nvram_is_read_with_owner_mode_and_attributes(host_files, nvram):
    """H39: owner, mode or label lost."""
    os.setxattr(nvram.path, "security.selinux", b"system_u:object_r:svirt_image_t:s0\0")
    os.setxattr(nvram.path, "user.note", b"kept")

    reading = host_files.read(nvram)

    assert reading.content == nvram.path.read_bytes()
    assert reading.digest == hashlib.sha256(reading.content).hexdigest()
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
    assert files[0].data == (tpm.path / "tpm2-00.permall").read_bytes()
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
    nvram.path.write_bytes(nvram.path.read_bytes()[::-1])
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
        (tpm.path / "TMP").write_bytes(b"tpm state")
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
