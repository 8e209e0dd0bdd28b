"""Permission bits of host files: seen and narrowed without following links."""

import os

import pytest

from vmsnap.errors import HostFileError
from vmsnap.host.host_files import LocalHostFiles
from vmsnap.model import HostFileType
from vmsnap.ports import HostFileSpec

HOST_FILES = LocalHostFiles()


def bits(path):
    return path.lstat().st_mode & 0o777


@pytest.fixture
def tpm(tmp_path):
    folder = tmp_path / "uuid" / "tpm2"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    state = folder / "tpm2-00.permall"
    state.write_bytes(b"state")
    state.chmod(0o666)
    return HostFileSpec(HostFileType.TPM, folder)


def test_a_directory_is_seen_with_what_is_in_it(tpm):
    assert HOST_FILES.modes(tpm) == {tpm.path: 0o755, tpm.path / "tpm2-00.permall": 0o666}


def test_others_lose_all_and_owner_and_group_nothing(tpm):
    HOST_FILES.take_from_others(tpm)
    assert HOST_FILES.modes(tpm) == {tpm.path: 0o750, tpm.path / "tpm2-00.permall": 0o660}
    HOST_FILES.take_from_others(tpm)
    assert bits(tpm.path) == 0o750


def test_what_is_not_there_has_no_modes(tmp_path):
    spec = HostFileSpec(HostFileType.NVRAM, tmp_path / "no" / "nvram.fd")
    assert HOST_FILES.modes(spec) == {}
    HOST_FILES.take_from_others(spec)


def test_a_link_is_never_followed(tpm, tmp_path):
    """H22: what swtpm's user plants in its folder leads root nowhere."""
    other = tmp_path / "shadow"
    other.write_bytes(b"x")
    other.chmod(0o644)
    (tpm.path / "link").symlink_to(other)
    os.mkfifo(tpm.path / "fifo", 0o666)
    HOST_FILES.take_from_others(tpm)
    assert bits(other) == 0o644
    assert HOST_FILES.modes(tpm)[tpm.path / "link"] == 0
    as_file = HostFileSpec(HostFileType.NVRAM, tpm.path / "link")
    HOST_FILES.take_from_others(as_file)
    assert bits(other) == 0o644


def test_a_folder_that_is_a_link_is_refused(tpm, tmp_path):
    moved = tmp_path / "moved"
    tpm.path.parent.rename(moved)
    tpm.path.parent.symlink_to(moved)
    with pytest.raises(HostFileError):
        HOST_FILES.modes(tpm)


def test_what_stands_beside_a_host_file_is_listed(tpm, tmp_path):
    (tpm.path.parent / "other").write_bytes(b"")
    (tpm.path.parent / "link").symlink_to(tmp_path)
    assert HOST_FILES.beside(tpm) == (tpm.path.with_name("link"), tpm.path.with_name("other"))
    assert HOST_FILES.beside(HostFileSpec(HostFileType.NVRAM, tmp_path / "no" / "nvram.fd")) == ()
