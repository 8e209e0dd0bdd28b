"""The verb ungroup: make single snapshots of a group's disks, and a backup of its own."""

from dataclasses import replace

from vmsnap.engine.changing import changing, preview_operation
from vmsnap.engine.deleting import refuse_pinned
from vmsnap.engine.find import find_known_domain, pick_group
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import execute
from vmsnap.engine.names import snapshot_name
from vmsnap.engine.requests import UngroupRequest
from vmsnap.engine.results import UngroupResult
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import NameTakenError, StateError
from vmsnap.model import (
    Backup,
    BackupId,
    CatalogChange,
    Group,
    GroupKind,
    GroupState,
    Operation,
    Resource,
    ResourceId,
    ResourceKind,
    Snapshot,
    SnapshotId,
)
from vmsnap.ports import Draft, Ports

VERB = "group ungroup"


def ungroup(ports: Ports, domain: str, group: str, request: UngroupRequest) -> UngroupResult:
    """Make single snapshots of a group's disks, and of its backup one of its own; or drop that.

    Rows change, in one transaction, and nothing else: whether the domain runs, or is defined at
    all, makes no difference. Refused (nothing is changed) for a group that is pinned or being
    deleted, and where a snapshot would get a name that is taken.
    """
    domain_id, name = find_known_domain(ports, domain, ports.hypervisor.host_id())
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        found, drafts = _plan(ports, operation, (name, group), request)
        return _result(ports, name, found, drafts, is_done=False)
    with changing(ports, domain_id, VERB, subject=group) as operation:
        found, drafts = _plan(ports, operation, (operation.domain_name, group), request)
        ports.reporter.step(f"ungrouping '{found.name}' of domain '{operation.domain_name}'")
        result = _result(ports, operation.domain_name, found, drafts, is_done=True)
        change = CatalogChange(
            ready=tuple(draft.resource.id for draft in drafts), removed_resources=(found.id,)
        )
        execute(ports, operation, [Reserve(), Commit(change), Finish()], drafts=drafts)
        return result


def _plan(
    ports: Ports, operation: Operation, names: tuple[str, str], request: UngroupRequest
) -> tuple[Group, tuple[Draft, ...]]:
    domain_name, text = names
    groups = ports.catalog.groups(operation.host_id, operation.domain_id)
    group = pick_group(ports, groups, domain_name, text)
    if group.state is not GroupState.READY:
        message = f"the state of group '{group.name}' is '{group.state.value}'"
        hint = f"vmsnap group delete {operands(domain_name, group.name)}"
        raise StateError(message, hint=hint)
    refuse_pinned(domain_name, [group])
    singles = tuple(_single(ports, group, item) for item in group.snapshots)
    taken = {other.name for other in groups}
    for draft in singles:
        if draft.resource.name in taken:
            message = f"domain '{domain_name}' has a snapshot '{draft.resource.name}' already"
            command = f"vmsnap snapshot delete {operands(domain_name, draft.resource.name)}"
            raise NameTakenError(message, hint=command)
    if request.drop_backup:
        return group, singles
    return group, (*singles, _backup(ports, group))


def _single(ports: Ports, group: Group, member: Snapshot) -> Draft:
    """Draft what is left of one disk: a group of that snapshot alone, where the group stood."""
    resource = replace(
        group.resource,
        id=ResourceId(ports.clock.new_id()),
        name=snapshot_name(group.name, member.target),
        backups=(),
    )
    kept = replace(member, id=SnapshotId(ports.clock.new_id()), group_id=resource.id)
    single = replace(
        group,
        resource=resource,
        kind=GroupKind.SINGLE,
        state=GroupState.CREATING,
        snapshots=(kept,),
        left_out=(),
    )
    return Draft(resource, single)


def _backup(ports: Ports, group: Group) -> Draft:
    """Draft the backup that takes over the group's name and all that its backup says."""
    resource_id = ResourceId(ports.clock.new_id())
    resource = replace(
        group.resource,
        id=resource_id,
        kind=ResourceKind.STANDALONE,
        backups=tuple(_moved(ports, item, resource_id) for item in group.resource.backups),
    )
    return Draft(resource, replaces=group.id)


def _moved(ports: Ports, backup: Backup, owner: ResourceId) -> Backup:
    return replace(backup, id=BackupId(ports.clock.new_id()), resource_id=owner)


def _result(
    ports: Ports, domain_name: str, group: Group, drafts: tuple[Draft, ...], *, is_done: bool
) -> UngroupResult:
    kept: Resource | None = next((item.resource for item in drafts if item.group is None), None)
    owner = group.resource
    record = ports.catalog.record(owner.host_id, owner.domain_id)
    notes: tuple[str, ...] = ()
    if record is not None and record.safety_id == group.id:
        notes = (f"'{group.name}' is what 'vmsnap undo' goes back to: there is no undo after this",)
    return UngroupResult(
        domain_name=domain_name,
        name=group.name,
        snapshots=tuple(item.resource.name for item in drafts if item.group is not None),
        backup=kept,
        is_done=is_done,
        notes=notes,
    )
