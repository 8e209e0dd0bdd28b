"""Planning the way back to a group, for revert and undo: what is left is kept, then replaced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.assess import AssessedDisk, assess_disks
from vmsnap.engine.capture import Captured, capture, verdict_on, witnesses_of
from vmsnap.engine.disks import (
    Frozen,
    freeze,
    overlay_on,
    require_no_other_users,
    require_space,
)
from vmsnap.engine.foreign import Touched, refuse_ruined
from vmsnap.engine.groups import GroupPlan, draft_group, taken_names
from vmsnap.engine.journal import Step
from vmsnap.engine.names import generated_name
from vmsnap.engine.overlay_folder import former_folder
from vmsnap.engine.paths import real
from vmsnap.engine.placing import Placing, plan_placing
from vmsnap.engine.steps.definition import (
    Define,
    Fence,
    FenceManagedSave,
    LiftFence,
    RemoveManagedSave,
)
from vmsnap.engine.steps.host_files import ConfirmUnchanged, LayerWitness
from vmsnap.engine.steps.overlays import DropLayer, MakeOverlay
from vmsnap.engine.steps.proof import ExpectedOverlay, ProveReturn
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.model import (
    CatalogChange,
    Definition,
    Digest,
    Domain,
    DomainRecord,
    Group,
    GroupKind,
    HostFileType,
    Layer,
    LayerId,
    LeftOutDisk,
    Operation,
    ResourceId,
    Snapshot,
)
from vmsnap.ports import Draft, Ports

SAFETY_PREFIX = "safety-"

NOT_CHANGED = "not changed by the revert"
"""Why a safety group leaves a disk out in peace; any other reason means that it was lost."""


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
class Way:
    """The whole plan of a way back.

    `not_kept` are the disks that are replaced without being kept, though that was wanted.
    """

    steps: tuple[Step, ...]
    drafts: tuple[Draft, ...]
    contents: dict[Digest, bytes]
    changes: tuple[str, ...]
    not_kept: tuple[LeftOutDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class _Disks:
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


def can_end(group: Group, layers: Sequence[Layer], groups: Sequence[Group]) -> bool:
    """Tell whether nothing but the group itself needs its layers as they are."""
    own = {item.layer_id for item in group.snapshots}
    if any(layer.parent_id in own for layer in layers):
        return False
    return not any(
        item.layer_id in own for other in groups if other.id != group.id for item in other.snapshots
    )


def plan_way(ports: Ports, operation: Operation, domain: Domain, goal: Goal) -> Way:
    """Plan all steps back to a group that was checked; nothing is changed.

    Raises what keeps it from being planned: NoSpaceError, StateError, ImageError, HostFileError.
    """
    disks = _plan_disks(ports, operation, domain, goal)
    definition = _definition_after(ports, domain, goal, disks)
    parsed = ports.definitions.parse(definition)
    types = frozenset(HostFileType) - goal.leave
    placing = plan_placing(
        ports, operation.id, goal.group.resource, types, (domain.definition, parsed)
    )
    captured = capture(ports, domain.definition, _not_capturable(domain))
    drafts, contents = _safety(ports, operation, domain, goal, (disks, captured))
    steps: list[Step] = [Reserve(), *_overlay_steps(goal, disks)]
    steps += _fence_steps(ports, domain, goal)
    steps.append(_confirm(disks, captured, placing))
    steps += [*placing.before, _define(domain, definition, disks)]
    steps.append(_proof(parsed, goal, disks, placing))
    steps.append(Commit(_change(ports, operation, domain, goal, (disks, drafts))))
    steps += placing.behind
    steps += [DropLayer(layer.path) for layer in disks.dropped]
    if goal.drop_managed_save and domain.has_managed_save:
        steps.append(RemoveManagedSave())
    steps += [LiftFence(), Finish()]
    changes = (*disks.changes, *placing.changes, *_definition_changes(ports, domain, definition))
    if goal.drop_managed_save and domain.has_managed_save:
        changes += ("managed-save image: the machine's saved RAM is thrown away",)
    not_kept = _not_kept(disks) if goal.with_safety else ()
    return Way(tuple(steps), drafts, contents, changes, not_kept)


def _plan_disks(ports: Ports, operation: Operation, domain: Domain, goal: Goal) -> _Disks:
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
    return _Disks(layers, active, abandoned, unreadable, frozen, dropped, gone, changes)


def _not_kept(disks: _Disks) -> tuple[LeftOutDisk, ...]:
    return tuple(
        LeftOutDisk(disk.disk.target, disk.verdict.reason or "its image cannot be read")
        for disk in disks.unreadable
    )


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


def _definition_after(ports: Ports, domain: Domain, goal: Goal, disks: _Disks) -> str:
    definitions = ports.definitions
    sources = {layer.target: (layer.path, layer.format) for layer in disks.active}
    if goal.keep_definition:
        return definitions.with_sources(domain.xml, sources)
    xml = ports.catalog.content(goal.group.definition_digest).decode()
    present = [item.target for item in goal.group.left_out]
    xml = definitions.with_disks_of(definitions.with_name(xml, domain.name), domain.xml, present)
    return definitions.with_sources(xml, sources)


def _definition_changes(ports: Ports, domain: Domain, definition: str) -> tuple[str, ...]:
    after = {disk.target for disk in ports.definitions.parse(definition).disks}
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.definition.disks
        if disk.path is not None and disk.target in after
    }
    compared = ports.definitions.with_sources(definition, sources)
    if ports.definitions.same(compared, domain.xml):
        return ()
    return ("definition: becomes the group's, apart from the name",)


def _not_capturable(domain: Domain) -> frozenset[HostFileType]:
    return frozenset(
        type_ for type_ in HostFileType if verdict_on(domain.definition, type_).must_be_excluded
    )


def _safety(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    goal: Goal,
    present: tuple[_Disks, Sequence[Captured]],
) -> tuple[tuple[Draft, ...], dict[Digest, bytes]]:
    if not goal.with_safety:
        return (), {}
    disks, captured = present
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    names = taken_names(ports, operation.host_id, operation.domain_id)
    plan = GroupPlan(
        name=generated_name(ports.clock.now(), names, SAFETY_PREFIX),
        description=f"before {operation.verb} to '{goal.group.name}'",
        kind=GroupKind.SAFETY,
        parent_id=record.current_id if record else None,
        frozen=disks.frozen,
        active=disks.active,
        captured=captured,
        left_out=(
            *_not_kept(disks),
            *(LeftOutDisk(target, NOT_CHANGED) for target in _untouched(domain, goal, disks)),
        ),
    )
    draft, contents = draft_group(ports, operation.host_id, domain, plan)
    return (draft,), contents


def _untouched(domain: Domain, goal: Goal, disks: _Disks) -> tuple[str, ...]:
    """Name the disks that stay as they are; others that are not frozen come back by definition."""
    changed = {layer.target for layer in disks.active}
    left_out = {item.target for item in goal.group.left_out}
    return tuple(
        disk.target
        for disk in domain.definition.disks
        if disk.target not in changed and (goal.keep_definition or disk.target in left_out)
    )


def _overlay_steps(goal: Goal, disks: _Disks) -> list[Step]:
    if goal.ends_group:
        return []
    return [
        MakeOverlay(
            layer.path, disks.layers[layer.parent_id].path, disks.layers[layer.parent_id].format
        )
        for layer in disks.active
        if layer.parent_id is not None
    ]


def _fence_steps(ports: Ports, domain: Domain, goal: Goal) -> list[Step]:
    if goal.drop_managed_save and domain.has_managed_save:
        xml = ports.hypervisor.managed_save_xml(domain.id)
        if xml is not None:
            return [FenceManagedSave(xml), Fence()]
    return [Fence()]


def _confirm(disks: _Disks, captured: Sequence[Captured], placing: Placing) -> ConfirmUnchanged:
    host_files = dict.fromkeys((*witnesses_of(captured), *placing.witnesses))
    return ConfirmUnchanged(tuple(host_files), tuple(item.witness() for item in disks.frozen))


def _define(domain: Domain, definition: str, disks: _Disks) -> Define:
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.definition.disks
        if disk.path is not None and disk.target in {layer.target for layer in disks.active}
    }
    return Define(new=definition, old=domain.xml, sources=sources)


def _proof(parsed: Definition, goal: Goal, disks: _Disks, placing: Placing) -> ProveReturn:
    overlays = () if goal.ends_group else disks.active
    witnesses = dict.fromkeys(item for layer in disks.active for item in _below(disks, layer))
    return ProveReturn(
        sources={disk.target: disk.path for disk in parsed.disks},
        overlays=tuple(
            ExpectedOverlay(layer.path, parent.path, parent.format)
            for layer in overlays
            if layer.parent_id is not None
            for parent in [disks.layers[layer.parent_id]]
        ),
        layers=tuple(witnesses),
        host_files=placing.expected,
    )


def _below(disks: _Disks, active: Layer) -> Iterator[LayerWitness]:
    """Name all frozen layers that a layer to come will read; in an undo it is one itself."""
    layer: Layer | None = disks.layers.get(active.id, active)
    while layer is not None:
        if layer.facts is not None:
            yield LayerWitness(layer.path, layer.facts)
        layer = disks.layers.get(layer.parent_id) if layer.parent_id else None


def _change(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    goal: Goal,
    parts: tuple[_Disks, Sequence[Draft]],
) -> CatalogChange:
    disks, drafts = parts
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    safety_id = drafts[0].resource.id if drafts else None
    base = record or DomainRecord(operation.host_id, operation.domain_id, domain.name)
    return CatalogChange(
        ready=tuple(draft.resource.id for draft in drafts),
        layers=(*(row for item in disks.frozen for row in item.rows), *disks.active),
        removed_resources=(goal.group.id,) if goal.ends_group else (),
        removed_layers=tuple(layer.id for layer in (*disks.dropped, *disks.gone)),
        record=replace(
            base,
            name=domain.name,
            current_id=goal.current_id,
            safety_id=safety_id,
            safety_base_id=goal.current_id if safety_id else None,
        ),
    )
