"""Names are walked without following links that others may have put there."""

import os
from pathlib import Path

import pytest

from vmsnap.errors import HostFileError
from vmsnap.host.safe_paths import opened_folder_of, opened_parent_of

OPEN_FILES = Path("/proc/self/fd")


def test_the_folder_of_a_path_is_opened(tmp_path):
    (tmp_path / "nvram").mkdir()

    with opened_folder_of(tmp_path / "nvram" / "file") as folder:
        assert os.fstat(folder).st_ino == (tmp_path / "nvram").stat().st_ino
    with opened_parent_of(tmp_path / "nvram" / "file") as folder:
        assert os.fstat(folder).st_ino == tmp_path.stat().st_ino


def test_the_root_is_its_own_folder():
    with opened_folder_of(Path("/file")) as folder:
        assert os.fstat(folder).st_ino == Path("/").stat().st_ino


def test_a_link_high_above_is_followed(tmp_path):
    """A host may keep /var/lib/libvirt on another disk."""
    (tmp_path / "disk" / "nvram").mkdir(parents=True)
    (tmp_path / "libvirt").symlink_to(tmp_path / "disk")

    with opened_folder_of(tmp_path / "libvirt" / "nvram" / "file") as folder:
        assert os.fstat(folder).st_ino == (tmp_path / "disk" / "nvram").stat().st_ino


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    """H22: no links followed."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "nvram").symlink_to(tmp_path / "disk")

    with (
        pytest.raises(HostFileError, match="nvram' is a symbolic link, not a directory"),
        opened_folder_of(tmp_path / "nvram" / "file"),
    ):
        pass


@pytest.mark.parametrize("path", ["nvram/file", "/var/../etc/passwd", "/", "/a/b\0c"])
def test_a_path_that_is_not_plain_is_refused(path):
    """Paths are never taken from stored data without a check."""
    with pytest.raises(HostFileError, match="not an absolute path"), opened_folder_of(Path(path)):
        pass


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError), opened_folder_of(tmp_path / "gone" / "file"):
        pass


def test_descriptors_are_closed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    before = len(list(OPEN_FILES.iterdir()))

    with opened_folder_of(tmp_path / "file"):
        pass
    with pytest.raises(HostFileError), opened_folder_of(tmp_path / "link" / "file"):
        pass

    assert len(list(OPEN_FILES.iterdir())) == before
