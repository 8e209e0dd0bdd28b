"""The test guest's kernel and initramfs, with the orders for one boot."""

import os
import shutil
import subprocess
from pathlib import Path

LIVE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("VMSNAP_TEST_CACHE", "/var/cache/vmsnap-test"))


def install(folder: Path) -> None:
    """Put the guest's kernel into a machine's folder, and an initramfs that orders nothing.

    Copies, because libvirt gives them to QEMU's user at each start.
    """
    shutil.copyfile(CACHE / "kernel" / "vmlinuz", folder / "kernel")
    give_orders(folder, ())


def give_orders(folder: Path, orders: tuple[str, ...], *, has_agent: bool = False) -> None:
    """Write the initramfs for the next boot; `orders` are lines as guest/init reads them.

    `has_agent`: with the guest agent in it, for orders of guest/filesystems.sh.

    The orders travel in the initramfs, not on the kernel's command line, so that the domain's
    definition, which is part of what vmsnap keeps, stays the same from boot to boot.
    """
    parts = ("base", "agent") if has_agent else ("base",)
    lines = "".join(f"{order}\n" for order in orders)
    archives = b"".join(_padded(_built(part)) for part in parts)
    (folder / "initrd").write_bytes(archives + _archive("orders", lines.encode()))


def _built(part: str) -> bytes:
    command = (LIVE / "guest" / "build.sh", part)
    build = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return Path(build.stdout.strip()).read_bytes()


def _archive(name: str, content: bytes) -> bytes:
    """Return a cpio archive with one file; the kernel reads archives that follow each other."""
    return _entry(name, 0o100644, content) + _entry("TRAILER!!!", 0, b"")


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """Return one entry of a cpio archive in the "newc" format: 13 fields of 8 hex digits."""
    inode, links = 1, 1
    fields = (inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name.encode() + b"\0") + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
