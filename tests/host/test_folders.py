"""Folders that only their owner can enter."""

import stat

from vmsnap.host.folders import make_private_folder


def test_a_private_folder_is_made_with_its_parents(tmp_path):
    make_private_folder(tmp_path / "state" / "locks")

    for folder in (tmp_path / "state", tmp_path / "state" / "locks"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_exists_is_left_as_it_is(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)

    make_private_folder(tmp_path / "state")

    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755
