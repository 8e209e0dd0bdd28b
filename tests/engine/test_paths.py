"""Comparing paths that lead to the same file by several ways."""

import os
import stat

from servers import loop

from vmsnap.engine.paths import is_among, is_same, marks, real


def test_a_link_leads_to_the_same_place(tmp_path):
    image = tmp_path / "image"
    link = tmp_path / "link"
    folder = tmp_path / "folder"
    image.touch()
    link.symlink_to(image)
    folder.symlink_to(tmp_path)
    for path in (link, folder / "image", tmp_path / "x" / ".." / "image"):
        assert is_same(path, image)
        assert is_among(path, [tmp_path / "other", image])
        assert real(path) == real(image)


def test_a_hard_link_is_the_same_file(tmp_path):
    image, other = tmp_path / "image", tmp_path / "other"
    image.touch()
    other.touch()
    assert not is_same(image, other)
    (tmp_path / "hard").hardlink_to(image)
    assert is_same(tmp_path / "hard", image)
    assert marks(tmp_path / "missing") == {tmp_path / "missing"}


def test_nothing_leads_nowhere(tmp_path):
    assert not is_same(None, None)
    assert not is_same(None, tmp_path)
    assert not is_same(tmp_path / "one", tmp_path / "other")
    assert not is_among(tmp_path, [])


@loop.needs_loop
def test_two_nodes_of_one_block_device_are_the_same(tmp_path):
    """H28: they have neither the path nor the inode in common."""
    nodes = [tmp_path / name for name in ("one", "two", "other")]
    for node, number in zip(nodes, (250, 250, 251), strict=True):
        os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(7, number))
    assert is_same(nodes[0], nodes[1])
    assert not is_same(nodes[0], nodes[2])
