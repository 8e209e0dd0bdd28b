"""Comparing paths of image files, which can be spelt in several ways through links."""

import os.path
from collections.abc import Iterable
from pathlib import Path


def real(path: Path) -> Path:
    """Return the path with all links resolved; a missing file is no error."""
    return Path(os.path.realpath(path))


def is_same(one: Path | None, other: Path | None) -> bool:
    """Tell whether two paths lead to the same place; None leads nowhere."""
    return one is not None and other is not None and real(one) == real(other)


def is_among(path: Path, others: Iterable[Path]) -> bool:
    """Tell whether one of the paths leads to the same place."""
    return any(is_same(path, other) for other in others)
