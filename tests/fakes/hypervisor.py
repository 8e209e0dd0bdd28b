"""A libvirt in memory: stateful, as strict as libvirt where it matters, and able to fail on call.

`on("switch_disks", callback, when="after")` runs a callback at the next such call; one that raises
makes the call fail, after its effect if `when` is "after" (H24), half-way through if "middle".
A callback may also change the world, for instance start the domain (H26).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fakes.block_calls import after_merge, with_backing
from lxml import etree

from vmsnap.errors import DomainNotFoundError, LibvirtError
from vmsnap.host.fence import FENCE_PATH
from vmsnap.host.volumes import located
from vmsnap.model import (
    Definition,
    DiskDefinition,
    Domain,
    DomainId,
    DomainState,
    DomainSummary,
    ForeignSnapshot,
    HostId,
    Job,
)
from vmsnap.ports import Definitions, LiveMerge, Progress

HOST_ID = HostId("11111111-2222-4333-8444-555555555555")
INACTIVE = (DomainState.SHUT_OFF,)


@dataclass
class FakeDomain:
    """One domain: its definition for the next start, and what it runs with."""

    xml: str
    state: DomainState = DomainState.SHUT_OFF
    live_xml: str | None = None
    saved_xml: str | None = None
    is_persistent: bool = True
    block_jobs: tuple[Job, ...] = ()
    checkpoints: tuple[str, ...] = ()
    foreign_snapshots: tuple[ForeignSnapshot, ...] = ()
    live_chains: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    agent: str | None = None
    is_frozen: bool = False


@dataclass
class Hook:
    """A callback for the n-th call of a method from now on."""

    method: str
    when: str
    skip: int
    callback: Callable[[], object]


@dataclass
class FakeHypervisor:
    """The Hypervisor port in memory.

    `file_exists` says which files there are, for starting and switching; `chain_of` which files
    QEMU opens for a disk, topmost first. `calls` lists the methods called, in order, with what they
    were about. `on_merge` is what a block job does to the images.
    """

    reader: Definitions
    host: HostId = HOST_ID
    file_exists: Callable[[Path], bool] = Path.exists
    chain_of: Callable[[Path], tuple[Path, ...]] = lambda path: (path,)
    on_merge: Callable[[LiveMerge], None] = lambda _order: None
    depth: int = 200
    owner: tuple[int, int] | None = None
    secrets: set[str] = field(default_factory=set)
    volumes: dict[tuple[str, str], Path] = field(default_factory=dict)
    machines: dict[DomainId, FakeDomain] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)

    # --- for tests ------------------------------------------------------------------------------

    def on(
        self, method: str, callback: Callable[[], object], *, when: str = "before", skip: int = 0
    ) -> None:
        """Run a callback once, at a call of `method` from now on: before, middle or after."""
        assert when in {"before", "middle", "after"}
        assert hasattr(self, method)
        self.hooks.append(Hook(method, when, skip, callback))

    def fail(
        self,
        method: str,
        error: Exception | None = None,
        *,
        when: str = "before",
        skip: int = 0,
    ) -> None:
        """Make a call of `method` fail: before it did anything, half-way, or after it happened."""

        def raise_it() -> None:
            raise error or LibvirtError(f"libvirt cannot do '{method}': injected")

        self.on(method, raise_it, when=when, skip=skip)

    def add(self, xml: str, **changes: Any) -> DomainId:
        """Define a domain in silence and return its id; `changes` are fields of FakeDomain."""
        domain_id = self.reader.parse(xml).id
        self.machines[domain_id] = replace(FakeDomain(xml), **changes)
        return domain_id

    def start(self, domain_id: DomainId) -> None:
        """Start a domain as virsh would: from its saved image if it has one."""
        self._enter("start", domain_id)
        machine = self._machine(domain_id)
        if machine.state not in INACTIVE:
            raise LibvirtError("libvirt cannot start the domain: Domain is already active")
        xml = machine.saved_xml or machine.xml
        for path in self._storage_of(xml):
            if path == FENCE_PATH or not self.file_exists(path):
                raise LibvirtError(
                    "libvirt cannot start the domain: "
                    f"Cannot access storage file '{path}': No such file or directory"
                )
        machine.live_xml, machine.saved_xml = xml, None
        machine.live_chains = {
            disk.target: self.chain_of(disk.path)
            for disk in self.reader.parse(xml).disks
            if disk.path is not None
        }
        machine.state = DomainState.RUNNING

    def stop(self, domain_id: DomainId) -> None:
        """Pull the plug."""
        machine = self._machine(domain_id)
        machine.state, machine.live_xml = DomainState.SHUT_OFF, None
        machine.live_chains, machine.is_frozen = {}, False
        if not machine.is_persistent:
            del self.machines[domain_id]

    def suspend(self, domain_id: DomainId) -> None:
        """Pause a running domain."""
        self._enter("suspend", domain_id)
        self._active(domain_id).state = DomainState.PAUSED
        self._run_hooks("suspend", "after")

    def resume(self, domain_id: DomainId) -> None:
        """Let a paused domain run."""
        self._enter("resume", domain_id)
        self._active(domain_id).state = DomainState.RUNNING
        self._run_hooks("resume", "after")

    def save(self, domain_id: DomainId) -> None:
        """Write a managed-save image and stop the domain."""
        machine = self._active(domain_id)
        machine.saved_xml = machine.live_xml
        self.stop(domain_id)

    def undefine(self, domain_id: DomainId) -> None:
        """Forget a domain."""
        del self.machines[domain_id]

    def rename(self, domain_id: DomainId, name: str) -> None:
        """Give a domain another name."""
        machine = self._machine(domain_id)
        machine.xml = self.reader.with_name(machine.xml, name)

    # --- the port -------------------------------------------------------------------------------

    def host_id(self) -> HostId:
        self._enter("host_id")
        return self.host

    def domains(self) -> tuple[DomainSummary, ...]:
        self._enter("domains")
        summaries = (
            DomainSummary(domain_id, self.reader.parse(machine.xml).name, machine.state)
            for domain_id, machine in self.machines.items()
        )
        return tuple(sorted(summaries, key=lambda summary: summary.name))

    def domain(self, domain_id: DomainId) -> Domain:
        self._enter("domain", domain_id)
        machine = self._machine(domain_id)
        definition = self.reader.parse(machine.xml)
        return Domain(
            id=domain_id,
            name=definition.name,
            state=machine.state,
            is_persistent=machine.is_persistent,
            has_managed_save=machine.saved_xml is not None,
            xml=machine.xml,
            definition=definition,
            active_paths={disk.target: disk.path for disk in self._current(machine) if disk.path},
            chains=dict(machine.live_chains),
            live=self.reader.parse(machine.live_xml) if machine.live_xml is not None else None,
            agent=machine.agent if machine.live_xml is not None else None,
            block_jobs=machine.block_jobs,
            checkpoints=machine.checkpoints,
            foreign_snapshots=machine.foreign_snapshots,
        )

    def definitions(self) -> tuple[Definition, ...]:
        self._enter("definitions")
        found = []
        for machine in self.machines.values():
            inactive = self.reader.parse(machine.xml)
            live = self.reader.parse(machine.live_xml or machine.xml)
            found += [inactive] if live == inactive else [inactive, live]
        return located(found, lambda pool, volume: self.volumes.get((pool, volume)))

    def define(self, xml: str) -> None:
        definition = self.reader.parse(xml)
        self._enter("define", definition.id)
        for domain_id, machine in self.machines.items():
            name = self.reader.parse(machine.xml).name
            if domain_id == definition.id and name != definition.name:
                raise LibvirtError(
                    f"libvirt cannot define the domain: domain '{name}' is already defined "
                    f"with uuid {domain_id}"
                )
            if domain_id != definition.id and name == definition.name:
                raise LibvirtError(
                    f"libvirt cannot define the domain: domain '{name}' already exists "
                    f"with uuid {domain_id}"
                )
        self._run_hooks("define", "middle")
        if definition.id in self.machines:
            machine = self.machines[definition.id]
            machine.xml, machine.is_persistent = xml, True
        else:
            self.machines[definition.id] = FakeDomain(xml)
        self._run_hooks("define", "after")

    def switch_disks(
        self, domain_id: DomainId, overlays: Mapping[str, Path], targets: Collection[str] = ()
    ) -> float:
        if not overlays:
            return 0.0
        self._enter("switch_disks", domain_id, *sorted(overlays))
        machine = self._machine(domain_id)
        known = {disk.target for disk in self._current(machine)}
        for target in sorted(known - set(targets)) if targets else ():
            raise LibvirtError(f"libvirt cannot switch the disks: missing existing file: {target}")
        for target, overlay in overlays.items():
            if target not in known:
                raise LibvirtError(f"the domain has no disk '{target}'")
            if not self.file_exists(overlay):
                raise LibvirtError(
                    "libvirt cannot switch the disks: "
                    f"missing existing file for disk {target}: {overlay}"
                )
        if machine.state in INACTIVE and machine.checkpoints:
            raise LibvirtError(
                "libvirt cannot switch the disks: "
                "cannot perform block operations while checkpoint exists"
            )
        for number, (target, overlay) in enumerate(sorted(overlays.items())):
            if number == 1:
                self._run_hooks("switch_disks", "middle")
            self._switch(machine, target, overlay)
        if len(overlays) == 1:
            self._run_hooks("switch_disks", "middle")
        self._run_hooks("switch_disks", "after")
        return 25.0

    def sync_definitions(self) -> None:
        self._enter("sync_definitions")

    def freeze(self, domain_id: DomainId, timeout_seconds: int) -> None:
        self._enter("freeze", domain_id, str(timeout_seconds))
        machine = self._active(domain_id)
        if machine.agent != "connected":
            raise LibvirtError("libvirt cannot freeze: QEMU guest agent is not connected")
        machine.is_frozen = True
        self._run_hooks("freeze", "after")

    def thaw(self, domain_id: DomainId) -> None:
        self._enter("thaw", domain_id)
        self._active(domain_id).is_frozen = False
        self._run_hooks("thaw", "after")

    def shut_down(self, domain_id: DomainId) -> None:
        self._enter("shut_down", domain_id)
        self._active(domain_id)
        self.stop(domain_id)

    def merge_live(self, domain_id: DomainId, order: LiveMerge, progress: Progress) -> None:
        self._enter("merge_live", domain_id, order.target, order.kind.value)
        machine = self._machine(domain_id)
        if machine.live_xml is None:
            message = f"libvirt cannot merge disk '{order.target}': domain is not running"
            raise LibvirtError(message)
        chain = machine.live_chains[order.target]
        after = after_merge(chain, order)
        if after != chain:
            self._run_hooks("merge_live", "middle")
            progress(1, 2)
            self.on_merge(order)
            progress(2, 2)
            # The fake does not read images; a file named .qcow2 is one.
            top = after[0]
            source = {order.target: (top, "qcow2" if top.suffix != ".raw" else "raw")}
            assert machine.live_xml is not None
            machine.live_xml = self.reader.with_sources(machine.live_xml, source)
            machine.xml = self.reader.with_sources(machine.xml, source)
            machine.live_chains[order.target] = after
        machine.xml = self.reader.with_sources(machine.xml, {})
        self._run_hooks("merge_live", "after")

    def remove_managed_save(self, domain_id: DomainId) -> None:
        self._enter("remove_managed_save", domain_id)
        self._machine(domain_id).saved_xml = None
        self._run_hooks("remove_managed_save", "after")

    def managed_save_xml(self, domain_id: DomainId) -> str | None:
        self._enter("managed_save_xml", domain_id)
        return self._machine(domain_id).saved_xml

    def redefine_managed_save(self, domain_id: DomainId, xml: str) -> None:
        self._enter("redefine_managed_save", domain_id)
        machine = self._machine(domain_id)
        if machine.saved_xml is None:
            raise LibvirtError(
                "libvirt cannot change the managed-save image: no managed save image found"
            )
        machine.saved_xml = xml
        self._run_hooks("redefine_managed_save", "after")

    def has_secret(self, secret_id: str) -> bool:
        self._enter("has_secret", secret_id)
        return secret_id in self.secrets

    def qemu_owner(self) -> tuple[int, int] | None:
        self._enter("qemu_owner")
        return self.owner

    def max_chain_depth(self) -> int:
        self._enter("max_chain_depth")
        return self.depth

    # --- inside ---------------------------------------------------------------------------------

    def _enter(self, method: str, *about: str) -> None:
        self.calls.append((method, *about))
        self._run_hooks(method, "before")

    def _run_hooks(self, method: str, when: str) -> None:
        for hook in [hook for hook in self.hooks if (hook.method, hook.when) == (method, when)]:
            if hook.skip > 0:
                hook.skip -= 1
                continue
            self.hooks.remove(hook)
            hook.callback()

    def _machine(self, domain_id: DomainId) -> FakeDomain:
        if domain_id not in self.machines:
            raise DomainNotFoundError(f"this host has no domain with the UUID '{domain_id}'")
        return self.machines[domain_id]

    def _active(self, domain_id: DomainId) -> FakeDomain:
        machine = self._machine(domain_id)
        if machine.live_xml is None:
            raise LibvirtError("domain is not running")
        return machine

    def _current(self, machine: FakeDomain) -> tuple[DiskDefinition, ...]:
        return self.reader.parse(machine.live_xml or machine.xml).disks

    def _storage_of(self, xml: str) -> list[Path]:
        """Return all files that libvirt looks for at a start, the fence's among them."""
        sources = etree.fromstring(xml.encode()).iterfind("devices/disk/source[@file]")
        return [Path(source.get("file", "")) for source in sources]

    def _switch(self, machine: FakeDomain, target: str, overlay: Path) -> None:
        source = {target: (overlay, "qcow2")}
        if machine.live_xml is not None:
            machine.live_chains[target] = (overlay, *machine.live_chains.get(target, ()))
        if machine.live_xml is None:
            machine.xml = self.reader.with_sources(machine.xml, source)
            return
        before = machine.xml
        machine.live_xml = self.reader.with_sources(machine.live_xml, source)
        machine.xml = with_backing(self.reader.with_sources(before, source), before, target)
