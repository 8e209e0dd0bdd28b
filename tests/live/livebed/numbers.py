"""Numbers that a guest which writes all the time has left; are they of one instant?"""

import struct
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

MIB = 1024 * 1024
SECTOR = 512
# As guest/writing.sh has them.
REGION = 48 * MIB
REGION_END = 49 * MIB - SECTOR
VARIABLE = "VmsnapNumber"
VENDOR = uuid.UUID("6f1a0c52-7b1e-4c39-9d53-2f6b8f0a41d7")
# The ext4 of guest/filesystems.sh: its superblock lies 1 KiB behind its start.
SUPERBLOCK = 8 * MIB + 1024
NEEDS_RECOVERY = 0x4

# UEFI's authenticated variable, up to its name: start mark, state, reserved, attributes, count,
# time, key, size of the name, size of the value, vendor.
VARIABLE_HEADER = struct.Struct("<HBBIQ16sIII16s")
START_MARK = 0x55AA
# A variable's state; bits are only ever cleared. The old one is "on its way out" while the new one
# is being written, and counts until that is done.
ADDED, ON_ITS_WAY_OUT = 0x3F, 0x3E


def disagreement(numbers: Mapping[str, str]) -> str | None:
    """Say why numbers that were found together cannot be of one instant; None if they can.

    `numbers`: as the order `numbers` prints them, or `on_disks` and `in_nvram`; "-" counts as 0.
    What a writer does not write must be left out.
    """
    values = {name: 0 if value == "-" else int(value) for name, value in numbers.items()}
    order = sorted(values.items(), key=lambda item: _place(item[0]))
    steps = [value for _, value in order]
    if steps != sorted(steps, reverse=True) or steps[0] - steps[-1] > 1:
        return f"not of one instant: {dict(order)}"
    return None


def _place(name: str) -> tuple[int, str]:
    """Return where a number comes in the order of writing: disks, then variable, then TPM."""
    last = {"variable": 1, "nv": 2}
    return (last.get(name, 0), name)


def on_disks(images: Mapping[str, Path]) -> dict[str, str]:
    """Return the numbers of disks, by the names that the guest has for them, without a boot.

    `images`: the image that each disk uses, by target; what it stands on is followed. A running
    machine may hold them: then the numbers may be of different instants.
    """
    found = {}
    for target, image in images.items():
        found[target] = _number(read_image(image, REGION, SECTOR))
        found[f"{target}.end"] = _number(read_image(image, REGION_END, SECTOR))
    return found


def in_nvram(nvram: bytes) -> str:
    """Return the number in a raw UEFI variable store, "-" if there is none; without a boot."""
    values = {}
    name = VARIABLE.encode("utf-16-le") + b"\0\0"
    place = nvram.find(name)
    while place >= 0:
        mark, state, *_, name_size, size, vendor = VARIABLE_HEADER.unpack_from(
            nvram, place - VARIABLE_HEADER.size
        )
        if mark == START_MARK and vendor == VENDOR.bytes_le and name_size == len(name):
            value = place + len(name)
            values[state] = nvram[value : value + size].decode()
        place = nvram.find(name, place + 1)
    return values.get(ADDED) or values.get(ON_ITS_WAY_OUT) or "-"


def needs_recovery(image: Path) -> bool:
    """Tell whether a disk's ext4 is as after a power cut; a frozen one is as if unmounted.

    Raises ValueError if there is no ext4 (the order `mount` makes it).
    """
    superblock = read_image(image, SUPERBLOCK, 1024)
    (magic,) = struct.unpack_from("<H", superblock, 0x38)
    if magic != 0xEF53:
        raise ValueError(f"no ext4 on '{image}'")
    (incompatible,) = struct.unpack_from("<I", superblock, 0x60)
    return bool(incompatible & NEEDS_RECOVERY)


def read_image(image: Path, offset: int, length: int) -> bytes:
    """Read what an image holds at an offset, through all that it stands on.

    `offset` and `length` are multiples of 512.
    """
    with image.open("rb") as file:
        format_ = "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sectors"
        command = ["qemu-img", "dd", "-U", "-f", format_, "-O", "raw", f"bs={SECTOR}"]
        # QEMU 7.2 takes `count` from the image's start, what is skipped included; so more may come.
        skip, count = offset // SECTOR, (offset + length) // SECTOR
        places = [f"skip={skip}", f"count={count}", f"if={image}", f"of={out}"]
        subprocess.run([*command, *places], check=True, capture_output=True, timeout=30)
        return out.read_bytes()[:length]


def _number(sector: bytes) -> str:
    return sector.rstrip(b"\0 ").decode("ascii", "replace") or "-"
