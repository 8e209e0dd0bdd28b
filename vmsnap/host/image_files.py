"""Image files as files: made, synced, given away and unlinked."""

import hashlib
import os
import stat
from pathlib import Path

from vmsnap.errors import ImageError, ImageExistsError
from vmsnap.host.folders import sync_folder
from vmsnap.host.os_errors import reason_of, translated
from vmsnap.model import Digest, FrozenFacts

FILE_MODE = 0o600
HEADER_BYTES = 64 * 1024


def require_image_file(path: Path) -> None:
    """Raise ImageError unless `path` leads to a file or block device: a FIFO would block."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        message = f"image '{path}' does not exist"
        raise ImageError(message) from error
    except OSError as error:
        message = f"cannot read image '{path}': {reason_of(error)}"
        raise ImageError(message) from error
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        message = f"image '{path}' is neither a file nor a block device"
        raise ImageError(message)


def create_empty(path: Path, like: Path) -> None:
    """Make an empty file that only its owner can read, with the owner of `like`.

    Raises ImageExistsError if the name is taken, ImageError.
    """
    with translated(ImageError, f"make image '{path}'"):
        owner = like.stat()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        except FileExistsError as error:
            message = f"'{path}' exists already"
            raise ImageExistsError(message) from error
        try:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Write a file's data and its folder's entries to the disk. Raises ImageError."""
    with translated(ImageError, f"sync image '{path}'"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)


def unlink(path: Path) -> None:
    """Unlink a file and sync its folder; a missing file is fine. Raises ImageError."""
    with translated(ImageError, f"remove image '{path}'"):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def facts_of(path: Path) -> FrozenFacts | None:
    """Take a file's size, mtime and header digest; None if it is missing. Raises ImageError."""
    with translated(ImageError, f"read image '{path}'"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            # A block device has no size of its own in its inode.
            size_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            header = file.read(HEADER_BYTES)
    digest = Digest(hashlib.sha256(header).hexdigest())
    return FrozenFacts(size_bytes=size_bytes, mtime_ns=status.st_mtime_ns, header_digest=digest)
