"""Which id of this host stays the same when libvirtd is started again."""

import re
import uuid
from collections.abc import Sequence
from pathlib import Path

from vmsnap.errors import LibvirtError

PRODUCT_UUID = Path("/sys/class/dmi/id/product_uuid")
MACHINE_ID = Path("/etc/machine-id")
DAEMON_SETTINGS = (Path("/etc/libvirt/libvirtd.conf"), Path("/etc/libvirt/virtqemud.conf"))

_HOST_UUID = re.compile(r"^[ \t]*host_uuid[ \t]*=[ \t]*[\"']([^\"']*)[\"']", re.MULTILINE)


def stable_host_id(
    libvirt_uuid: str | None,
    product_uuid: Path = PRODUCT_UUID,
    machine_id: Path = MACHINE_ID,
    daemon_settings: Sequence[Path] = DAEMON_SETTINGS,
) -> str:
    """Return libvirt's host UUID, or the machine id where libvirt's is made up at each start.

    libvirt takes the UUID of its settings, else that of the mainboard. Without one (containers,
    many ARM boards), or where all its digits are the same, it invents another one every time that
    libvirtd starts. Hosts that were copied may share their machine id: then the settings tell them
    apart. Raises LibvirtError if there is neither.
    """
    is_stable = _has_usable_uuid(product_uuid) or _is_set(libvirt_uuid, daemon_settings)
    if libvirt_uuid is not None and is_stable:
        return libvirt_uuid
    try:
        return str(uuid.UUID(machine_id.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        if libvirt_uuid is None:
            raise LibvirtError(
                "this host has neither a UUID of its own nor a machine id"
            ) from error
        return libvirt_uuid


def _has_usable_uuid(product_uuid: Path) -> bool:
    try:
        digits = product_uuid.read_text(encoding="ascii").strip().replace("-", "")
    except PermissionError:
        # Only root may read it; libvirtd could, and such a board nearly always has a usable one.
        return True
    except (OSError, ValueError):
        return False
    return len(set(digits)) > 1


def _is_set(libvirt_uuid: str | None, daemon_settings: Sequence[Path]) -> bool:
    """Tell whether libvirt has its UUID from its settings, and so will have it again."""
    for path in daemon_settings:
        try:
            said = _HOST_UUID.findall(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if libvirt_uuid in {text.lower() for text in said}:
            return True
    return False
