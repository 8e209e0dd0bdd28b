"""The folder that an administrator names for overlays."""

from pathlib import Path

from vmsnap.engine.hints import operands
from vmsnap.engine.paths import real
from vmsnap.errors import StateError, UnsupportedError, UsageError
from vmsnap.model import Layer, Snapshot, is_device_path
from vmsnap.ports import Ports


def require_overlay_folder(ports: Ports, folder: Path) -> Path:
    """Return the folder with its links resolved, if overlays can live in it.

    It must be absolute and exist, must not be in memory below /dev, and QEMU's user must be able to
    get there as far as modes tell. Raises UsageError, StateError or UnsupportedError.
    """
    if not folder.is_absolute():
        message = f"folder '{folder}' for overlays is no absolute path"
        raise UsageError(message, hint=f"--overlay-dir {operands(str(folder.absolute()))}")
    found = real(folder)
    if not found.is_dir():
        message = f"folder '{folder}' for overlays does not exist"
        raise StateError(message, hint=f"mkdir -m 711 {operands(str(folder))}")
    if found.is_relative_to("/dev"):
        message = f"folder '{folder}' is below /dev, where nothing is kept over a boot"
        raise UnsupportedError(message)
    owner = ports.hypervisor.qemu_owner()
    blocked = ports.images.blocked_at(found, owner) if owner is not None else None
    if blocked is not None:
        message = f"QEMU's user cannot enter '{blocked}' to open overlays in '{folder}'"
        raise StateError(message, hint=f"chmod o+x {operands(str(blocked))}")
    return found


def former_folder(layer: Layer, snapshot: Snapshot) -> Path | None:
    """Return the folder of the first overlay on a frozen layer, for another one.

    None if it is gone: beside the layer will do, unless that is a block device (StateError).
    """
    folder = real(snapshot.active_path.parent)
    if folder.is_dir():
        return folder
    if is_device_path(layer.path):
        message = f"folder '{folder}', which held the overlays of disk {layer.target}, is gone"
        raise StateError(message, hint=f"mkdir -m 711 {operands(str(folder))}")
    return None
