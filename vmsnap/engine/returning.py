"""Planning the way back to a group, for revert and undo: what is left is kept, then replaced."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.capture import Captured, capture, verdict_on, witnesses_of
from vmsnap.engine.groups import GroupPlan, draft_group, taken_names
from vmsnap.engine.journal import Step
from vmsnap.engine.names import generated_name
from vmsnap.engine.placing import Placing, plan_placing
from vmsnap.engine.returning_disks import (
    Goal,
    ReturningDisks,
    frozen_below,
    not_kept_disks,
    overlay_steps,
    plan_disks,
    untouched_disks,
)
from vmsnap.engine.steps.definition import (
    Define,
    Fence,
    FenceManagedSave,
    LiftFence,
    RemoveManagedSave,
)
from vmsnap.engine.steps.host_files import ConfirmUnchanged
from vmsnap.engine.steps.overlays import DropLayer
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
    LeftOutDisk,
    Operation,
)
from vmsnap.ports import Draft, Ports

SAFETY_PREFIX = "safety-"

NOT_CHANGED = "not changed by the revert"
"""Why a safety group leaves a disk out in peace; any other reason means that it was lost."""


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
    disks = plan_disks(ports, operation, domain, goal)
    definition = _definition_after(ports, domain, goal, disks)
    parsed = ports.definitions.parse(definition)
    types = frozenset(HostFileType) - goal.leave
    placing = plan_placing(
        ports, operation.id, goal.group.resource, types, (domain.definition, parsed)
    )
    captured = capture(ports, domain.definition, _not_capturable(domain))
    drafts, contents = _safety(ports, operation, domain, goal, (disks, captured))
    steps: list[Step] = [Reserve(), *overlay_steps(goal, disks)]
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
    not_kept = not_kept_disks(disks) if goal.with_safety else ()
    return Way(tuple(steps), drafts, contents, changes, not_kept)


def _definition_after(ports: Ports, domain: Domain, goal: Goal, disks: ReturningDisks) -> str:
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
    present: tuple[ReturningDisks, Sequence[Captured]],
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
            *not_kept_disks(disks),
            *(LeftOutDisk(target, NOT_CHANGED) for target in untouched_disks(domain, goal, disks)),
        ),
    )
    draft, contents = draft_group(ports, operation.host_id, domain, plan)
    return (draft,), contents


def _fence_steps(ports: Ports, domain: Domain, goal: Goal) -> list[Step]:
    if goal.drop_managed_save and domain.has_managed_save:
        xml = ports.hypervisor.managed_save_xml(domain.id)
        if xml is not None:
            return [FenceManagedSave(xml), Fence()]
    return [Fence()]


def _confirm(
    disks: ReturningDisks, captured: Sequence[Captured], placing: Placing
) -> ConfirmUnchanged:
    host_files = dict.fromkeys((*witnesses_of(captured), *placing.witnesses))
    return ConfirmUnchanged(tuple(host_files), tuple(item.witness() for item in disks.frozen))


def _define(domain: Domain, definition: str, disks: ReturningDisks) -> Define:
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.definition.disks
        if disk.path is not None and disk.target in {layer.target for layer in disks.active}
    }
    return Define(new=definition, old=domain.xml, sources=sources)


def _proof(parsed: Definition, goal: Goal, disks: ReturningDisks, placing: Placing) -> ProveReturn:
    overlays = () if goal.ends_group else disks.active
    witnesses = dict.fromkeys(item for layer in disks.active for item in frozen_below(disks, layer))
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


def _change(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    goal: Goal,
    parts: tuple[ReturningDisks, Sequence[Draft]],
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
