"""Planning what of an identity record the database lacks; nothing is changed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from vmsnap.engine.hints import operands
from vmsnap.engine.identity.examining import Examined
from vmsnap.engine.identity.outdated import Outdated, compare
from vmsnap.engine.identity.record import IdentityRecord, digest_of
from vmsnap.engine.paths import real
from vmsnap.errors import ContentError, StateError
from vmsnap.model import (
    Backup,
    Capture,
    CatalogChange,
    Digest,
    DomainRecord,
    Group,
    GroupKind,
    GroupState,
    HostFileType,
    Layer,
    LayerId,
    ResourceId,
)
from vmsnap.ports import Draft, Ports


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What is to be added to the database, and what cannot be."""

    drafts: tuple[Draft, ...] = ()
    contents: Mapping[Digest, bytes] = field(default_factory=dict, repr=False)
    change: CatalogChange = field(default_factory=CatalogChange)
    left_out: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the database has all of it already."""
        return not (self.drafts or self.change.layers or self.change.moved_snapshots)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups that come back."""
        return tuple(group.name for group in self._groups if group.kind is not GroupKind.SINGLE)

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The names of the single snapshots that come back."""
        return tuple(group.name for group in self._groups if group.kind is GroupKind.SINGLE)

    @property
    def lost(self) -> tuple[tuple[str, HostFileType], ...]:
        """The host files whose contents are gone, by their group's name."""
        return tuple(
            (group.name, backup.type)
            for group in self._groups
            for backup in group.resource.backups
            if backup.capture is Capture.LOST
        )

    @property
    def _groups(self) -> tuple[Group, ...]:
        return tuple(draft.group for draft in self.drafts if draft.group is not None)


def plan_rebuild(
    ports: Ports, record: IdentityRecord, examined: Examined, name: str
) -> RebuildPlan:
    """Plan to add the groups and layers that the database lacks; `name` is the domain's now.

    What it has is not replaced, only completed where the image files prove the record right.
    Raises StateError if the two contradict each other.
    """
    known = ports.catalog.layers(record.host_id, record.domain_id)
    outdated = compare(
        ports.images,
        (record.layers, record.groups),
        (known, ports.catalog.groups(record.host_id, record.domain_id)),
        examined.unchanged,
    )
    rows = _Rows(record, examined, known, outdated)
    gone = _gone(ports, examined, known)
    groups, left_out = _missing_groups(ports, record, rows)
    left_out += tuple(_ghostly(name, group) for group in outdated.ghosts)
    needed = {item.layer_id for group in groups for item in group.snapshots}
    layers = (*gone, *rows.changed(needed, {layer.target for layer in gone}))
    if not groups and not outdated.moved and not any(rows.counts(layer) for layer in layers):
        return RebuildPlan(left_out=left_out)
    drafts = tuple(_draft(ports, group, rows) for group in groups)
    change = CatalogChange(
        ready=tuple(group.id for group in groups),
        deleting=tuple(group.id for group in groups if group.state is GroupState.DELETING),
        layers=layers,
        moved_snapshots=outdated.moved,
        record=_domain_record(ports, record, groups, name),
    )
    return RebuildPlan(drafts, _contents(ports, record, drafts), change, left_out)


