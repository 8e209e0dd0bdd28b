"""Turn what the operating system refuses into vmsnap's own errors."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vmsnap.errors import VmsnapError

KERNEL_LOG = "journalctl -k -p err"
READ_ONLY_HINT = "findmnt -O ro"
_HINTS = {
    errno.ENOSPC: "df -h",
    errno.EDQUOT: "df -h",
    errno.EROFS: READ_ONLY_HINT,
    errno.EIO: KERNEL_LOG,
}


def hint_in(complaint: str) -> str | None:
    """Return what to look at where an English complaint is of a disk; None if it is not."""
    found = (hint for number, hint in _HINTS.items() if os.strerror(number) in complaint)
    return next(found, None)


def reason_of(error: OSError) -> str:
    """Say in words why a system call failed, without the path that the caller names already."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def translated(error_class: type[VmsnapError], task: str) -> Iterator[None]:
    """Raise `error_class` ("cannot TASK: reason") for every OSError in the `with` block.

    What only root may do gets a hint that says so, and a disk that fails one where to look.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot {task}: {reason_of(error)}"
        hint = _HINTS.get(error.errno or 0)
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            hint = "run vmsnap as root"
        raise error_class(message, hint=hint) from error
