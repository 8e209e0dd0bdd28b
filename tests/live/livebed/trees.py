"""The random-tree test's bed on a real libvirt: QEMU writes, merges and holds the images."""

import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from engine.treebed.bed import Bed
from engine.treebed.inspection import inspect_groups, inspect_machine, inspect_tree
from engine.treebed.trap import EndedError, Trap
from livebed.killing import Runner
from livebed.machine import Machine, VirshError, virsh
from livebed.world import UNCOUNTED, World
from lxml import etree

from vmsnap.cli.need import Need
from vmsnap.cli.wiring import Wiring
from vmsnap.config import load_settings
from vmsnap.errors import LibvirtError
from vmsnap.host.image_pull import PREFIX
from vmsnap.model import DiskDefinition, Domain, DomainId
from vmsnap.ports import Ports

SIGNALS = {"kill": signal.SIGKILL, "signal": signal.SIGTERM}


class Silent:
    """A reporter that says nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def progress(self, text: str, done: int, total: int) -> None:
        """Say nothing."""


class LiveHypervisor:
    """The real libvirt as the tree bed asks it."""

    def __init__(self, ports: Ports, machine: Machine) -> None:
        self.real, self.machine = ports.hypervisor, machine
        self.host = self.real.host_id()

    def domain(self, domain_id: DomainId) -> Domain:
        """Look at a domain."""
        return self.real.domain(domain_id)

    def start(self, _: DomainId) -> None:
        """Start the machine; its processors never run, or its firmware would write."""
        try:
            self.machine.start("--paused")
        except VirshError as error:
            raise LibvirtError(str(error)) from error

    def suspend(self, _: DomainId) -> None:
        """Do nothing: it is paused already."""

    def stop(self, _: DomainId) -> None:
        """Pull the plug."""
        self.machine.destroy()


@dataclass(frozen=True)
class LiveWorld:
    """A machine on the private host, as the tree bed uses it."""

    live: World
    ports: Ports
    hypervisor: LiveHypervisor

    @property
    def name(self) -> str:
        """Return the domain's name."""
        return self.live.name

    @property
    def uuid(self) -> DomainId:
        """Return the domain's UUID."""
        return DomainId(self.live.machine.id)

    @property
    def disks(self) -> dict[str, Path]:
        """Return the original images by target."""
        return self.live.machine.originals

    @property
    def folder(self) -> Path:
        """Return where the images are."""
        return self.live.machine.folder

    @property
    def nvram(self) -> Path:
        """Return where the UEFI variable store is."""
        return self.live.machine.nvram

    @property
    def tpm(self) -> Path:
        """Return where the TPM's state is."""
        return self.live.machine.tpm

    def rows(self) -> tuple[object, ...]:
        """Return everything that the catalog says."""
        catalog = self.ports.catalog
        layers = catalog.layers(self.hypervisor.host, self.uuid)
        return (
            catalog.groups(),
            catalog.resources(),
            tuple(sorted(layers, key=lambda layer: layer.id)),
            catalog.records(),
        )

    def journals(self) -> tuple[DomainId, ...]:
        """Return the domains that have journals."""
        return self.ports.journals.pending()


def wire(url: str) -> Wiring:
    """Open vmsnap's real adapters, with a new database."""
    return Wiring(load_settings({}, {"VMSNAP_DATABASE": url}), Silent(), Need.MAKE)


