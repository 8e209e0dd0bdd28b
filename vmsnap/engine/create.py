"""The verb create: a group of a domain's disks, NVRAM, TPM state and definition at one instant."""

from collections.abc import Sequence
from dataclasses import dataclass

from vmsnap.engine.assess import AssessedDisk, assess_disks
from vmsnap.engine.capture import Captured, capture, witnesses_of
from vmsnap.engine.changing import changing, preview_operation, refuse_unsafe, require_changeable
from vmsnap.engine.disks import (
    Frozen,
    check_depth,
    freeze,
    overlay_on,
    require_no_other_users,
    require_space,
)
from vmsnap.engine.find import find_domain_id
from vmsnap.engine.groups import GroupPlan, draft_group, taken_names
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.listing import group_views
from vmsnap.engine.names import check_name, generated_name
from vmsnap.engine.requests import CreateRequest
from vmsnap.engine.results import CreateResult, GroupView
from vmsnap.engine.steps.host_files import ConfirmUnchanged
from vmsnap.engine.steps.overlays import MakeOverlay, SwitchDisks
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import NameTakenError, StateError, UnsupportedError, UsageError
from vmsnap.model import (
    CatalogChange,
    Domain,
    DomainId,
    DomainRecord,
    GroupKind,
    HostId,
    Layer,
    LeftOutDisk,
    Operation,
    ResourceId,
)
from vmsnap.ports import Ports

VERB = "snapshot create"


@dataclass(frozen=True, slots=True)
class _Plan:
    domain: Domain
    disks: tuple[AssessedDisk, ...]
    frozen: tuple[Frozen, ...]
    overlays: tuple[Layer, ...]
    captured: tuple[Captured, ...]
    group: GroupPlan
    record: DomainRecord
    notes: tuple[str, ...]


def create_group(ports: Ports, domain: str, request: CreateRequest) -> CreateResult:
    """Take a group of a domain that is shut off.

    Refused (nothing is changed) while the domain runs, for a writable disk or host file that cannot
    be taken and is not left out by name, for a name that is taken, for lack of space. Any later
    failure is taken back.
    """
    if request.name is not None:
        check_name(request.name)
    domain_id = find_domain_id(ports, domain)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        return _result(_plan(ports, operation.host_id, domain_id, request), None)
    with changing(ports, domain_id, VERB) as operation:
        plan = _plan(ports, operation.host_id, domain_id, request)
        return _result(plan, _execute(ports, operation, plan))


def _plan(ports: Ports, host_id: HostId, domain_id: DomainId, request: CreateRequest) -> _Plan:
    domain = ports.hypervisor.domain(domain_id)
    name = _name(ports, host_id, domain_id, request)
    require_changeable(domain, "a snapshot of it can only be created")
    refuse_unsafe(ports, domain, "libvirt takes no offline snapshot then")
    disks = assess_disks(ports.images, domain.definition)
    taken = _choose(domain, disks, request)
    notes = check_depth(ports, taken)
    require_no_other_users(
        ports, domain_id, {disk.chain[0].path: disk.disk.target for disk in taken}
    )
    frozen = tuple(freeze(ports, host_id, domain_id, disk) for disk in taken)
    overlays = tuple(overlay_on(ports, item.layer) for item in frozen)
    require_space(ports.images, [layer.path.parent for layer in overlays])
    captured = capture(ports, domain.definition, request.without)
    record = ports.catalog.record(host_id, domain_id)
    group = GroupPlan(
        name=name,
        description=request.description,
        kind=GroupKind.MANUAL,
        parent_id=record.current_id if record else None,
        frozen=frozen,
        active=overlays,
        captured=captured,
        left_out=_left_out(disks, request),
    )
    record = record or DomainRecord(host_id, domain_id, domain.name)
    return _Plan(domain, disks, frozen, overlays, captured, group, record, notes)


def _execute(ports: Ports, operation: Operation, plan: _Plan) -> GroupView:
    draft, contents = draft_group(ports, operation.host_id, plan.domain, plan.group)
    group_id = draft.resource.id
    steps: list[Step] = [Reserve()]
    steps += [
        MakeOverlay(overlay.path, item.layer.path, item.layer.format)
        for item, overlay in zip(plan.frozen, plan.overlays, strict=True)
    ]
    steps += [
        SwitchDisks(
            overlays={overlay.target: overlay.path for overlay in plan.overlays},
            bases={item.target: (item.layer.path, item.layer.format) for item in plan.frozen},
        ),
        ConfirmUnchanged(
            witnesses_of(plan.captured), tuple(item.witness() for item in plan.frozen)
        ),
        Commit(_change(plan, group_id)),
        Finish(),
    ]
    ports.reporter.step(f"creating group '{plan.group.name}' of domain '{plan.domain.name}'")
    execute(ports, operation, steps, drafts=(draft,), contents=contents)
    groups = ports.catalog.groups(operation.host_id, operation.domain_id)
    return group_views(ports, [group for group in groups if group.id == group_id])[0]


def _change(plan: _Plan, group_id: ResourceId) -> CatalogChange:
    rows = tuple(row for item in plan.frozen for row in item.rows)
    record = DomainRecord(
        plan.record.host_id,
        plan.record.id,
        plan.domain.name,
        current_id=group_id,
        safety_id=plan.record.safety_id,
    )
    return CatalogChange(ready=(group_id,), layers=rows + plan.overlays, record=record)


def _name(ports: Ports, host_id: HostId, domain_id: DomainId, request: CreateRequest) -> str:
    taken = taken_names(ports, host_id, domain_id)
    if request.name is None:
        return generated_name(ports.clock.now(), taken)
    if request.name in taken:
        message = f"the domain has a group or backup '{request.name}' already"
        raise NameTakenError(message, hint="choose another --name")
    return request.name


def _choose(
    domain: Domain, disks: Sequence[AssessedDisk], request: CreateRequest
) -> tuple[AssessedDisk, ...]:
    targets = {disk.disk.target for disk in disks}
    for target in request.exclude:
        if target not in targets:
            message = f"domain '{domain.name}' has no disk '{target}'"
            raise UsageError(message, hint=f"vmsnap vm show {operands(domain.name)}")
    wanted = [disk for disk in disks if disk.disk.target not in request.exclude]
    for disk in wanted:
        if disk.verdict.must_be_excluded:
            target = disk.disk.target
            message = f"disk {target} of domain '{domain.name}': {disk.verdict.reason}"
            raise UnsupportedError(message, hint=f"--exclude {target} goes on without it")
    taken = tuple(disk for disk in wanted if disk.verdict.is_taken)
    if not taken:
        message = f"domain '{domain.name}' has no disk that a snapshot would take"
        raise StateError(message, hint=f"vmsnap backup create {operands(domain.name)}")
    return taken


def _left_out(disks: Sequence[AssessedDisk], request: CreateRequest) -> tuple[LeftOutDisk, ...]:
    return tuple(
        LeftOutDisk(
            disk.disk.target,
            "excluded by name"
            if disk.disk.target in request.exclude
            else disk.verdict.reason or "",
        )
        for disk in disks
        if disk.disk.target in request.exclude or not disk.verdict.is_taken
    )


def _result(plan: _Plan, group: GroupView | None) -> CreateResult:
    return CreateResult(
        domain_name=plan.domain.name,
        name=plan.group.name,
        group=group,
        disks=tuple(disk.verdict for disk in plan.disks),
        captures=tuple((item.type, item.capture) for item in plan.captured),
        left_out=tuple(plan.group.left_out),
        notes=plan.notes,
    )
