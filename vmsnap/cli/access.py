"""Whether whoever runs vmsnap may use what it keeps of the system's libvirt; else a refusal."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmsnap.errors import AccessError

if TYPE_CHECKING:
    from vmsnap.config import Settings


def require_access(settings: "Settings", *, is_changing: bool) -> None:
    """Refuse who may not use journal, locks and database of qemu:///system, before all else.

    What cannot be read is no empty list, and an image that only root can open is not damaged. A
    reading verb that names another database does not need this one. Raises AccessError.
    """
    from vmsnap.config import SYSTEM_STATE_FOLDER

    folder = settings.state_folder
    if folder != SYSTEM_STATE_FOLDER or os.geteuid() == 0:
        return
    if not is_changing and not settings.is_default_database:
        return
    present = next(path for path in (folder, *folder.parents) if _is_there(path))
    _require(present, os.R_OK | os.X_OK, "read")
    database = folder / "vmsnap.db"
    # "No groups yet" is for those who could make the first one.
    is_new = settings.is_default_database and not database.exists()
    if is_changing or is_new:
        _require(present, os.W_OK, "written")
    kept = [folder / "journal", folder / "locks"]
    kept += [database] if settings.is_default_database else []
    for path in kept:
        if path.exists():
            _require(path, os.R_OK | (os.W_OK if is_changing else 0), "used")


def same_as_root(arguments: Sequence[str]) -> str:
    """Write the command line that was typed so that it is run as root."""
    from vmsnap.config import has_password

    # A password on the command line is refused later than this.
    shown = [word for word in arguments if not has_password(word)]
    return shlex.join(("sudo", "vmsnap", *shown))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        # Nor can it be known that it is not: the folder above says who may look.
        return False


def _require(path: Path, mode: int, verb: str) -> None:
    if not os.access(path, mode, effective_ids=True):
        raise AccessError(f"qemu:///system needs root's rights: '{path}' cannot be {verb}")
