"""Loop devices: block devices of a test's own, each on a file."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from servers.required import MUST_RUN_ALL

CONTROL = Path("/dev/loop-control")
TRIES = 20


def can_make() -> bool:
    """Tell whether this machine lets a test make block devices."""
    return os.geteuid() == 0 and "loop" in Path("/proc/devices").read_text()


needs_loop = pytest.mark.skipif(not (MUST_RUN_ALL or can_make()), reason="no loop devices here")


def attach(image: Path) -> Path:
    """Return a free loop device on a file; nodes that /dev lacks are made."""
    if not CONTROL.exists():
        os.mknod(CONTROL, 0o600 | stat.S_IFCHR, os.makedev(10, 237))
    for _ in range(TRIES):
        device = Path(_run("losetup", "--find"))
        if not device.exists():
            number = int(device.name.removeprefix("loop"))
            os.mknod(device, 0o660 | stat.S_IFBLK, os.makedev(7, number))
        try:
            _run("losetup", str(device), str(image))
        except subprocess.CalledProcessError:
            # Another test took it in between.
            continue
        return device
    message = f"no loop device for '{image}'"
    raise RuntimeError(message)


def detach(device: Path) -> None:
    """Take a loop device from its file."""
    _run("losetup", "--detach", str(device))


def grow(device: Path) -> None:
    """Let a loop device be as large as its file has become."""
    _run("losetup", "--set-capacity", str(device))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()
