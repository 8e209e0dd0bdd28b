"""One machine on real images and its model, taken through the same steps and compared after each.

Every step is a method that writes itself down, so that a failure prints a script to play again.
The machine runs or is off: the steps between `start` and `stop` are done on a running one.
"""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest
from engine.treebed.inspection import inspect, inspect_with_qemu
from engine.treebed.model import Firmware, Model
from engine.treebed.qcow2 import read_image
from engine.treebed.runs import Runs
from engine.treebed.trap import Trap
from lxml import etree

from vmsnap.engine.create import create_group
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import (
    CreateRequest,
    DeleteRequest,
    RevertRequest,
    UndoRequest,
    UngroupRequest,
)
from vmsnap.engine.revert import revert_group
from vmsnap.engine.undo import undo_last
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import (
    DomainRunningError,
    NotAvailableError,
    UndoRefusedError,
    VmsnapError,
)
from vmsnap.model import DiskDefinition
from vmsnap.ports import Ports

CLUSTER = 64 * 1024


class Bed(Runs):
    """The machine of `world`, its model, and the script of what was done to them."""

    def __init__(self, world, monkeypatch: pytest.MonkeyPatch, template: Path | None = None):
        super().__init__(world, monkeypatch)
        self.templates = {template: template.read_bytes()} if template else {}
        self.originals = frozenset(world.disks.values())
        self.said: list[str] = []
        """What deletes said that they did."""
        self.unfit: set[str] = set()
        """Targets whose sizes may not allow to merge into the original file."""
        self.moved: set[str] = set()
        """Targets that were detached, or whose layers an orphan came between."""
        self.loose: set[str] = set()
        """Targets of which a layer may be left to the next delete: its child was dropped."""
        self.branched: set[str] = set()
        self.deletes = 0
        disks = {target: self.read(target) for target in world.disks}
        self.model: Model = Model(disks, Firmware(*self.firmware_files(), memory=self.memory()))

    # --- what is asked ------------------------------------------------------------------------

    def disk(self, target: str):
        return next(disk for disk in self.domain.current.disks if disk.target == target)

    def read(self, target: str) -> bytes:
        disk = self.disk(target)
        return read_image(disk.path, disk.format, {})

    def firmware_files(self) -> tuple[bytes, bytes]:
        return self.world.nvram.read_bytes(), (self.world.tpm / "tpm2-00.permall").read_bytes()

    def memory(self) -> int:
        xml = self.world.hypervisor.machines[self.world.uuid].xml
        return int(etree.fromstring(xml).findtext("memory"))

    # --- what the guest does ------------------------------------------------------------------

    def write(self, target: str, *spans: tuple[str, int, int, int]) -> None:
        """Write spans (how, offset, length, value): how is P for a pattern, z or zu for zeros."""
        self._note("write", target, *spans)
        disk, data = self.disk(target), bytearray(self.model.disks[target])
        commands = []
        for how, offset, length, value in spans:
            option = f"-P {value}" if how == "P" else f"-{how}" if how == "z" else "-z -u"
            commands.append(f"write {option} {offset} {length}")
            data[offset : offset + length] = bytes([value if how == "P" else 0]) * length
        self._write(disk, commands)
        self.model.disks[target] = bytes(data)
        self.inspect()

    def touch_firmware(self, value: int) -> None:
        self._note("touch_firmware", value)
        self.world.touch_firmware(value)
        self.model.firmware = replace(
            self.model.firmware, nvram=bytes([value]) * 4096, tpm=bytes([value]) * 100
        )
        self.inspect()

    # --- what an administrator does -------------------------------------------------------------

    def start(self, *, is_paused: bool = True) -> None:
        self._note("start", is_paused=is_paused)
        self.world.hypervisor.start(self.world.uuid)
        if is_paused:
            self.world.hypervisor.suspend(self.world.uuid)

    def stop(self) -> None:
        self._note("stop")
        self.world.hypervisor.stop(self.world.uuid)

    def resize(self, target: str, size: int) -> None:
        """Resize the active image; what QEMU gives in the part that is new is taken as it is."""
        self._note("resize", target, size)
        disk, before = self.disk(target), self.model.disks[target]
        self._resize(disk, size)
        is_odd = size % CLUSTER != 0 and self.world.disks[target].suffix == ".qcow2"
        if size < len(before) or is_odd:
            self.unfit.add(target)
        after = self.read(target)
        assert len(after) == size
        assert after[: len(before)] == before[:size]
        self.model.disks[target] = after
        self.inspect()

    def edit_memory(self, memory: int) -> None:
        self._note("edit_memory", memory)
        root = self._definition()
        root.find("memory").text = str(memory)
        self._redefine(root)
        self.model.firmware = replace(self.model.firmware, memory=memory)
        self.inspect()

    def detach(self, target: str) -> None:
        self._note("detach", target)
        path = self.disk(target).path
        root = self._definition()
        disk = root.find(f"devices/disk/target[@dev='{target}']/..")
        disk.getparent().remove(disk)
        self._redefine(root)
        self.moved.add(target)
        self.model.orphans[path] = (target, self.model.disks.pop(target))
        self.inspect()

    def attach(self, number: int) -> None:
        """Attach an orphan again, counted as the model has them."""
        self._note("attach", number)
        path, (target, data) = list(self.model.orphans.items())[number]
        root = self._definition()
        format_ = "raw" if path.suffix == ".raw" else "qcow2"
        disk = etree.fromstring(
            f"<disk type='file' device='disk'><driver name='qemu' type='{format_}'/>"
            f"<source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
        )
        later = [
            other
            for other in root.find("devices").findall("disk")
            if other.find("target").get("dev") > target or other.get("device") == "cdrom"
        ]
        later[0].addprevious(disk)
        self._redefine(root)
        del self.model.orphans[path]
        self.model.disks[target] = data
        self.model.disks = dict(sorted(self.model.disks.items()))
        self.inspect()

    # --- the verbs ------------------------------------------------------------------------------

    def create(self, name: str, exclude: Collection[str] = (), trap: Trap | None = None) -> None:
        self._note("create", name, exclude=exclude, trap=trap)

        def do(ports: Ports):
            create_group(ports, self.world.name, CreateRequest(name=name, exclude=tuple(exclude)))

        if self.attempt(do, trap):
            self.model.create(name, exclude)
        self.inspect()

    def revert(
        self, name: str, *, safety: bool = True, keep: bool = False, trap: Trap | None = None
    ) -> None:
        self._note("revert", name, safety=safety, keep=keep, trap=trap)
        options = {"with_safety": safety, "keep_definition": keep}
        if self.is_running:
            self._refused(DomainRunningError, self._revert(name, **options))
            return
        if self.model.groups[name].is_deleting:
            self._refused(NotAvailableError, self._revert(name, allow_disk_changes=True, **options))
            return
        if self.model.is_changed_since(name):
            self._refused(NotAvailableError, self._revert(name, **options))
        allow = self.model.is_changed_since(name) or bool(self.moved)
        if self.attempt(self._revert(name, allow_disk_changes=allow, **options), trap):
            if not safety:
                self.loose |= self.model.attached
            kept = self._new_name() if safety else None
            self.model.go_back(name, keep=keep, safety=kept, ends=False)
        self.inspect()

    def undo(self, *, force: bool = False, trap: Trap | None = None) -> None:
        self._note("undo", force=force, trap=trap)
        name = self.model.safety
        do = self._undo(force=force)
        if self.is_running:
            self._refused((DomainRunningError, UndoRefusedError, NotAvailableError), do)
            return
        if name is None or (self.model.has_later_than_safety() and not force):
            self._refused(UndoRefusedError, do)
            return
        if self.model.groups[name].is_deleting:
            self._refused(NotAvailableError, do)
            return
        if self.attempt(do, trap):
            ends = name not in {group.name for group in self.groups()}
            keep = self.model.was_edited()
            held = self.model.groups[name].disks.keys()
            is_needed = self.model.groups[name].is_stood_on or (keep and held - self.model.attached)
            assert ends or is_needed
            self.model.go_back(name, keep=keep, safety=self._new_name(), ends=ends)
        self.inspect()

    def delete(self, *names: str, children: bool = False, trap: Trap | None = None) -> None:
        self._note("delete", *names, children=children, trap=trap)
        wanted = self.model.with_descendants(names) if children else list(names)
        chosen = [
            name
            for name in self.model.groups
            if name in wanted or self.model.groups[name].is_deleting
        ]
        targets = {target for name in chosen for target in self.model.groups[name].disks}

        def do(ports: Ports) -> None:
            singles = tuple(name for name in names if "/" in name)
            groups = [name for name in names if "/" not in name]
            request = DeleteRequest(with_children=children, singles=singles)
            result = delete_groups(ports, self.world.name, groups, request)
            self.said += result.changes
            # On a branch that a running machine does not use, layers wait until it is off.
            are_left = bool(self.ending() & set(chosen))
            assert trap or result.is_complete is not are_left
            assert self.is_running or trap or result.is_complete

        self.deletes += 1
        self.is_said = self.is_said and trap is None
        if self.attempt(do, trap):
            left = self.ending()
            known = [name for name in chosen if name in self.model.groups]
            self.model.mark_deleting([name for name in known if name in left])
            self.model.remove([name for name in known if name not in left])
            if not self.model.deleting():
                self.loose -= targets
        self.inspect()

    def ungroup(self, name: str, *, drop: bool = False, trap: Trap | None = None) -> None:
        self._note("ungroup", name, drop=drop, trap=trap)
        request = UngroupRequest(drop_backup=drop)
        if self.attempt(lambda ports: ungroup(ports, self.world.name, name, request), trap):
            known = [group.name for group in self.groups()]
            singles = [item for item in known if item.rpartition("/")[0] == name]
            self.model.ungroup(name, singles, drop=drop)
        self.inspect()

    def finish_deletes(self, trap: Trap | None = None) -> None:
        """Recover, with the machine off: what had to wait is merged."""
        self._note("finish_deletes", trap=trap)
        assert not self.is_running
        self.is_said = False
        self.attempt(lambda ports: recover_all(ports, dry_run=False), trap)
        self.recover()
        assert self.model.deleting() == []
        self.inspect()

    def finish(self) -> None:
        """Ask QEMU, then delete all groups: the machine is on its original files if sizes allow."""
        if self.is_running:
            self.stop()
        if self.model.deleting():
            self.finish_deletes()
        inspect_with_qemu(self)
        if self.model.groups:
            self.delete(*self.model.groups)
        assert self.model.groups == {}
        for target, path in self.world.disks.items():
            if target in self.moved or self.disk(target).path == path:
                continue
            assert target in self.unfit, f"{path} is not used any more"
            is_named = any(f"'{path}' stays" in line for line in self.said)
            assert is_named or not self.is_said
        inspect_with_qemu(self)

    # --- inside ---------------------------------------------------------------------------------

    def inspect(self) -> None:
        """Hold everything against the model."""
        inspect(self)

    def _write(self, disk: DiskDefinition, commands: list[str]) -> None:
        words = [word for command in commands for word in ("-c", command)]
        argv = ["qemu-io", "-f", disk.format, *words, str(disk.path)]
        subprocess.run(argv, check=True, capture_output=True)

    def _resize(self, disk: DiskDefinition, size: int) -> None:
        argv = ["qemu-img", "resize", "-q", "--shrink", "-f", disk.format, disk.path, size]
        subprocess.run(list(map(str, argv)), check=True, capture_output=True)

    def _note(self, verb: str, *args: object, **options: object) -> None:
        words = [repr(arg) for arg in args]
        words += [f"{name}={value!r}" for name, value in options.items() if value not in ((), None)]
        self.script.append(f"bed.{verb}({', '.join(words)})")

    def _revert(self, name: str, **options: bool) -> Callable[[Ports], object]:
        request = RevertRequest(**options)
        return lambda ports: revert_group(ports, self.world.name, name, request)

    def _undo(self, *, force: bool) -> Callable[[Ports], object]:
        return lambda ports: undo_last(ports, self.world.name, UndoRequest(force=force))

    def _refused(
        self,
        error: type[VmsnapError] | tuple[type[VmsnapError], ...],
        do: Callable[[Ports], object],
    ) -> None:
        before = self.world.rows()
        with pytest.raises(error):
            do(self.world.ports)
        assert self.world.rows() == before
        self.inspect()

    def _new_name(self) -> str:
        (name,) = {group.name for group in self.groups()} - self.model.groups.keys()
        return name

    def _definition(self):
        return etree.fromstring(self.world.hypervisor.machines[self.world.uuid].xml)

    def _redefine(self, root) -> None:
        xml = etree.tostring(root, encoding="unicode")
        self.world.hypervisor.machines[self.world.uuid].xml = xml