class _Rows:
    """The layers of a record beside those that the database has: by id, or by the same file."""

    def __init__(
        self,
        record: IdentityRecord,
        examined: Examined,
        known: Iterable[Layer],
        outdated: Outdated,
    ) -> None:
        self._examined = examined
        self._newer = outdated.layers.keys() - outdated.haunted
        self._said = {layer.id: layer.parent_id for layer in record.layers}
        self._known = {layer.id: layer for layer in known}
        by_path = {(layer.target, real(layer.path)): layer for layer in self._known.values()}
        self._ids: dict[LayerId, LayerId] = {}
        for layer in examined.layers:
            same = by_path.get((layer.target, real(layer.path)))
            if layer.id in self._known and (same is None or same.id != layer.id):
                message = (
                    f"the database of domain '{record.domain_name}' and its record say different"
                    f" things of layer '{layer.path}'"
                )
                raise StateError(message, hint=f"vmsnap doctor {operands(record.domain_name)}")
            self._ids[layer.id] = same.id if same is not None else layer.id

    def id_of(self, layer_id: LayerId) -> LayerId:
        """Return the id that a layer of the record has in the database."""
        return self._ids.get(layer_id, layer_id)

    def is_held(self, layer_id: LayerId) -> bool:
        """Tell whether a layer still has what was frozen, as far as its file goes."""
        if layer_id not in self._ids or layer_id in self._examined.missing:
            return False
        row = self._known.get(self.id_of(layer_id))
        if row is not None and row.is_active and layer_id not in self._examined.unchanged:
            return False
        return layer_id not in self._examined.overwritten

    def changed(
        self, needed: Collection[LayerId], freed: Collection[str] = ()
    ) -> tuple[Layer, ...]:
        """Return the rows to add or to complete; of missing files only those that are needed.

        `freed` are disks whose active layer in the database does not count.
        """
        wanted = self._with_parents(needed)
        has_active = {layer.target for layer in self._known.values() if layer.is_active}
        has_active -= set(freed)
        rows = []
        for layer in self._examined.layers:
            if layer.id in self._examined.missing and layer.id not in wanted:
                continue
            row = self._known.get(self.id_of(layer.id))
            parent_id = self.id_of(layer.parent_id) if layer.parent_id else None
            if row is None:
                is_active = layer.is_active and layer.target not in self._still(has_active)
                rows.append(replace(layer, parent_id=parent_id, is_active=is_active))
            elif (completed := self._completed(row, layer, parent_id)) != row:
                rows.append(completed)
        return tuple(rows)

    def counts(self, layer: Layer) -> bool:
        """Tell whether a row to add or to complete is worth it without any group."""
        return layer.is_made_by_vmsnap or layer.id in self._newer

    def _still(self, targets: Collection[str]) -> set[str]:
        """Return the disks whose active layer in the database is not known to be frozen now."""
        frozen = {self.id_of(layer_id) for layer_id in self._examined.unchanged}
        rows = self._known.values()
        active = {row.target for row in rows if row.is_active and row.id not in frozen}
        return active & set(targets)

    def _completed(self, row: Layer, layer: Layer, parent_id: LayerId | None) -> Layer:
        if row.is_active and row.facts is None and layer.id in self._examined.unchanged:
            row = replace(row, is_active=False, facts=layer.facts)
        if row.id == layer.id:
            if layer.id in self._newer:
                row = replace(row, is_active=False, facts=layer.facts)
            if layer.id in self._examined.missing or layer.parent_id != self._said[layer.id]:
                return row
            is_root = parent_id is None and layer.id in self._newer
            return replace(row, parent_id=parent_id) if parent_id or is_root else row
        # A database that was made anew took the file for somebody else's, and for the lowest one.
        is_made = row.is_made_by_vmsnap or layer.is_made_by_vmsnap
        return replace(row, parent_id=row.parent_id or parent_id, is_made_by_vmsnap=is_made)

    def _with_parents(self, needed: Collection[LayerId]) -> set[LayerId]:
        parents = {layer.id: layer.parent_id for layer in self._examined.layers}
        wanted: set[LayerId] = set()
        for layer_id in needed:
            below: LayerId | None = layer_id
            while below is not None and below not in wanted:
                wanted.add(below)
                below = parents.get(below)
        return wanted


