"""The fence: the extra disk that keeps a domain from starting while its files are exchanged.

It names a file that does not exist, so every start fails before the firmware or the TPM is
touched, and libvirt's message names the cure. It is placed where libvirt has to add nothing for it
(no controller, no root port), so that taking it away gives the old definition again.
"""

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

FENCE_PATH = Path("/var/lib/vmsnap/interrupted-run-vmsnap-recover")

# The slots of a bus that chipsets do not claim for themselves. Taking one of the last would make
# libvirt add a bridge, because it keeps a slot free on the pc machine.
PCI_SLOTS = range(0x1C, 0x02, -1)
SPARE_SLOTS = 3

PCI_BUSES = frozenset({"pci-root", "pcie-root", "pci-bridge"})
DRIVE_UNITS = {
    "sata": tuple((0, unit) for unit in range(6)),
    "scsi": tuple((0, unit) for unit in range(1, 64)),
    "ide": tuple((bus, unit) for bus in range(2) for unit in range(2)),
}

Placement = tuple[str, dict[str, str] | None]
"""A bus, and an address on it; without one libvirt chooses."""


def is_fence(disk: etree._Element) -> bool:
    """Tell whether a `<disk>` is the fence; a disk of the machine is never read-only there."""
    source = disk.find("source")
    return (
        source is not None
        and source.get("file") == str(FENCE_PATH)
        and disk.find("readonly") is not None
    )


def add_fence(root: etree._Element) -> None:
    """Add the fence to a definition; nothing happens if it is there."""
    devices = root.find("devices")
    if devices is None:
        devices = etree.SubElement(root, "devices")
    disks = devices.findall("disk")
    if any(is_fence(disk) for disk in disks):
        return
    fence = _fence(root, devices)
    if disks:
        place = devices.index(disks[-1]) + 1
        fence.tail = disks[-1].tail
    else:
        place = 0
        fence.tail = devices.text
    devices.insert(place, fence)


def remove_fence(root: etree._Element) -> None:
    """Take the fence out of a definition; nothing happens without one."""
    for disk in root.findall("devices/disk"):
        if is_fence(disk):
            remove(disk)


def remove(element: etree._Element) -> None:
    """Take an element and the white space after it out of its parent."""
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _fence(root: etree._Element, devices: etree._Element) -> etree._Element:
    bus, address = _placement(root, devices)
    fence = etree.Element("disk", {"type": "file", "device": "disk"})
    etree.SubElement(fence, "driver", {"name": "qemu", "type": "raw"})
    etree.SubElement(fence, "source", {"file": str(FENCE_PATH)})
    etree.SubElement(fence, "target", {"dev": _free_target(devices, bus), "bus": bus})
    etree.SubElement(fence, "readonly")
    if address is not None:
        etree.SubElement(fence, "address", address)
    return fence


def _placement(root: etree._Element, devices: etree._Element) -> Placement:
    machine = root.find("os/type")
    arch = "" if machine is None else machine.get("arch", "")
    # s390x has a PCI root too, but its disks sit on the channel subsystem, which has no controller.
    candidates = itertools.chain(
        () if arch.startswith("s390") else _pci_placements(devices), _drive_placements(devices)
    )
    return next(candidates, ("virtio", None))


def _pci_placements(devices: etree._Element) -> Iterator[Placement]:
    addresses = devices.findall("*/address[@type='pci']")
    used = {(_number(at, "bus"), _number(at, "slot")) for at in addresses}
    for controller in devices.iterfind("controller[@type='pci']"):
        if controller.get("model") not in PCI_BUSES:
            continue
        bus = int(controller.get("index", "0"))
        free = [slot for slot in PCI_SLOTS if (bus, slot) not in used]
        if len(free) > SPARE_SLOTS:
            yield (
                "virtio",
                {
                    "type": "pci",
                    "domain": "0x0000",
                    "bus": f"0x{bus:02x}",
                    "slot": f"0x{free[0]:02x}",
                    "function": "0x0",
                },
            )


def _drive_placements(devices: etree._Element) -> Iterator[Placement]:
    used = {
        (
            _bus_of(address.getparent()),
            *(address.get(part, "0") for part in ("controller", "bus", "unit")),
        )
        for address in devices.iterfind("*/address[@type='drive']")
    }
    for kind, units in DRIVE_UNITS.items():
        for controller in devices.iterfind(f"controller[@type='{kind}']"):
            index = controller.get("index", "0")
            for bus, unit in units:
                if (kind, index, str(bus), str(unit)) not in used:
                    yield (
                        kind,
                        {
                            "type": "drive",
                            "controller": index,
                            "bus": str(bus),
                            "target": "0",
                            "unit": str(unit),
                        },
                    )


def _bus_of(device: etree._Element | None) -> str:
    """Return the bus of a disk; a host device with a drive address is SCSI."""
    target = None if device is None else device.find("target")
    return "scsi" if target is None else target.get("bus", "scsi")


def _number(address: etree._Element, part: str) -> int:
    return int(address.get(part, "0"), 0)


def _free_target(devices: etree._Element, bus: str) -> str:
    """Return a target that no disk has; from the end of the names, where no disk is likely."""
    prefix = {"virtio": "vd", "ide": "hd"}.get(bus, "sd")
    used = {target.get("dev") for target in devices.iterfind("disk/target")}
    letters = string.ascii_lowercase[::-1]
    names = (f"{prefix}{first}{second}" for first in letters for second in letters)
    return next(name for name in names if name not in used)
