"""Which id of this host stays the same when libvirtd is started again."""

import uuid
from pathlib import Path

from vmsnap.errors import LibvirtError

PRODUCT_UUID = Path("/sys/class/dmi/id/product_uuid")
MACHINE_ID = Path("/etc/machine-id")


def stable_host_id(
    libvirt_uuid: str | None, product_uuid: Path = PRODUCT_UUID, machine_id: Path = MACHINE_ID
) -> str:
    """Return libvirt's host UUID, or the machine id where libvirt's is made up at each start.

    libvirt takes the UUID of the mainboard. Without one (containers, many ARM boards), or where
    all its digits are the same, it invents another one every time that libvirtd starts. Raises
    LibvirtError if there is neither.
    """
    if libvirt_uuid is not None and _has_usable_uuid(product_uuid):
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
