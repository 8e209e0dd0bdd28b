"""Throw-away libvirt machines: made, booted and removed on a private host."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livebed import guest
from livebed.machine_xml import ORDERS, domain_xml
from lxml import etree

IMAGES = Path("/var/lib/libvirt/images")
SWTPM = Path("/var/lib/libvirt/swtpm")
NVRAM = Path("/var/lib/libvirt/qemu/nvram")
MIB = 1024 * 1024
# What the guest's writer prints after each step.
STEP = r"SEQ \d+"


def virsh(*arguments: str, timeout_seconds: float = 60) -> str:
    """Run virsh on the private host's libvirtd and return what it prints; raise if it fails."""
    if os.environ.get("VMSNAP_TEST_HOST") != "private":
        raise RuntimeError("not on a private host: tests must not touch the machine's own libvirt")
    command = ("virsh", "-q", "-c", "qemu:///system", *arguments)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if done.returncode != 0:
        raise VirshError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _copy(source: Path, to: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(to)], check=True, timeout=60)


class VirshError(Exception):
    """Virsh refused; the message is its own."""


class GuestError(Exception):
    """The guest did not do what it was told; the message ends with its console."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What a machine is made of.

    `firmware`: "uefi" (paths in the definition), "secure" (the same with Secure Boot), "auto"
    (`<os firmware='efi'>`: libvirt chooses) or "bios". `tpm`: "2.0", "1.2" or None. `disks`: a
    format per disk, from vda on. `boots_guest`: with the kernel of the test guest, for `boot`.
    `agent`: with a guest agent's channel; the agent itself is started by the order "agent", if at
    all. `nvram_path`: instead of libvirt's usual one. `devices`: more XML.
    """

    firmware: str = "uefi"
    tpm: str | None = "2.0"
    disks: tuple[str, ...] = ("qcow2", "qcow2")
    disk_mib: int = 64
    boots_guest: bool = False
    agent: bool = False
    nvram_path: Path | None = None
    devices: str = ""


