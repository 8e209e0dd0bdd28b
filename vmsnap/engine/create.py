"""The verb create: a group of a domain's disks, NVRAM, TPM state and definition at one instant."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.assess import AssessedDisk, assess_disks
from vmsnap.engine.capture import Captured, capture_present
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
from vmsnap.engine.foreign import foreign_notes
from vmsnap.engine.groups import GroupPlan, draft_group, taken_names
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Run, Step, execute
from vmsnap.engine.listing import group_views, view_of_new
from vmsnap.engine.lost_overlays import warn_of_lost
from vmsnap.engine.names import check_name, generated_name
from vmsnap.engine.overlay_folder import require_overlay_folder
from vmsnap.engine.paths import is_same
from vmsnap.engine.requests import CreateRequest
from vmsnap.engine.results import CreateResult, GroupView, PartVerdict
from vmsnap.engine.steps.overlays import MakeOverlay
from vmsnap.engine.steps.rows import CommitGroup, Finish, Register, Reserve
from vmsnap.engine.steps.switching import SwitchDisks
from vmsnap.errors import (
    HostFileChangedError,
    NameTakenError,
    StateError,
    UnsupportedError,
    UsageError,
    VmsnapError,
)
from vmsnap.model import (
    CatalogChange,
    Digest,
    Domain,
    DomainId,
    DomainRecord,
    DomainState,
    Group,
    GroupKind,
    HostId,
    Layer,
    LeftOutDisk,
    Operation,
    OperationId,
    ResourceId,
)
from vmsnap.ports import Draft, Ports

VERB = "snapshot create"
_EXCLUDED = "excluded by name"
ATTEMPTS = 4
"""How often host files that move are tried: at first without suspending the guest, then with."""


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
    suspends: bool
    freezes: bool


def create_group(ports: Ports, domain: str, request: CreateRequest) -> CreateResult:
    """Take a group of a domain, shut off or running.

    Refused (nothing is changed) for a writable disk or host file that cannot be taken and is not
    left out by name, for a name that is taken, for lack of space, for file systems that are to be
    frozen without an agent. A running guest is not stopped unless its host files move meanwhile:
    then it is tried again with its processors suspended. Any other failure is taken back.
    """
    if request.name is not None:
        check_name(request.name)
    if request.suspend and request.no_suspend:
        message = "--suspend and --no-suspend exclude each other"
        raise UsageError(message)
    if request.quiesce and request.try_quiesce:
        message = "--quiesce and --try-quiesce exclude each other"
        raise UsageError(message)
    domain_id = find_domain_id(ports, domain)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        plan = _plan(ports, operation.host_id, domain_id, request)
        warn_of_lost(ports, plan.domain.definition)
        return _result(plan, None)
    with changing(ports, domain_id, VERB, subject=request.name or "") as operation:
        return _create(ports, operation, request)


def _create(ports: Ports, operation: Operation, request: CreateRequest) -> CreateResult:
    """Try until the host files keep still; what failed was taken back before."""
    for attempt in itertools.count(1):
        plan = _plan(ports, operation.host_id, operation.domain_id, request)
        if attempt == 1:
            warn_of_lost(ports, plan.domain.definition)
        try:
            return _result(plan, _execute(ports, operation, plan, request))
        except HostFileChangedError as error:
            if attempt == ATTEMPTS:
                raise
            if plan.domain.state is DomainState.RUNNING and not plan.suspends:
                if request.no_suspend:
                    hint = "without --no-suspend the guest is suspended for a moment"
                    raise HostFileChangedError(error.message, hint=hint) from error
                request = replace(request, suspend=True)
            ports.reporter.step(f"{error.message}; trying again")
        # The id of what was taken back is spent: it never commits.
        operation = replace(operation, id=OperationId(ports.clock.new_id()))
    raise AssertionError


def _plan(ports: Ports, host_id: HostId, domain_id: DomainId, request: CreateRequest) -> _Plan:
    domain = ports.hypervisor.domain(domain_id)
    name = _name(ports, host_id, domain_id, request)
    require_changeable(domain, "a snapshot of it can only be created", may_run=True)
    refuse_unsafe(ports, domain, "libvirt takes no offline snapshot then")
    disks = _as_asked(domain, assess_disks(ports.images, domain.current), request)
    taken = _choose(domain, disks)
    _require_as_defined(domain, taken)
    freezes, notes = _freezing(domain, request)
    notes += check_depth(ports, domain.name, taken)
    notes += foreign_notes(domain, [disk.chain for disk in taken])
    require_no_other_users(
        ports, domain_id, {disk.chain[0].path: disk.disk.target for disk in taken}
    )
    frozen = tuple(freeze(ports, host_id, domain_id, disk) for disk in taken)
    folder = require_overlay_folder(ports, request.overlay_dir) if request.overlay_dir else None
    overlays = tuple(overlay_on(ports, item.layer, folder) for item in frozen)
    require_space(ports.images, [layer.path.parent for layer in overlays])
    captured = capture_present(ports, domain, request.without)
    record = ports.catalog.record(host_id, domain_id)
    group = GroupPlan(
        name=name,
        description=request.description,
        kind=GroupKind.MANUAL,
        parent_id=record.current_id if record else None,
        frozen=frozen,
        active=overlays,
        captured=captured,
        left_out=_left_out(domain, disks),
    )
    return _Plan(
        domain=domain,
        disks=disks,
        frozen=frozen,
        overlays=overlays,
        captured=captured,
        group=group,
        record=record or DomainRecord(host_id, domain_id, domain.name),
        notes=notes,
        suspends=request.suspend and domain.state is DomainState.RUNNING,
        freezes=freezes,
    )


def _execute(ports: Ports, operation: Operation, plan: _Plan, request: CreateRequest) -> GroupView:
    group_id = ResourceId(ports.clock.new_id())
    made: list[Group] = []

    def supply(run: Run) -> tuple[tuple[Draft], dict[Digest, bytes]]:
        captured = tuple(item.read_again(run.readings) for item in plan.captured)
        group = replace(plan.group, captured=captured)
        draft, contents = draft_group(ports, operation.host_id, plan.domain, group, group_id)
        made[:] = [draft.group] if draft.group is not None else []
        return (draft,), contents

    change = _change(plan, group_id)
    steps: list[Step] = [Register()]
    steps += [
        MakeOverlay(overlay.path, item.layer.path, item.layer.format)
        for item, overlay in zip(plan.frozen, plan.overlays, strict=True)
    ]
    steps += [
        SwitchDisks(
            overlays={overlay.target: overlay.path for overlay in plan.overlays},
            bases={item.target: (item.layer.path, item.layer.format) for item in plan.frozen},
            host_files=tuple(spec for item in plan.captured if (spec := item.looked_at())),
            was=plan.domain.state,
            layers=tuple(item.witness() for item in plan.frozen),
            suspends=plan.suspends,
            freeze_seconds=request.freeze_seconds if plan.freezes else None,
            must_freeze=not request.try_quiesce,
        ),
        Reserve(),
        CommitGroup(change, group_id),
        Finish(),
    ]
    ports.reporter.step(f"creating group '{plan.group.name}' of domain '{plan.domain.name}'")
    execute(ports, operation, steps, supply=supply)
    try:
        groups = ports.catalog.groups(operation.host_id, operation.domain_id)
        return group_views(ports, [group for group in groups if group.id == group_id])[0]
    except VmsnapError as error:
        # The group is made; that nothing answers any more takes nothing back.
        ports.reporter.warn(f"the group was made, but cannot be read back: {error.message}")
        return view_of_new(ports, made[0], change)


def _require_as_defined(domain: Domain, taken: Sequence[AssessedDisk]) -> None:
    """Refuse where a running domain uses another file than a start would: it has to come back."""
    if domain.live is None:
        return
    defined = {disk.target: disk.path for disk in domain.definition.disks}
    for disk in taken:
        target = disk.disk.target
        if not is_same(disk.disk.path, defined.get(target)):
            message = (
                f"disk {target} of domain '{domain.name}' runs with '{disk.disk.path}', which is"
                " not what its definition names for the next start"
            )
            raise UnsupportedError(message, hint=f"--exclude {operands(target)} goes on without it")


def _freezing(domain: Domain, request: CreateRequest) -> tuple[bool, tuple[str, ...]]:
    """Tell whether the guest's file systems are to be frozen, and what is to be said of it."""
    if not (request.quiesce or request.try_quiesce):
        return False, ()
    if domain.state is DomainState.SHUT_OFF:
        return False, ("the domain is shut off, so there is nothing to freeze",)
    problem = None
    hint = "in the guest: apt install qemu-guest-agent, or the same of its system"
    if domain.state is not DomainState.RUNNING:
        problem = f"domain '{domain.name}' is {domain.state.value}, its guest agent cannot answer"
        hint = f"virsh resume {operands(domain.name)}"
    elif domain.agent is None:
        problem = f"domain '{domain.name}' has no channel for a guest agent"
        device = "--channel unix,target.type=virtio,target.name=org.qemu.guest_agent.0"
        hint = f"virt-xml {operands(domain.name)} --add-device {device}"
    elif domain.agent != "connected":
        problem = f"no guest agent runs in domain '{domain.name}'"
    if problem is None:
        return True, ()
    if request.try_quiesce:
        return False, (f"{problem}; its file systems are not frozen",)
    raise UnsupportedError(problem, hint=f"{hint}; or --try-quiesce, which goes on without")


