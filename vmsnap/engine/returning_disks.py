"""What becomes of each disk on the way back to a group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.assess import AssessedDisk, assess_disks
from vmsnap.engine.disks import (
    Frozen,
    freeze,
    overlay_on,
    require_no_other_users,
    require_space,
)
from vmsnap.engine.foreign import Touched, refuse_ruined
from vmsnap.engine.journal import Step
from vmsnap.engine.overlay_folder import former_folder
from vmsnap.engine.paths import real
from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.engine.steps.overlays import MakeOverlay
from vmsnap.model import (
    Domain,
    Group,
    HostFileType,
    Layer,
    LayerId,
    LeftOutDisk,
    Operation,
    ResourceId,
    Snapshot,
)
from vmsnap.ports import Ports


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to go back to, and how.

    `ends_group` (undo): the group's own layers become active again, and the group ends; else new
    overlays are put on them. `current_id` is where the machine stands afterwards.
    """

    group: Group
    keep_definition: bool
    with_safety: bool
    leave: frozenset[HostFileType]
    drop_managed_save: bool
    ends_group: bool
    current_id: ResourceId | None


@dataclass(frozen=True, slots=True)
class ReturningDisks:
    """What happens to the disks: `active` layers are to come, `frozen` ones are left and kept.

    `unreadable` are replaced too, but nothing of them can be kept; `dropped` layers go altogether,
    `gone` ones have no file already.
    """

    layers: dict[LayerId, Layer]
    active: tuple[Layer, ...]
    abandoned: tuple[AssessedDisk, ...]
    unreadable: tuple[AssessedDisk, ...]
    frozen: tuple[Frozen, ...]
    dropped: tuple[Layer, ...]
    gone: tuple[Layer, ...]
    changes: tuple[str, ...]


def plan_disks(ports: Ports, operation: Operation, domain: Domain, goal: Goal) -> ReturningDisks:
    """Say which layers come and which are left; raises what refuses it, as for lack of space."""
    layers = {
        layer.id: layer for layer in ports.catalog.layers(operation.host_id, operation.domain_id)
    }
    today = {disk.disk.target: disk for disk in assess_disks(ports.images, domain.definition)}
    taken = [
        item for item in goal.group.snapshots if not goal.keep_definition or item.target in today
    ]
    active = tuple(_active(ports, goal, layers[item.layer_id], item) for item in taken)
    require_space(ports.images, [layer.path.parent for layer in active])
    targets = {layer.target for layer in active}
    known = targets | {item.target for item in goal.group.left_out}
    abandoned = tuple(
        disk
        for target, disk in today.items()
        if disk.verdict.is_taken
        and (target in targets or (not goal.keep_definition and target not in known))
    )
    unreadable = tuple(disk for key, disk in today.items() if key in targets and disk.is_unreadable)
    frozen: tuple[Frozen, ...] = ()
    dropped: tuple[Layer, ...] = ()
    if goal.with_safety:
        frozen = tuple(
            freeze(ports, operation.host_id, operation.domain_id, disk) for disk in abandoned
        )
    else:
        dropped = _droppable(abandoned, layers)
        require_no_other_users(ports, domain.id, {layer.path: layer.target for layer in dropped})
        touched = Touched(unlinked=tuple(layer.path for layer in dropped))
        refuse_ruined(ports.images, domain, touched)
    gone = tuple(
        layer for layer in _droppable(unreadable, layers) if not ports.images.exists(layer.path)
    )
    changes = (*_disk_changes(goal, today, active),)
    return ReturningDisks(layers, active, abandoned, unreadable, frozen, dropped, gone, changes)


def not_kept_disks(disks: ReturningDisks) -> tuple[LeftOutDisk, ...]:
    """Name the disks of which a safety group can keep nothing, and why."""
    return tuple(
        LeftOutDisk(disk.disk.target, disk.verdict.reason or "its image cannot be read")
        for disk in disks.unreadable
    )


def untouched_disks(domain: Domain, goal: Goal, disks: ReturningDisks) -> tuple[str, ...]:
    """Name the disks that stay as they are; others that are not frozen come back by definition."""
    changed = {layer.target for layer in disks.active}
    left_out = {item.target for item in goal.group.left_out}
    return tuple(
        disk.target
        for disk in domain.definition.disks
        if disk.target not in changed and (goal.keep_definition or disk.target in left_out)
    )


def overlay_steps(goal: Goal, disks: ReturningDisks) -> list[Step]:
    """Make the overlays that the machine comes back to; an undo goes on in the group's own."""
    if goal.ends_group:
        return []
    return [
        MakeOverlay(
            layer.path, disks.layers[layer.parent_id].path, disks.layers[layer.parent_id].format
        )
        for layer in disks.active
        if layer.parent_id is not None
    ]


def frozen_below(disks: ReturningDisks, active: Layer) -> Iterator[LayerWitness]:
    """Name all frozen layers that a layer to come will read; in an undo it is one itself."""
    layer: Layer | None = disks.layers.get(active.id, active)
    while layer is not None:
        if layer.facts is not None:
            yield LayerWitness(layer.path, layer.facts)
        layer = disks.layers.get(layer.parent_id) if layer.parent_id else None


def _active(ports: Ports, goal: Goal, layer: Layer, snapshot: Snapshot) -> Layer:
    if goal.ends_group:
        return replace(layer, is_active=True, facts=None)
    return overlay_on(ports, layer, former_folder(layer, snapshot))


def _droppable(
    abandoned: Sequence[AssessedDisk], layers: dict[LayerId, Layer]
) -> tuple[Layer, ...]:
    parents = {layer.parent_id for layer in layers.values()}
    paths = {(disk.disk.target, real(disk.disk.path)) for disk in abandoned if disk.disk.path}
    return tuple(
        layer
        for layer in layers.values()
        if (layer.target, real(layer.path)) in paths
        and layer.is_active
        and layer.is_made_by_vmsnap
        and layer.id not in parents
    )


def _disk_changes(
    goal: Goal,
    today: dict[str, AssessedDisk],
    active: Sequence[Layer],
) -> list[str]:
    lines = []
    for layer in active:
        disk = today.get(layer.target)
        if disk is None:
            lines.append(f"disk {layer.target}: attached again, as it was in the group")
        else:
            lines.append(f"disk {layer.target}: from '{disk.disk.path}' to '{layer.path}'")
    targets = {layer.target for layer in active}
    if not goal.keep_definition:
        stay = targets | {item.target for item in goal.group.left_out}
        lines += [_detached(disk) for target, disk in today.items() if target not in stay]
    if goal.keep_definition:
        lines += [
            f"disk {item.target}: stays detached (--keep-definition)"
            for item in goal.group.snapshots
            if item.target not in targets
        ]
    return lines


def _detached(disk: AssessedDisk) -> str:
    where = f" ('{disk.disk.path}' stays)" if disk.disk.path is not None else ""
    return f"disk {disk.disk.target}: detached{where}, it was added since"
