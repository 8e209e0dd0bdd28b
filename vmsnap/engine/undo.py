"""The verb undo: take the last revert or restore of a domain back."""

from collections.abc import Sequence
from dataclasses import replace

from vmsnap.engine.changing import changing, preview_operation, refuse_unsafe, require_changeable
from vmsnap.engine.check import DISK_CHANGES, DOMAIN_STATES, check_group
from vmsnap.engine.disks import require_no_other_users
from vmsnap.engine.find import find_domain_id
from vmsnap.engine.foreign import is_named
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.power import look_as_planned, power_changes, powered
from vmsnap.engine.requests import RestoreRequest, UndoRequest
from vmsnap.engine.restore import plan_restore
from vmsnap.engine.results import RevertResult
from vmsnap.engine.returning import NOT_CHANGED, can_end, plan_way
from vmsnap.engine.returning_disks import Goal
from vmsnap.engine.revert import require_available
from vmsnap.errors import InUseError, NotAvailableError, UndoRefusedError
from vmsnap.model import (
    Capture,
    Digest,
    Domain,
    DomainRecord,
    Group,
    HostFileType,
    Layer,
    Operation,
    Resource,
    local_time,
)
from vmsnap.ports import Draft, Ports

VERB = "undo"

_Plan = tuple[RevertResult, tuple[Step, ...], tuple[Draft, ...], dict[Digest, bytes]]


def undo_last(ports: Ports, domain: str, request: UndoRequest) -> RevertResult:
    """Bring back what the last revert, restore or undo of a domain kept.

    What it is now is kept in turn, so an undo can be undone. Refused if nothing was kept, and,
    unless `force`, if groups were made since or a disk could not be kept, which stays as it is.
    """
    domain_id = find_domain_id(ports, domain)
    power = request.power
    extra = power_changes(ports, domain_id, power)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        result = _plan(ports, operation, look_as_planned(ports, domain_id, power), request)[0]
        return replace(result, changes=(*result.changes, *extra))
    with changing(ports, domain_id, VERB) as operation:

        def plan(found: Domain) -> _Plan:
            return _plan(ports, operation, found, request)

        with powered(ports, domain_id, power, plan):
            result, steps, drafts, contents = plan(ports.hypervisor.domain(domain_id))
            ports.reporter.step(f"undoing on domain '{result.domain_name}': {result.target_name}")
            execute(ports, operation, steps, drafts=drafts, contents=contents)
        return replace(result, changes=(*result.changes, *extra), is_done=True)


def _plan(ports: Ports, operation: Operation, domain: Domain, request: UndoRequest) -> _Plan:
    record = ports.catalog.record(operation.host_id, domain.id)
    resources = ports.catalog.resources(operation.host_id, domain.id)
    safety = next(
        (item for item in resources if record is not None and item.id == record.safety_id), None
    )
    if safety is None:
        message = f"domain '{domain.name}' has no revert or restore that could be undone"
        raise UndoRefusedError(message, hint=f"vmsnap group list {operands(domain.name)}")
    groups = ports.catalog.groups(operation.host_id, domain.id)
    if record is not None and not request.force:
        _require_no_later(domain, safety, record, groups)
    group = next((item for item in groups if item.id == safety.id), None)
    if group is None:
        return _plan_backup(ports, operation, domain, safety)
    if not request.force:
        _require_all_kept(domain, group)
    return _plan_group(ports, operation, domain, (group, groups))


def _require_no_later(
    domain: Domain, safety: Resource, record: DomainRecord, groups: Sequence[Group]
) -> None:
    """Refuse if groups were made since: only a new one moves the machine off the safety's base.

    Times tell nothing: the clock may have been set back.
    """
    if record.current_id == record.safety_base_id:
        return
    later = next((group for group in groups if group.id == record.current_id), None)
    if later is not None:
        message = (
            f"group '{later.name}' of domain '{domain.name}' was made after the state that"
            f" undo would leave ({local_time(safety.created_at)})"
        )
        raise UndoRefusedError(message, hint="--force undoes all the same; the group stays")


def _require_all_kept(domain: Domain, safety: Group) -> None:
    """Refuse if the revert replaced a disk of which nothing could be kept: it would not go back."""
    lacking = [item for item in safety.left_out if item.reason != NOT_CHANGED]
    if lacking:
        first = lacking[0]
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        message = (
            f"disk {first.target} of domain '{domain.name}' could not be kept in '{safety.name}':"
            f" {first.reason}{more}"
        )
        hint = "--force undoes the rest; what could not be kept stays as it is now"
        raise UndoRefusedError(message, hint=hint)


def _plan_backup(ports: Ports, operation: Operation, domain: Domain, safety: Resource) -> _Plan:
    types = frozenset(
        backup.type
        for backup in safety.backups
        if backup.capture in {Capture.CAPTURED, Capture.ABSENT}
    )
    if not types:
        message = f"'{safety.name}' holds no host files: domain '{domain.name}' had none then"
        raise UndoRefusedError(
            message, hint=f"vmsnap backup show {operands(domain.name, safety.name)}"
        )
    request = RestoreRequest(only=types)
    plan = plan_restore(ports, operation, domain, safety, request, ends=safety.id)
    replacing = plan.replacing
    result = RevertResult(
        domain_name=domain.name,
        target_name=safety.name,
        safety=plan.safety,
        changes=plan.changes,
        is_done=False,
        notes=(*_notes(safety, frozenset(HostFileType) - types), *replacing.notes),
        can_undo=replacing.can_undo,
    )
    return result, replacing.steps, replacing.drafts, replacing.contents


