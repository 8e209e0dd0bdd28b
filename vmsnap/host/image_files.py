"""Image files as files: made, synced, given away and unlinked."""

import hashlib
import os
import pwd
import stat
from contextlib import suppress
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


def is_image_file(path: Path) -> bool:
    """Tell whether `path` leads to a file or block device, as far as it can be looked at."""
    try:
        require_image_file(path)
    except ImageError:
        return False
    return True


def create_empty(path: Path, like: Path) -> None:
    """Make an empty file that only its owner can read, with the owner of `like`.

    On a block device it stays the caller's: libvirt gives it away, and the node's owner means
    others. Raises ImageExistsError if the name is taken, ImageError.
    """
    with translated(ImageError, f"make image '{path}'"):
        owner = like.stat()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        except FileExistsError as error:
            message = f"'{path}' exists already"
            raise ImageExistsError(message) from error
        try:
            if not stat.S_ISBLK(owner.st_mode):
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
    """Unlink a file and sync its folder; a missing file is fine.

    Raises ImageError, also for anything but a regular file: a device is never made by vmsnap.
    """
    with translated(ImageError, f"remove image '{path}'"):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                message = f"cannot remove image '{path}': it is no regular file"
                raise ImageError(message)
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def files_in(folder: Path) -> tuple[Path, ...]:
    """Return the regular files of a folder, links not among them, sorted. Raises ImageError."""
    with translated(ImageError, f"list folder '{folder}'"):
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(folder / item.name for item in entries if _is_plain(item)))


def mode_of(path: Path) -> int | None:
    """Return the permission bits of a regular file; None if it is none. Raises ImageError."""
    with translated(ImageError, f"look at image '{path}'"):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return None
    return stat.S_IMODE(mode) & 0o777 if stat.S_ISREG(mode) else None


def make_private(path: Path) -> None:
    """Give a regular file the mode 0600, a link not followed. Raises ImageError."""
    with translated(ImageError, f"change the mode of image '{path}'"):
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                message = f"cannot change the mode of image '{path}': it is no file of one name"
                raise ImageError(message)
            os.fchmod(descriptor, FILE_MODE)
        finally:
            os.close(descriptor)


def _is_plain(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except FileNotFoundError:
        return False


def facts_of(path: Path) -> FrozenFacts | None:
    """Take a file's size, mtime and header digest; None if it is missing. Raises ImageError.

    The mtime of a block device is that of its node, which says nothing: 0 stands for it. So a
    change of a device is seen if it touches the first 64 KiB or the size, and not otherwise.
    """
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
    mtime_ns = 0 if stat.S_ISBLK(status.st_mode) else status.st_mtime_ns
    return FrozenFacts(size_bytes=size_bytes, mtime_ns=mtime_ns, header_digest=digest)


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two names lead to one file, or to one block device; missing ones by name."""
    try:
        left, right = one.stat(), other.stat()
    except OSError:
        return one == other
    if stat.S_ISBLK(left.st_mode) and stat.S_ISBLK(right.st_mode):
        return left.st_rdev == right.st_rdev
    return os.path.samestat(left, right)


def blocked_at(folder: Path, owner: tuple[int, int]) -> Path | None:
    """Return the first folder on the way to and with `folder` that a user may not enter.

    `owner` is uid and gid. None if there is none as far as modes tell: root enters all, and what an
    access control list says is not read. Raises ImageError.
    """
    uid, gid = owner
    if uid == 0:
        return None
    groups = _groups_of(uid, gid)
    with translated(ImageError, f"look at folder '{folder}'"):
        for step in (*reversed(folder.parents), folder):
            status = step.stat()
            bit = stat.S_IXOTH
            if status.st_uid == uid:
                bit = stat.S_IXUSR
            elif status.st_gid in groups:
                bit = stat.S_IXGRP
            if not status.st_mode & bit and not _has_access_list(step):
                return step
    return None


def _groups_of(uid: int, gid: int) -> set[int]:
    try:
        return {gid, *os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)}
    except KeyError:
        return {gid}


def _has_access_list(path: Path) -> bool:
    with suppress(OSError):
        return bool(os.getxattr(path, "system.posix_acl_access"))
    return False