def _change(plan: _Plan, group_id: ResourceId) -> CatalogChange:
    rows = tuple(row for item in plan.frozen for row in item.rows)
    record = DomainRecord(
        plan.record.host_id,
        plan.record.id,
        plan.domain.name,
        current_id=group_id,
        safety_id=plan.record.safety_id,
        safety_base_id=plan.record.safety_base_id,
    )
    return CatalogChange(ready=(group_id,), layers=rows + plan.overlays, record=record)


def _name(ports: Ports, host_id: HostId, domain_id: DomainId, request: CreateRequest) -> str:
    taken = taken_names(ports, host_id, domain_id)
    if request.name is None:
        return generated_name(ports.clock.now(), taken)
    if request.name in taken:
        message = f"the domain has a group, backup or snapshots '{request.name}' already"
        raise NameTakenError(message, hint="choose another --name")
    return request.name


def _as_asked(
    domain: Domain, disks: Sequence[AssessedDisk], request: CreateRequest
) -> tuple[AssessedDisk, ...]:
    """Return the disks with those left out that are excluded by name."""
    targets = {disk.disk.target for disk in disks}
    for target in request.exclude:
        if target not in targets:
            message = f"domain '{domain.name}' has no disk '{target}'"
            raise UsageError(message, hint=f"vmsnap vm show {operands(domain.name)}")
    excluded = {*request.exclude, *request.exclude_if_there}
    return tuple(
        replace(disk, verdict=PartVerdict(disk.disk.target, is_taken=False, reason=_EXCLUDED))
        if disk.disk.target in excluded
        else disk
        for disk in disks
    )


def _choose(domain: Domain, disks: Sequence[AssessedDisk]) -> tuple[AssessedDisk, ...]:
    for disk in disks:
        if disk.verdict.must_be_excluded:
            target = disk.disk.target
            message = f"disk {target} of domain '{domain.name}': {disk.verdict.reason}"
            raise UnsupportedError(message, hint=f"--exclude {operands(target)} goes on without it")
    taken = tuple(disk for disk in disks if disk.verdict.is_taken)
    if not taken:
        message = f"domain '{domain.name}' has no disk that a snapshot would take"
        raise StateError(message, hint=f"vmsnap backup create {operands(domain.name)}")
    return taken


def _left_out(domain: Domain, disks: Sequence[AssessedDisk]) -> tuple[LeftOutDisk, ...]:
    left_out = [
        LeftOutDisk(disk.disk.target, disk.verdict.reason or "")
        for disk in disks
        if not disk.verdict.is_taken
    ]
    seen = {disk.disk.target for disk in disks}
    left_out += [
        LeftOutDisk(disk.target, "attached only at the next start")
        for disk in domain.definition.disks
        if disk.target not in seen
    ]
    return tuple(left_out)


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
