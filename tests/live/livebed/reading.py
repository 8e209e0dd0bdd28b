"""What images read as, and writing to them as a guest would."""

import hashlib
import subprocess
from pathlib import Path

from livebed.machine import Machine


def content(path: Path) -> str:
    """Return the digest of all that an image gives to read, also while QEMU has it open."""
    raw = Path(f"{path}.read")
    command = ["qemu-img", "convert", "-U", "-f", format_of(path), "-O", "raw", str(path), str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def write(machine: Machine, value: int, *, at_mib: int = 0) -> None:
    """Write a MiB to every disk of a machine that is off."""
    for path in machine.disks.values():
        order = f"write -q -P {value} {at_mib}M 1M"
        subprocess.run(["qemu-io", "-f", format_of(path), "-c", order, str(path)], check=True)


def format_of(path: Path) -> str:
    """Return the format of an image by its name."""
    return "raw" if path.suffix == ".raw" else "qcow2"