def _plan_group(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    found: tuple[Group, tuple[Group, ...]],
) -> _Plan:
    group, groups = found
    require_changeable(domain, "a revert can only be undone")
    refuse_unsafe(ports, domain, "they would not fit the disks any more")
    leave = _left(group)
    _require_not_lost(domain, group)
    reasons = [
        reason
        for reason in check_group(ports, domain, group).reasons
        if reason.code not in DOMAIN_STATES
        and reason.code not in DISK_CHANGES
        and not any(reason.code.startswith(f"{type_.value}_") for type_ in leave)
    ]
    require_available(domain, group, reasons)
    layers = ports.catalog.layers(operation.host_id, domain.id)
    own = [layer for layer in layers if layer.id in {item.layer_id for item in group.snapshots}]
    keep_definition = _was_edited(ports, domain, group, groups)
    attached = {disk.target for disk in domain.definition.disks}
    # With today's definition a detached disk stays so; what the group holds of it must not go.
    stays = keep_definition and any(item.target not in attached for item in group.snapshots)
    # A pinned one is left as after any other revert, with the machine on top of it.
    stays = stays or group.is_pinned
    ends = not stays and can_end(group, layers, groups) and _is_free(ports, domain, own)
    goal = Goal(
        group=group,
        keep_definition=keep_definition,
        with_safety=True,
        leave=leave,
        drop_managed_save=False,
        ends_group=ends,
        current_id=group.parent_id if ends else group.id,
    )
    way = plan_way(ports, operation, domain, goal)
    notes = _notes(group.resource, leave)
    notes += tuple(
        f"disk {item.target}: stays as it is, '{group.name}' does not hold it"
        for item in group.left_out
        if item.reason != NOT_CHANGED
    )
    if goal.keep_definition:
        notes += ("today's definition was edited since; it is kept",)
    result = RevertResult(
        domain_name=domain.name,
        target_name=group.name,
        safety=way.drafts[0].resource,
        changes=way.changes,
        is_done=False,
        notes=notes,
        can_undo=not way.not_kept,
        not_kept=way.not_kept,
    )
    return result, way.steps, way.drafts, way.contents


def _is_free(ports: Ports, domain: Domain, layers: Sequence[Layer]) -> bool:
    """Tell whether nothing stands on these layers, so that they may be written to again."""
    if is_named(domain, [layer.path for layer in layers]):
        return False
    try:
        # No disk has this target, so none may use them, the domain's own disks neither.
        require_no_other_users(ports, domain.id, {layer.path: "" for layer in layers})
    except InUseError:
        return False
    return True


def _notes(safety: Resource, leave: frozenset[HostFileType]) -> tuple[str, ...]:
    return tuple(
        f"{type_.value}: stays as it is, '{safety.name}' holds none"
        for type_ in HostFileType
        if type_ in leave
    )


def _left(group: Group) -> frozenset[HostFileType]:
    """Name the types that the revert cannot have replaced from or cannot give back."""
    return frozenset(
        backup.type
        for backup in group.resource.backups
        if backup.capture in {Capture.SKIPPED, Capture.NOT_CREATED}
    )


def _require_not_lost(domain: Domain, safety: Group) -> None:
    """Refuse to bring back disks without the host files that a lost database held.

    Undo has no flag for that: what it would leave is not what there was before the revert.
    """
    lost = [row.type.value for row in safety.resource.backups if row.capture is Capture.LOST]
    if not lost:
        return
    message = f"the {' and '.join(lost)} of '{safety.name}' was lost with its database"
    leave = " ".join(f"--leave {name}" for name in lost)
    hint = f"vmsnap group revert {operands(domain.name, safety.name)} {leave}"
    raise NotAvailableError(message, hint=hint)


def _was_edited(ports: Ports, domain: Domain, safety: Group, groups: tuple[Group, ...]) -> bool:
    """Tell whether an administrator has edited the definition since the revert."""
    record = ports.catalog.record(safety.resource.host_id, domain.id)
    reverted = next(
        (group for group in groups if record is not None and group.id == record.current_id), None
    )
    if reverted is None or reverted.id == safety.id:
        return False
    definitions = ports.definitions
    now = domain.xml
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.definition.disks
        if disk.path is not None
    }
    for group in (reverted, safety):
        xml = ports.catalog.content(group.definition_digest).decode()
        present = [item.target for item in group.left_out]
        xml = definitions.with_disks_of(xml, now, present)
        targets = {disk.target for disk in definitions.parse(xml).disks}
        fitting = {target: item for target, item in sources.items() if target in targets}
        if definitions.same(definitions.with_sources(xml, fitting), now):
            return False
    return True