class LiveBed(Bed):
    """A tree bed on a real libvirt; a kill or a signal ends a process of vmsnap's own."""

    def __init__(
        self, world: World, wiring: Wiring, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A killed run's qemu-img may hold the lock for a moment.
        ports = replace(wiring.ports, wait_seconds=60)
        self.runner = runner
        self.words: tuple[str, ...] = ()
        hypervisor = LiveHypervisor(ports, world.machine)
        super().__init__(LiveWorld(world, ports, hypervisor), monkeypatch)

    def prepare(self) -> None:
        """Leave everything as it is: libvirt, qemu-img and the disk are real."""

    # --- the verbs, as they are typed -----------------------------------------------------------

    def create(self, name: str, exclude: Collection[str] = (), trap: Trap | None = None) -> None:
        left_out = [word for target in exclude for word in ("--exclude", target)]
        self.words = ("snapshot", "create", self.world.name, "--name", name, *left_out)
        super().create(name, exclude, trap)

    def revert(
        self, name: str, *, safety: bool = True, keep: bool = False, trap: Trap | None = None
    ) -> None:
        flags = [] if safety else ["--no-safety", "--yes"]
        flags += ["--keep-definition"] if keep else []
        self.words = ("group", "revert", self.world.name, name, *flags)
        super().revert(name, safety=safety, keep=keep, trap=trap)

    def undo(self, *, force: bool = False, trap: Trap | None = None) -> None:
        self.words = ("undo", self.world.name, *(["--force"] if force else []))
        super().undo(force=force, trap=trap)

    def delete(self, *names: str, children: bool = False, trap: Trap | None = None) -> None:
        flags = ["--children"] if children else []
        self.words = ("group", "delete", self.world.name, *names, *flags, "--yes")
        if any("/" in name for name in names):
            self.words = ()
            if len(names) == 1 and not children:
                self.words = ("snapshot", "delete", self.world.name, *names, "--yes")
        super().delete(*names, children=children, trap=trap)

    def ungroup(self, name: str, *, drop: bool = False, trap: Trap | None = None) -> None:
        flags = ["--drop-backup"] if drop else []
        self.words = ("group", "ungroup", self.world.name, name, *flags)
        super().ungroup(name, drop=drop, trap=trap)

    def finish_deletes(self, trap: Trap | None = None) -> None:
        self.words = ("recover",)
        super().finish_deletes(trap)

    def run(self, do: Callable[[Ports], object], trap: Trap) -> None:
        """Run a verb until its trap; what ends recover is an error, or a kill played here."""
        if trap.how == "error" or not self.words:
            super().run(do, trap)
            return
        words, self.words = self.words, ()
        number = SIGNALS[trap.how]
        ended = self.runner(*words, at=trap.at, number=number)
        if ended.status in {-signal.SIGKILL, 128 + signal.SIGTERM}:
            trap.is_sprung = True
            raise EndedError
        assert ended.status in {0, 3}, f"{words}: {ended.status}\n{ended.stderr}"

    # --- what QEMU does -------------------------------------------------------------------------

    def _write(self, disk: DiskDefinition, commands: list[str]) -> None:
        if not self.is_running:
            super()._write(disk, commands)
            return
        for command in commands:
            said = self._ask_qemu(disk.target, command)
            assert said.startswith("wrote") or not said, said

    def _resize(self, disk: DiskDefinition, size: int) -> None:
        if self.is_running:
            virsh("blockresize", self.world.uuid, disk.target, f"{size}B")
        else:
            super()._resize(disk, size)

    def _ask_qemu(self, target: str, command: str) -> str:
        xml = etree.fromstring(virsh("dumpxml", self.world.uuid))
        (alias,) = xml.xpath(f"devices/disk[target/@dev='{target}']/alias/@name")
        device = f"/machine/peripheral/{alias}/virtio-backend"
        line = f'qemu-io -d {device} "{command}"'
        return virsh("qemu-monitor-command", self.world.uuid, "--hmp", line)

    def touch_firmware(self, value: int) -> None:
        self._note("touch_firmware", value)
        with self.world.nvram.open("r+b") as file:
            file.seek(-16, 2)
            file.write(bytes([value]) * 16)
        if not self.is_running:  # else swtpm has it in memory
            self.world.live.change_tpm(value)
        nvram, tpm = self.firmware_files()
        self.model.firmware = replace(self.model.firmware, nvram=nvram, tpm=tpm)
        self.inspect()

    # --- what is held against the model ---------------------------------------------------------

    def memory(self) -> int:
        return int(etree.fromstring(self.domain.xml).findtext("memory"))

    def inspect(self) -> None:
        """Compare contents, rows and files; a paused machine stays so, one that is off is sound."""
        if self.is_running:
            assert self.world.live.machine.state == "paused"
            for target in self.model.disks:
                self._ask_qemu(target, "flush")
        known: dict[Path, bytes] = {}
        layers = {layer.id: layer for layer in self.layers()}
        groups = {group.name: group for group in self.groups()}
        inspect_machine(self, known)
        inspect_groups(self, groups, layers, known)
        inspect_tree(self, groups, layers)
        self._inspect_files({layer.path for layer in layers.values()})

    def _inspect_files(self, layers: set[Path]) -> None:
        found = {path for path in self.world.folder.iterdir() if not UNCOUNTED.match(path.name)}
        left = self.world.live.leftovers()
        if self.model.deleting():
            # What a pull that was killed has left is taken up by the next delete.
            found = {path for path in found if not path.name.startswith(PREFIX)}
            left = [line for line in left if "not ready" not in line and PREFIX not in line]
        assert found == layers | self.originals
        assert left == []
        if not self.is_running:
            assert self.world.live.damaged() == []
