"""Rename without replacing, and exchange two names in one step: what Python's os does not offer."""

import ctypes
import os
from functools import cache

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2


def rename_without_replacing(folder: int, source: str, target_folder: int, target: str) -> None:
    """Rename; raises FileExistsError if the new name is taken, OSError."""
    _renameat2(folder, source, target_folder, target, RENAME_NOREPLACE)


def exchange_names(folder: int, one: str, other_folder: int, other: str) -> None:
    """Let each of two existing names lead to what the other led to. Raises OSError."""
    _renameat2(folder, one, other_folder, other, RENAME_EXCHANGE)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _renameat2(folder: int, source: str, target_folder: int, target: str, flags: int) -> None:
    failed = _library().renameat2(
        folder, os.fsencode(source), target_folder, os.fsencode(target), ctypes.c_uint(flags)
    )
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
