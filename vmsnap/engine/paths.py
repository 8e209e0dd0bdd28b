"""Comparing paths of image files, which can be spelt in several ways through links."""

import os.path
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Mark: TypeAlias = Path | tuple[int, int] | tuple[str, int]
"""By what a file is known: its resolved path, device and inode, or which block device it is."""


def real(path: Path) -> Path:
    """Return the path with all links resolved; a missing file is no error."""
    return Path(os.path.realpath(path))


def is_same(one: Path | None, other: Path | None) -> bool:
    """Tell whether two paths lead to the same file, hard links too; None leads nowhere."""
    return one is not None and other is not None and not marks(one).isdisjoint(marks(other))


def marks(path: Path) -> frozenset[Mark]:
    """Return all by which a file is known; two paths of one file have at least one in common.

    A hard link has another path, and a missing file no inode. A block device has many names, and
    nodes of several inodes. What lies on a device, such as the file of a loop device or a part of a
    disk, is not known by it.
    """
    try:
        status = path.stat()
    except OSError:
        return frozenset({real(path)})
    found: set[Mark] = {real(path), (status.st_dev, status.st_ino)}
    if stat.S_ISBLK(status.st_mode):
        found.add(("block device", status.st_rdev))
    return frozenset(found)


def is_among(path: Path, others: Iterable[Path]) -> bool:
    """Tell whether one of the paths leads to the same file."""
    return any(is_same(path, other) for other in others)
