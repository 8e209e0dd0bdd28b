"""Comparing paths of image files, which can be spelt in several ways through links."""

import os.path
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

Mark: TypeAlias = Path | tuple[int, int]
"""By what a file is known: its resolved path, or device and inode."""


def real(path: Path) -> Path:
    """Return the path with all links resolved; a missing file is no error."""
    return Path(os.path.realpath(path))


def is_same(one: Path | None, other: Path | None) -> bool:
    """Tell whether two paths lead to the same file, hard links too; None leads nowhere."""
    return one is not None and other is not None and not marks(one).isdisjoint(marks(other))


def marks(path: Path) -> frozenset[Mark]:
    """Return all by which a file is known; two paths of one file have at least one in common.

    A hard link has another path, and a missing file no inode.
    """
    try:
        status = path.stat()
    except OSError:
        return frozenset({real(path)})
    return frozenset({real(path), (status.st_dev, status.st_ino)})


def is_among(path: Path, others: Iterable[Path]) -> bool:
    """Tell whether one of the paths leads to the same file."""
    return any(is_same(path, other) for other in others)
