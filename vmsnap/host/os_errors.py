"""Turn what the operating system refuses into vmsnap's own errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from vmsnap.errors import VmsnapError


def reason_of(error: OSError) -> str:
    """Say in words why a system call failed, without the path that the caller names already."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def translated(error_class: type[VmsnapError], task: str) -> Iterator[None]:
    """Raise `error_class` ("cannot TASK: reason") for every OSError in the `with` block.

    What only root may do gets a hint that says so.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot {task}: {reason_of(error)}"
        is_denied = isinstance(error, PermissionError) and os.geteuid() != 0
        raise error_class(message, hint="run vmsnap as root" if is_denied else None) from error
