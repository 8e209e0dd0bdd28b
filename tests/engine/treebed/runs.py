"""Runs of verbs on a machine: to their end, or ended early, settled, and recovered from."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engine.treebed.model import Model
from engine.treebed.qcow2 import chain
from engine.treebed.trap import EndedError, QuickQemuImg, Trap, trapped
from fakes.merging import merging_images

from vmsnap.engine.recover import recover_all
from vmsnap.errors import LeftChangedError, LibvirtError, VmsnapError
from vmsnap.model import Domain, GroupState
from vmsnap.ports import LiveMerge, MergeKind, Ports


class Runs:
    """A machine, and the script of what was done to it."""

    model: Model
    is_said = True
    """Whether deletes said all that they did: not one that was interrupted, nor recover."""

    def __init__(self, world, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.monkeypatch = world, monkeypatch
        self.script: list[str] = []
        self.qemu = QuickQemuImg(world.ports.images._qemu)
        self.prepare()

    def prepare(self) -> None:
        """Let the fake libvirt's block jobs merge real images, and be quick."""
        hypervisor = self.world.hypervisor
        self.world.ports.images._qemu = self.qemu
        self.block_job = merging_images(hypervisor)
        hypervisor.on_merge = self._merge_live
        hypervisor.chain_of = chain_of
        # No power is cut here, and waiting for the disk is a tenth of the time.
        self.monkeypatch.setattr("os.fsync", lambda descriptor: None)

    @property
    def domain(self) -> Domain:
        return self.world.hypervisor.domain(self.world.uuid)

    @property
    def is_running(self) -> bool:
        return self.domain.live is not None

    def groups(self):
        return self.world.ports.catalog.groups()

    def layers(self):
        return self.world.ports.catalog.layers(self.world.hypervisor.host, self.world.uuid)

    def ending(self) -> set[str]:
        return {group.name for group in self.groups() if group.state is GroupState.DELETING}

    def attempt(self, do: Callable[[Ports], object], trap: Trap | None) -> bool:
        """Try a verb; tell whether it has changed anything in the end."""
        if trap is None:
            do(self.world.ports)
            return True
        before = self.world.rows()
        try:
            self.run(do, trap)
        except LeftChangedError:
            raise
        except (EndedError, VmsnapError):
            assert trap.is_sprung
        if trap.is_sprung and trap.how == "kill":
            with self.monkeypatch.context() as patch:
                # Deletes that had to wait are finished below: they are not what was ended.
                patch.setattr("vmsnap.engine.recover._left_deletes", lambda ports: ())
                self._settle(trap)
        has_changed = self.world.rows() != before
        if trap.is_sprung:
            self.script[-1] += f"  # ended: {'done' if has_changed else 'as before'}"
        self.recover()
        return has_changed

    def recover(self) -> None:
        """Nothing is left to recover but deletes, and of a machine that is off not even those."""
        for result in recover_all(self.world.ports, dry_run=False):
            if result.outcome == "waits_for_shutdown":
                continue
            assert (result.verb, result.outcome) == ("group delete", "finished"), result
            self.is_said = False
        left = self.ending()
        assert self.is_running or not left
        again = recover_all(self.world.ports, dry_run=False)
        assert [result.outcome for result in again] == ["waits_for_shutdown"] * bool(left)
        self.model.remove([name for name in self.model.deleting() if name not in left])

    def _settle(self, trap: Trap) -> None:
        """Recover what was killed; the machine may have been started or stopped since."""
        if trap.toggles:
            self._toggle()
        if trap.recovery is not None:
            ending = EndedError if trap.recovery.how == "kill" else VmsnapError
            try:
                self.run_recover(trap.recovery)
            except ending:
                self.script[-1] += "  # recover was ended too"
        results = recover_all(self.world.ports, dry_run=False)
        if self.world.journals():
            assert [result.outcome for result in results] == ["waiting"]
            self.script[-1] += "  # recovered when it was off"
            self.world.hypervisor.stop(self.world.uuid)
            recover_all(self.world.ports, dry_run=False)

    def run(self, do: Callable[[Ports], object], trap: Trap) -> None:
        self.qemu.trap = trap
        try:
            with self.monkeypatch.context() as patch:
                if trap.how == "kill":
                    patch.setattr("vmsnap.engine.journal._settle_after", _die)
                do(trapped(self.world.ports, trap))
        finally:
            self.qemu.trap = None

    def run_recover(self, trap: Trap) -> None:
        """Recover, until a trap ends it."""
        self.run(lambda ports: recover_all(ports, dry_run=False), trap)

    def _toggle(self) -> None:
        hypervisor = self.world.hypervisor
        if self.is_running:
            hypervisor.stop(self.world.uuid)
            return
        try:
            hypervisor.start(self.world.uuid)
        except LibvirtError:
            assert self.domain.definition.is_fenced

    def _merge_live(self, order: LiveMerge) -> None:
        """Do what QEMU does; it can be ended when the data are written and no header is yet.

        Or, with a trap at torn_job, when the header is written and where the data are is not.
        """
        chain = self.domain.chains[order.target]
        above = chain[chain.index(order.top) - 1]
        format_ = "raw" if order.base.suffix == ".raw" else "qcow2"
        trap = self.qemu.trap
        if trap is not None and trap.method == "torn_job" and order.kind is MergeKind.COMMIT:
            rebase = ("rebase", "-u", "-f", "qcow2", "-b", order.base, "-F", format_, above)
            trap.around(LibvirtError, lambda: qemu_img(*rebase), "torn_job")
        if trap is not None:
            commit = ("commit", "-q", "-d", "-f", "qcow2", "-b", order.base, order.top)
            trap.around(LibvirtError, lambda: qemu_img(*commit), "block_job")
        self.block_job(order)


def chain_of(path: Path) -> tuple[Path, ...]:
    """Return what QEMU would open for a disk, topmost first."""
    return tuple(image.path for image in chain(path))


def qemu_img(*words: object) -> None:
    """Run qemu-img."""
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def _die(error, run, steps, done):
    raise error