def _gone(ports: Ports, examined: Examined, known: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return rows of active layers without a file that the record does not know, as not active.

    They were merged away since, where the record has another one of that disk, and its file.
    """
    recorded = {layer.id for layer in examined.layers}
    active = {
        layer.target
        for layer in examined.layers
        if layer.is_active and layer.id not in examined.missing
    }
    return tuple(
        replace(row, is_active=False)
        for row in known
        if row.is_active
        and row.id not in recorded
        and row.target in active
        and not ports.images.exists(row.path)
    )


def _ghostly(name: str, group: Group) -> str:
    return (
        f"group '{group.name}' was deleted after this copy of the database was made, and others"
        " have its layers now; delete it, then rebuild again:"
        f" vmsnap group delete {operands(name, group.name)}"
    )


def _missing_groups(
    ports: Ports, record: IdentityRecord, rows: _Rows
) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """Return the groups to bring back, parents first, and why others are left out."""
    known = ports.catalog.groups(record.host_id, record.domain_id)
    resources = ports.catalog.resources(record.host_id, record.domain_id)
    ids = {group.id for group in known}
    names = {group.name for group in known} | {resource.name for resource in resources}
    brought: dict[ResourceId, Group] = {}
    left_out = []
    for group in record.groups:
        if group.id in ids:
            continue
        reason = _why_not(record, group, rows)
        if reason is not None:
            left_out.append(f"group '{group.name}': {reason}")
            continue
        if group.name in names:
            message = (
                f"the database has another group or backup '{group.name}' of domain"
                f" '{record.domain_name}' than its record"
            )
            hint = f"vmsnap group delete {operands(record.domain_name, group.name)}"
            raise StateError(message, hint=hint)
        names.add(group.name)
        brought[group.id] = group
    parents = {group.id: group.parent_id for group in record.groups}
    placed = {
        group.id: replace(group, parent_id=_ancestor(group, parents, ids | brought.keys()))
        for group in brought.values()
    }
    return _in_order(placed), tuple(left_out)


def _why_not(record: IdentityRecord, group: Group, rows: _Rows) -> str | None:
    """Say why a group cannot be brought back; None if it can: one of its layers is enough."""
    text = record.definitions.get(group.definition_digest)
    if text is None or digest_of(text) != group.definition_digest:
        return "its definition is not in the record"
    if group.snapshots and not any(rows.is_held(item.layer_id) for item in group.snapshots):
        return "its layers are gone"
    return None


def _ancestor(
    group: Group,
    parents: Mapping[ResourceId, ResourceId | None],
    there: Collection[ResourceId],
) -> ResourceId | None:
    """Return the nearest ancestor that is there; None also if the parents form a circle."""
    seen = {group.id}
    found = group.parent_id
    while found is not None and found not in there and found not in seen:
        seen.add(found)
        found = parents.get(found)
    return found if found in there and found not in seen else None


def _in_order(groups: Mapping[ResourceId, Group]) -> tuple[Group, ...]:
    ordered: list[Group] = []
    waiting = dict(groups)
    while waiting:
        ready = [item for item in waiting.values() if item.parent_id not in waiting]
        # In a circle one has to be the first.
        ready = ready or [replace(next(iter(waiting.values())), parent_id=None)]
        for item in ready:
            del waiting[item.id]
        ordered += ready
    return tuple(ordered)


def _draft(ports: Ports, group: Group, rows: _Rows) -> Draft:
    resource = replace(
        group.resource, backups=tuple(_kept(ports, item) for item in group.resource.backups)
    )
    snapshots = tuple(replace(item, layer_id=rows.id_of(item.layer_id)) for item in group.snapshots)
    drafted = replace(group, resource=resource, snapshots=snapshots, state=GroupState.CREATING)
    return Draft(resource, drafted)


def _kept(ports: Ports, backup: Backup) -> Backup:
    """Return a backup as it is; without its content it is lost."""
    if backup.capture is not Capture.CAPTURED:
        return backup
    try:
        if backup.digest is not None:
            ports.catalog.content(backup.digest)
            return backup
    except ContentError:
        pass
    return replace(backup, capture=Capture.LOST, digest=None, size_bytes=None, meta=None)


def _contents(ports: Ports, record: IdentityRecord, drafts: Iterable[Draft]) -> dict[Digest, bytes]:
    """Collect the definitions, and the host files that the database still has."""
    contents: dict[Digest, bytes] = {}
    for draft in drafts:
        if draft.group is not None:
            digest = draft.group.definition_digest
            contents[digest] = record.definitions[digest].encode("utf-8", "surrogatepass")
        for backup in draft.resource.backups:
            if backup.digest is not None:
                contents[backup.digest] = ports.catalog.content(backup.digest)
    return contents


def _domain_record(
    ports: Ports, record: IdentityRecord, groups: Iterable[Group], name: str
) -> DomainRecord:
    """Return the domain's record: the database's own, unless it is older than the groups."""
    brought = {group.id for group in groups}
    own = ports.catalog.record(record.host_id, record.domain_id)
    there = brought | {group.id for group in ports.catalog.groups(record.host_id, record.domain_id)}
    found = own or DomainRecord(record.host_id, record.domain_id, name)
    said = record.record
    if said is None:
        return replace(found, name=name)
    current = _known_below(record, there, said.current_id)
    if current in brought:
        found = replace(found, current_id=current)
    if said.safety_id in brought:
        base = _known_below(record, there, said.safety_base_id)
        found = replace(found, safety_id=said.safety_id, safety_base_id=base)
    return replace(found, name=name)


def _known_below(
    record: IdentityRecord, there: Collection[ResourceId], group_id: ResourceId | None
) -> ResourceId | None:
    """Return a group of a record, or the nearest that it stood on and that is there."""
    parents = {group.id: group.parent_id for group in record.groups}
    while group_id is not None and group_id not in there:
        group_id = parents.pop(group_id, None)
    return group_id
