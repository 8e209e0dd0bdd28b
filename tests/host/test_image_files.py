"""Image files as files."""

import os

import pytest

from vmsnap.errors import ImageError
from vmsnap.host.image_files import blocked_at, files_in, make_private, mode_of

NOBODY = 65534


@pytest.fixture
def folder(tmp_path):
    """A folder whose parents anybody may enter."""
    made = tmp_path / "one" / "two"
    made.mkdir(parents=True)
    for step in (made, made.parent, tmp_path, tmp_path.parent, tmp_path.parent.parent):
        step.chmod(0o711)
    return made


def test_a_folder_that_all_may_enter_blocks_nobody(folder):
    assert blocked_at(folder, (NOBODY, NOBODY)) is None


@pytest.mark.parametrize(
    ("mode", "owner", "is_blocked"),
    [
        (0o700, (NOBODY, NOBODY), True),
        (0o710, (NOBODY, 0), False),
        (0o711, (NOBODY, 0), False),
        (0o701, (NOBODY, 0), True),
        (0o600, (0, 0), False),
    ],
)
def test_the_first_folder_that_a_user_may_not_enter_is_named(folder, mode, owner, is_blocked):
    folder.parent.chmod(mode)
    assert blocked_at(folder, owner) == (folder.parent if is_blocked else None)


def test_the_owner_of_a_folder_is_judged_by_its_own_bit(folder):
    os.chown(folder, NOBODY, NOBODY)
    folder.chmod(0o077)
    assert blocked_at(folder, (NOBODY, NOBODY)) == folder
    folder.chmod(0o100)
    assert blocked_at(folder, (NOBODY, NOBODY)) is None


def test_what_an_access_list_says_is_not_guessed(folder, monkeypatch):
    folder.chmod(0o700)
    monkeypatch.setattr(os, "getxattr", lambda _path, _name: b"list")
    assert blocked_at(folder, (NOBODY, NOBODY)) is None


def test_a_folder_that_is_gone_is_an_error(folder):
    with pytest.raises(ImageError):
        blocked_at(folder / "gone", (NOBODY, NOBODY))


def test_the_files_of_a_folder_are_listed_without_links_and_folders(tmp_path):
    for name in ("b.qcow2", "a.qcow2"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link.qcow2").symlink_to(tmp_path / "a.qcow2")
    (tmp_path / "folder.qcow2").mkdir()
    assert files_in(tmp_path) == (tmp_path / "a.qcow2", tmp_path / "b.qcow2")
    assert files_in(tmp_path / "missing") == ()


def test_a_file_is_made_private_and_a_link_is_not_followed(tmp_path):
    """H25."""
    image, link = tmp_path / "image", tmp_path / "link"
    image.write_bytes(b"")
    image.chmod(0o644)
    link.symlink_to(image)
    assert (mode_of(image), mode_of(link), mode_of(tmp_path / "no")) == (0o644, None, None)
    with pytest.raises(ImageError):
        make_private(link)
    assert mode_of(image) == 0o644
    make_private(image)
    assert mode_of(image) == 0o600
    with pytest.raises(ImageError, match="no file of one name"):
        make_private(tmp_path)
