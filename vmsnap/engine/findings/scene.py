"""What doctor knows of one domain, read once: its rows, its journal and its definition."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vmsnap.engine.assess import verdict_by_definition
from vmsnap.engine.findings.finding import Finding, Kind, Mend
from vmsnap.engine.journal import Interrupted, load
from vmsnap.engine.paths import is_same
from vmsnap.engine.settling import domain_if_defined
from vmsnap.engine.steps.all import STEPS
from vmsnap.errors import HostFileError, ImageError
from vmsnap.model import (
    DiskDefinition,
    Domain,
    DomainId,
    DomainRecord,
    Group,
    GroupState,
    HostId,
    ImageInfo,
    Layer,
    LayerId,
    Operation,
    Resource,
)
from vmsnap.ports import Ports


@dataclass(frozen=True)
class Scene:
    """One domain as the four truths tell of it; images are read when they are asked for.

    `domain` is None if it is not defined. `interrupted` is what the journal tells, None without
    one, or if `journal_problem` says why it cannot be read.
    """

    ports: Ports
    host_id: HostId
    id: DomainId
    domain: Domain | None
    record: DomainRecord | None
    groups: tuple[Group, ...]
    resources: tuple[Resource, ...]
    layers: Mapping[LayerId, Layer]
    pending: tuple[Operation, ...]
    pending_elsewhere: tuple[Operation, ...]
    has_journal: bool
    interrupted: Interrupted | None
    journal_problem: HostFileError | None
    _infos: dict[Path, ImageInfo | ImageError | None] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The domain's name of today, else the last one known, else its UUID."""
        if self.domain is not None:
            return self.domain.name
        if self.record is not None:
            return self.record.name
        return self.interrupted.operation.domain_name if self.interrupted else self.id

    @property
    def is_settled(self) -> bool:
        """Whether no journal tells of an operation that may have left things half-way."""
        return not self.has_journal

    @cached_property
    def is_ending(self) -> bool:
        """Whether groups wait for another delete, which takes up what an earlier one left."""
        return any(group.state is GroupState.DELETING for group in self.groups)

    @cached_property
    def needed(self) -> frozenset[LayerId]:
        """The layers that a READY group stands on, each with all below it."""
        found: set[LayerId] = set()
        for group in self.groups:
            if group.state is not GroupState.READY:
                continue
            for item in group.snapshots:
                layer = self.layers.get(item.layer_id)
                while layer is not None and layer.id not in found:
                    found.add(layer.id)
                    layer = self.layers.get(layer.parent_id) if layer.parent_id else None
        return frozenset(found)

    @cached_property
    def chains(self) -> tuple[tuple[DiskDefinition, tuple[ImageInfo, ...] | ImageError], ...]:
        """The disks that snapshots take, with what the next start finds, or why it finds none."""
        found: list[tuple[DiskDefinition, tuple[ImageInfo, ...] | ImageError]] = []
        for disk in self.domain.definition.disks if self.domain is not None else ():
            if disk.path is None or not verdict_by_definition(disk).is_taken:
                continue
            try:
                found.append((disk, self.ports.images.chain(disk.path, disk.format)))
            except ImageError as error:
                found.append((disk, error))
        return tuple(found)

    def info(self, layer: Layer) -> ImageInfo | ImageError | None:
        """Return what a layer's header says, the error of reading it, or None if it is missing."""
        if layer.path not in self._infos:
            self._infos[layer.path] = self._read(layer)
        return self._infos[layer.path]

    def layer_at(self, path: Path | None) -> Layer | None:
        """Return the recorded layer whose file a path leads to."""
        return next((item for item in self.layers.values() if is_same(item.path, path)), None)

    def find(
        self, kind: Kind, subject: object, message: str, command: str, mend: Mend | None = None
    ) -> Finding:
        """Make a finding of this domain."""
        return Finding(kind, self.id, self.name, str(subject), message, command, mend)

    def _read(self, layer: Layer) -> ImageInfo | ImageError | None:
        if not self.ports.images.exists(layer.path):
            return None
        try:
            return self.ports.images.info(layer.path, layer.format)
        except ImageError as error:
            return error


def read_scene(ports: Ports, domain_id: DomainId) -> Scene:
    """Read one domain. Raises what the ports raise, but for a journal that cannot be read."""
    host_id = ports.hypervisor.host_id()
    has_journal = domain_id in ports.journals.pending()
    interrupted, problem = _journal(ports, domain_id)
    return Scene(
        ports=ports,
        host_id=host_id,
        id=domain_id,
        domain=domain_if_defined(ports, domain_id),
        record=ports.catalog.record(host_id, domain_id),
        groups=ports.catalog.groups(host_id, domain_id),
        resources=ports.catalog.resources(host_id, domain_id),
        layers={layer.id: layer for layer in ports.catalog.layers(host_id, domain_id)},
        pending=tuple(
            item for item in ports.catalog.pending(host_id) if item.domain_id == domain_id
        ),
        pending_elsewhere=_pending_elsewhere(ports, host_id, domain_id),
        has_journal=has_journal,
        interrupted=interrupted,
        journal_problem=problem,
    )


def disk_layers(scene: Scene) -> Iterator[tuple[Layer, Layer | None]]:
    """Yield each recorded layer with its recorded parent."""
    for layer in scene.layers.values():
        yield layer, scene.layers.get(layer.parent_id) if layer.parent_id else None


def _pending_elsewhere(ports: Ports, host_id: HostId, domain_id: DomainId) -> tuple[Operation, ...]:
    """Return what keeps this host from changing a domain; drafts alone do not."""
    other = ports.catalog.claimant(domain_id)
    if other is None or other == host_id:
        return ()
    operations = ports.catalog.pending(other)
    return tuple(item for item in operations if item.domain_id == domain_id and item.verb)


def _journal(ports: Ports, domain_id: DomainId) -> tuple[Interrupted | None, HostFileError | None]:
    try:
        return load(ports, domain_id, STEPS), None
    except HostFileError as error:
        return None, error
