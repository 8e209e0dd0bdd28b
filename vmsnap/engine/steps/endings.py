"""The step that ends groups: the last rows of a delete to go."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from vmsnap.engine.journal import Run
from vmsnap.errors import DomainRunningError
from vmsnap.model import CatalogChange, Group, JsonObject, LayerId, ResourceId


@dataclass(frozen=True, slots=True)
class WaitingLayer:
    """A layer that can be merged only once the machine is off, and why."""

    target: str
    layer_id: LayerId
    reason: str


@dataclass(frozen=True, slots=True)
class EndGroups:
    """Remove the groups whose disks were all merged, with their backups.

    Those stay whose layers are `waiting`. A waiting layer that no group names any more holds some
    that had a layer of its disk, so that another delete comes by: those that an `earlier` delete
    left, or else all.
    """

    kind: ClassVar[str] = "end_groups"
    is_commit: ClassVar[bool] = False
    group_ids: tuple[ResourceId, ...]
    waiting: tuple[WaitingLayer, ...] = ()
    earlier: tuple[ResourceId, ...] = ()

    def do(self, run: Run) -> JsonObject | None:
        """End those groups of which nothing is left to merge; say why the others are left."""
        operation, catalog = run.operation, run.ports.catalog
        groups = {
            group.id: group for group in catalog.groups(operation.host_id, operation.domain_id)
        }
        held = self._held(groups)
        ended = tuple(
            group_id
            for group_id in self.group_ids
            if group_id in groups
            and not _is_unmerged(run, groups[group_id])
            and not any(item.startswith(waiting_fact(group_id, "")) for item in held)
        )
        record = catalog.record(operation.host_id, operation.domain_id)
        if record is not None:
            is_used_up = record.safety_id is None or record.safety_id in ended
            record = replace(
                record,
                current_id=_left_below(groups, ended, record.current_id),
                safety_id=None if is_used_up else record.safety_id,
                safety_base_id=None
                if is_used_up
                else _left_below(groups, ended, record.safety_base_id),
            )
        left = {group_id: group for group_id, group in groups.items() if group_id not in ended}
        catalog.apply(
            CatalogChange(
                removed_resources=ended,
                removed_layers=_forgotten(
                    run, {item.target for group in left.values() for item in group.snapshots}
                ),
                record=record,
            )
        )
        return held

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""

    def _held(self, groups: Mapping[ResourceId, Group]) -> JsonObject:
        """Return a fact for each snapshot that has to wait, with code word and reason."""
        ending = [groups[group_id] for group_id in self.group_ids if group_id in groups]
        facts: JsonObject = {}
        for layer in self.waiting:
            mine = [item for group in ending if (item := group.snapshot(layer.target)) is not None]
            named = [item for item in mine if item.layer_id == layer.layer_id]
            before = [item for item in mine if item.group_id in self.earlier]
            for item in named or before or mine:
                fact = waiting_fact(item.group_id, layer.target)
                facts[fact] = [DomainRunningError.code, layer.reason]
        return facts


def waiting_fact(group_id: ResourceId, target: str) -> str:
    """Name the fact that one snapshot has to wait until the machine is off."""
    return f"unmerged:{group_id}/{target}"


def _left_below(
    groups: Mapping[ResourceId, Group],
    ended: Collection[ResourceId],
    group_id: ResourceId | None,
) -> ResourceId | None:
    """Return a group, or the nearest that it stands on and that does not end."""
    while group_id is not None and group_id in ended:
        group_id = groups[group_id].parent_id
    return group_id


def _is_unmerged(run: Run, group: Group) -> bool:
    return any(f"unmerged:{item.target}" in run.facts for item in group.snapshots)


def _forgotten(run: Run, targets: set[str]) -> tuple[LayerId, ...]:
    """Name the layers that need no row any more: original files that nothing was left on."""
    layers = run.ports.catalog.layers(run.operation.host_id, run.operation.domain_id)
    parents = {layer.parent_id for layer in layers}
    return tuple(
        layer.id
        for layer in layers
        if layer.target not in targets
        and layer.parent_id is None
        and layer.id not in parents
        and not layer.is_made_by_vmsnap
    )
