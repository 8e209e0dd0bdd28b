"""Owner, mode and extended attributes of open files."""

import os
import stat

from vmsnap.model import FileMeta

PERMISSION_BITS = 0o777
"""Never the set-user-id and its kin: what is put back comes from a database."""

FOREIGN_PREFIX = "trusted.libvirt."
"""libvirt's own notes on who owned the file; they describe a run that is over."""

KERNEL_NAMES = frozenset({"security.evm", "security.ima"})
"""The kernel computes them itself, of the content and of the inode."""


def meta_of(descriptor: int) -> FileMeta:
    """Read owner, mode and attributes of an open file or folder. Raises OSError."""
    status = os.fstat(descriptor)
    names = sorted(name for name in os.listxattr(descriptor) if is_kept(name))
    return FileMeta(
        uid=status.st_uid,
        gid=status.st_gid,
        mode=stat.S_IMODE(status.st_mode) & PERMISSION_BITS,
        xattrs=tuple((name, os.getxattr(descriptor, name).hex()) for name in names),
    )


def is_kept(name: str) -> bool:
    """Tell whether an extended attribute belongs to what is captured and put back."""
    return not name.startswith(FOREIGN_PREFIX) and name not in KERNEL_NAMES


def apply_meta(descriptor: int, meta: FileMeta) -> None:
    """Give an open file or folder that vmsnap made this owner, mode and attributes.

    Raises OSError, ValueError if an attribute's value is not hex.
    """
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (meta.uid, meta.gid):
        os.fchown(descriptor, meta.uid, meta.gid)
    # After chown, which clears mode bits; before the attributes, of which an ACL sets its own.
    os.fchmod(descriptor, meta.mode & PERMISSION_BITS)
    for name, value in meta.xattrs:
        if is_kept(name):
            os.setxattr(descriptor, name, bytes.fromhex(value))