class Machine:
    """One defined domain with its folder; `remove` takes all of it away again."""

    def __init__(self, hardware: Hardware, name: str | None = None) -> None:
        self.hardware = hardware
        self.id = str(uuid.uuid4())
        self.name = name or f"vmsnap-test-{self.id[:8]}"
        self.folder = IMAGES / self.name
        self.console = self.folder / "console.log"

    # --- its life ---

    def create(self) -> None:
        """Make the folder and the disks, and define the domain."""
        self.folder.mkdir(mode=0o711)
        self.folder.chmod(0o711)
        for target, format_ in zip(self.targets, self.hardware.disks, strict=True):
            self.make_image(self.original(target), format_, self.hardware.disk_mib)
        if self.hardware.boots_guest:
            guest.install(self.folder)
        self.define(self.xml())

    def remove(self) -> None:
        """Remove the domain and every file of it, whatever state they are in."""
        with contextlib.suppress(VirshError):
            virsh("destroy", self.id)
        for options in (
            ("--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"),
            ("--keep-nvram",),
        ):
            with contextlib.suppress(VirshError):
                virsh("undefine", self.id, *options)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(SWTPM / self.id, ignore_errors=True)
        self.nvram.unlink(missing_ok=True)

    @staticmethod
    def make_image(path: Path, format_: str, size_mib: int) -> None:
        """Make an empty image."""
        command = ["qemu-img", "create", "-q", "-f", format_, str(path), f"{size_mib}M"]
        subprocess.run(command, check=True, timeout=30)

    def define(self, xml: str) -> None:
        """Define a domain from XML, or define this one anew."""
        file = self.folder / "define.xml"
        file.write_text(xml)
        virsh("define", str(file))
        file.unlink()

    def save_state(self, folder: Path) -> None:
        """Copy disks, NVRAM and TPM state into a folder, with owners and modes."""
        folder.mkdir(mode=0o700)
        for source in (*self.originals.values(), self.nvram, self.tpm):
            _copy(source, folder)

    def load_state(self, folder: Path) -> None:
        """Take over what another machine of the same hardware saved, before the first start."""
        for target in self.targets:
            _copy(folder / self.original(target).name, self.original(target))
        _copy(next(folder.glob("*_VARS.fd")), self.nvram)
        self.tpm.parent.mkdir(mode=0o711)
        self.tpm.parent.chmod(0o711)
        _copy(folder / self.tpm.name, self.tpm.parent)

    # --- what it looks like ---

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets of the disks that the machine was made with."""
        return tuple(f"vd{chr(ord('a') + number)}" for number in range(len(self.hardware.disks)))

    def original(self, target: str) -> Path:
        """Return the image that a disk was made with."""
        format_ = self.hardware.disks[self.targets.index(target)]
        return self.folder / f"{target}.{format_}"

    @property
    def originals(self) -> dict[str, Path]:
        """Return the images that all disks were made with, by target."""
        return {target: self.original(target) for target in self.targets}

    @property
    def disks(self) -> dict[str, Path]:
        """Return what the definition says that each disk uses now, by target."""
        lines = virsh("domblklist", self.id, "--inactive").splitlines()
        return {target: Path(path) for target, path in (line.split(None, 1) for line in lines)}

    @property
    def nvram(self) -> Path:
        """Return where the UEFI variable store is."""
        return self.hardware.nvram_path or NVRAM / f"{self.name}_VARS.fd"

    @property
    def tpm(self) -> Path:
        """Return the directory of the TPM's state."""
        return SWTPM / self.id / ("tpm1.2" if self.hardware.tpm == "1.2" else "tpm2")

    @property
    def state(self) -> str:
        """Return the state as virsh words it."""
        return virsh("domstate", self.id)

    def definition(self) -> str:
        """Return the inactive definition, with its secrets."""
        return virsh("dumpxml", self.id, "--inactive", "--security-info")

    def host_files(self) -> dict[str, str]:
        """Return the SHA-256 of the NVRAM and of each file of the TPM's state, by path.

        swtpm's lock file is no state and is left out.
        """
        files = [self.nvram, *sorted(self.tpm.glob("*"))]
        return {
            str(file): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            if file.is_file() and file.name != ".lock"
        }

    # --- what it does ---

    def start(self, *options: str) -> None:
        """Start the machine; with "--paused" not one instruction runs."""
        virsh("start", self.id, *options)

    def destroy(self) -> None:
        """Stop the machine at once."""
        virsh("destroy", self.id)

    def make_host_files(self) -> None:
        """Have libvirt make the NVRAM and the TPM's state, in about a second and without a boot."""
        self.start("--paused")
        self.destroy()

    def boot(self, *orders: str, limit_seconds: float = 120) -> Mapping[str, str]:
        """Boot the guest, wait until it has carried out the orders and is off.

        Returns what the last order `read` found, by name: secret, variable, vda, vdb; "-" where
        there is nothing. Raises GuestError if an order failed or the time is up.
        """
        self._boot(orders)
        self._wait_until_off(limit_seconds)
        console = self.console_text()
        if "\nFAILED" in console or "\nEND\n" not in console:
            raise GuestError(f"orders {orders} were not carried out\n{console}")
        return self.found()

    def boot_and_stay(self, *orders: str, limit_seconds: float = 120) -> None:
        """Boot the guest, wait until it has carried out the orders; it stays up until `stop`.

        Raises GuestError if an order failed or the time is up.
        """
        self._boot((*orders, "serve"))
        self.wait_for("SERVING", limit_seconds=limit_seconds)
        if "agent" in orders:
            self.wait_for_agent()

    def tell(self, *orders: str, limit_seconds: float = 60) -> Mapping[str, str]:
        """Have a guest that stays up carry out more orders; needs the hardware's `agent`.

        Returns what the last order `read` or `numbers` found. Raises GuestError as `boot` does.
        """
        for order in orders:
            word = order.split()[0]
            done = self.count_lines(f"DONE {word}")
            # Held open until the guest has read it: QEMU drops what it could not pass on.
            with self._connect_to_orders() as connection:
                connection.sendall(f"{order}\n".encode())
                self.wait_for(f"DONE {word}", times=done + 1, limit_seconds=limit_seconds)
        if "agent" in orders:
            self.wait_for_agent()
        return self.found()

    def stop(self, limit_seconds: float = 60) -> None:
        """Have libvirt ask a guest that stays up to power off, and wait until it is off.

        As libvirt does it: through the agent where one is connected, else by the power button.
        """
        virsh("shutdown", self.id)
        self._wait_until_off(limit_seconds)

    def ask_agent(self, command: str, limit_seconds: int = 10) -> object:
        """Send a command without arguments to the guest agent; return its answer."""
        line = json.dumps({"execute": command})
        answer = virsh("qemu-agent-command", self.id, "--timeout", str(limit_seconds), line)
        found: object = json.loads(answer)["return"]
        return found

    def wait_for_agent(self, limit_seconds: float = 20) -> None:
        """Wait until libvirt reaches the agent, which is a moment after the guest started it."""
        until = time.monotonic() + limit_seconds
        while True:
            try:
                self.ask_agent("guest-ping")
            except VirshError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return

    def wait_for(self, line: str, *, times: int = 1, limit_seconds: float = 60) -> None:
        """Wait until the guest has printed a whole line, so many times since its start.

        Raises GuestError if anything failed in the guest, it is off, or the time is up.
        """
        self._wait_for_lines(re.escape(line), times, limit_seconds)

    def wait_for_steps(self, count: int, limit_seconds: float = 60) -> None:
        """Wait until a guest with a writer has made so many steps from now on."""
        made = self._count_lines(STEP)
        self._wait_for_lines(STEP, made + count, limit_seconds)

    def count_lines(self, line: str) -> int:
        """Count how often the guest has printed a whole line in its last boot."""
        return self._count_lines(re.escape(line))

    def _count_lines(self, pattern: str) -> int:
        return len(re.findall(f"^{pattern}$", self.console_text(), re.MULTILINE))

    def _wait_for_lines(self, pattern: str, times: int, limit_seconds: float) -> None:
        until = time.monotonic() + limit_seconds
        while self._count_lines(pattern) < times:
            console = self.console_text()
            if "\nFAILED" in console:
                raise GuestError(f"failed before it said '{pattern}'\n{console}")
            if time.monotonic() > until or self.state == "shut off":
                raise GuestError(f"did not say '{pattern}' in {limit_seconds} s\n{console}")
            time.sleep(0.1)

    def found(self) -> Mapping[str, str]:
        """Return the guest's last line of results, by name; empty if there is none."""
        results = re.findall(r"^RESULT (.*)$", self.console_text(), re.MULTILINE)
        return dict(word.split("=", 1) for word in results[-1].split()) if results else {}

    def _boot(self, orders: tuple[str, ...]) -> None:
        guest.give_orders(self.folder, orders, has_agent=self.hardware.agent)
        self.console.unlink(missing_ok=True)
        self.start()

    def _wait_until_off(self, limit_seconds: float) -> None:
        until = time.monotonic() + limit_seconds
        while self.state != "shut off":
            if time.monotonic() > until:
                self.destroy()
                raise GuestError(f"not off after {limit_seconds} s\n{self.console_text()}")
            time.sleep(0.1)

    def _connect_to_orders(self) -> socket.socket:
        """Open the channel for orders; only a running domain's definition has its path."""
        channels = etree.fromstring(virsh("dumpxml", self.id)).iterfind("devices/channel")
        (path,) = (
            channel.find("source").get("path")
            for channel in channels
            if channel.find("target").get("name") == ORDERS
        )
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(path)
        return connection

    def console_text(self) -> str:
        """Return what the guest has printed in its last boot."""
        if not self.console.exists():
            return ""
        return self.console.read_text(errors="replace").replace("\r", "")

    # --- its definition ---

    def xml(self) -> str:
        """Return the definition that the machine is made with."""
        return domain_xml(self)
