"""Make folders, and sync them so that the names in them survive a power loss."""

import os
from pathlib import Path

PRIVATE_MODE = 0o700


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter, its missing parents too, all synced.

    A folder that exists already is left as it is. Raises OSError.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_private_folder(folder.parent)
    try:
        folder.mkdir(PRIVATE_MODE)
    except FileExistsError:
        # Another process was faster; anything but a folder is an error of the call that follows.
        return
    sync_folder(folder.parent)
