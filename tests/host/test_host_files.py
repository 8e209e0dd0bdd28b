"""NVRAM files and TPM directories are replaced as a whole, or not at all."""

import errno
import os
import stat
from dataclasses import replace

import pytest

from vmsnap.errors import ContentError, HostFileError
from vmsnap.host import tpm_directories
from vmsnap.model import FileMeta
from vmsnap.ports import FileIdentity


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


@pytest.mark.parametrize("damage", ["no archive", "one byte"])
def test_a_damaged_archive_is_refused_before_anything_is_written(host_files, tpm, damage):
    """H49: a damaged archive."""
    content = bytearray(host_files.read(tpm).content)
    content[10] ^= 1
    other = replace(tpm, path=tpm.path.parent.parent / "other-uuid" / "tpm2")
    meta = FileMeta(uid=0, gid=0, mode=0o700)
    before = tree(tpm.path.parent.parent)

    with pytest.raises(ContentError):
        damaged = b"no archive" if damage == "no archive" else bytes(content)
        host_files.stage(other, beside(other), damaged, meta)

    assert tree(tpm.path.parent.parent) == before


def test_a_tpm_that_was_kept_of_a_directory_never_becomes_a_file_nor_the_reverse(
    host_files, tpm, tpm_file
):
    """H21: swtpm's two forms of the same state."""
    for one, other in ((tpm, tpm_file), (tpm_file, tpm)):
        kept = host_files.read(one)
        assert host_files.fits(one, kept.content)
        assert not host_files.fits(other, kept.content)
        with pytest.raises(ContentError, match=other.path.name):
            host_files.stage(other, beside(other), kept.content, kept.meta)
        assert not beside(other).exists()


def test_an_empty_tpm_directory_is_no_file(host_files, tpm, tpm_file):
    for path in tpm.path.iterdir():
        path.unlink()
    empty = host_files.read(tpm).content
    assert (host_files.fits(tpm, empty), host_files.fits(tpm_file, empty)) == (True, False)


def test_damaged_attributes_are_refused_before_anything_is_written(host_files, nvram):
    meta = FileMeta(uid=0, gid=0, mode=0o600, xattrs=(("user.note", "no hex"),))

    with pytest.raises(ContentError):
        host_files.stage(nvram, beside(nvram), b"x", meta)

    assert not beside(nvram).exists()


def test_a_full_disk_leaves_nothing_half_written(host_files, spec, small_disk):
    """H31, H38: disk full while a file is written."""
    reading = host_files.read(spec)
    full = replace(spec, path=small_disk / "folder" / "live")
    full.path.parent.mkdir()
    (small_disk / "ballast").write_bytes(b"x" * 124 * 1024)

    with pytest.raises(HostFileError, match="No space left on device"):
        host_files.stage(full, beside(full), reading.content, reading.meta)

    assert list(full.path.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["web_VARS.fd", "sub/staged"])
def test_only_another_name_in_the_same_folder_is_staged_or_discarded(host_files, nvram, name):
    """H38: the live file is never written in place."""
    path = nvram.path.parent / name
    before = nvram.path.read_bytes()

    with pytest.raises(HostFileError, match="is no other name"):
        host_files.stage(nvram, path, b"x", FileMeta(uid=0, gid=0, mode=0o600))
    with pytest.raises(HostFileError, match="is no other name"):
        host_files.discard(nvram, path)

    assert nvram.path.read_bytes() == before


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
    if spec.is_directory:
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
