"""Drafting a group of a machine as it is now, for `snapshot create` and as a safety group."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from vmsnap.engine.capture import Captured, backups_of, contents_of
from vmsnap.engine.disks import Frozen
from vmsnap.engine.names import is_snapshot_name
from vmsnap.model import (
    Digest,
    Domain,
    DomainId,
    Group,
    GroupKind,
    GroupState,
    HostId,
    Layer,
    LeftOutDisk,
    Resource,
    ResourceId,
    ResourceKind,
    Snapshot,
    SnapshotId,
)
from vmsnap.ports import Draft, Ports


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What a new group is called and made of; `active` are the layers put on the frozen ones."""

    name: str
    description: str
    kind: GroupKind
    parent_id: ResourceId | None
    frozen: Sequence[Frozen]
    active: Sequence[Layer]
    captured: Sequence[Captured]
    left_out: Sequence[LeftOutDisk]


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What a new standalone or safety backup is called and made of."""

    name: str
    kind: ResourceKind
    captured: Sequence[Captured]
    description: str = ""
    replaces: ResourceId | None = None


def draft_group(
    ports: Ports,
    host_id: HostId,
    domain: Domain,
    plan: GroupPlan,
    group_id: ResourceId | None = None,
) -> tuple[Draft, dict[Digest, bytes]]:
    """Make the rows of a group and collect its contents, its definition among them."""
    now = ports.clock.now()
    group_id = group_id or ResourceId(ports.clock.new_id())
    definition = domain.xml.encode()
    digest = Digest(hashlib.sha256(definition).hexdigest())
    resource = Resource(
        id=group_id,
        kind=ResourceKind.GROUP,
        host_id=host_id,
        domain_id=domain.id,
        domain_name=domain.name,
        name=plan.name,
        created_at=now,
        description=plan.description,
        backups=backups_of(plan.captured, group_id, now, ports),
    )
    group = Group(
        resource=resource,
        kind=plan.kind,
        state=GroupState.CREATING,
        parent_id=plan.parent_id,
        definition_digest=digest,
        snapshots=_snapshots(ports, group_id, plan),
        left_out=tuple(plan.left_out),
    )
    return Draft(resource, group), {**contents_of(plan.captured), digest: definition}


def draft_backup(
    ports: Ports, host_id: HostId, domain: Domain, plan: BackupPlan
) -> tuple[Draft, dict[Digest, bytes]]:
    """Make the rows of a backup that belongs to no group, and collect its contents."""
    now = ports.clock.now()
    resource_id = ResourceId(ports.clock.new_id())
    resource = Resource(
        id=resource_id,
        kind=plan.kind,
        host_id=host_id,
        domain_id=domain.id,
        domain_name=domain.name,
        name=plan.name,
        created_at=now,
        description=plan.description,
        backups=backups_of(plan.captured, resource_id, now, ports),
    )
    return Draft(resource, replaces=plan.replaces), contents_of(plan.captured)


def taken_names(ports: Ports, host_id: HostId, domain_id: DomainId) -> set[str]:
    """Collect the names that a domain's groups, backups and snapshots have, in whatever state.

    The group of which a snapshot GROUP/vda was left is among them: another one of that name would
    have another snapshot GROUP/vda.
    """
    groups = ports.catalog.groups(host_id, domain_id)
    resources = ports.catalog.resources(host_id, domain_id)
    names = {group.name for group in groups} | {resource.name for resource in resources}
    return names | {name.rpartition("/")[0] for name in names if is_snapshot_name(name)}


def _snapshots(ports: Ports, group_id: ResourceId, plan: GroupPlan) -> tuple[Snapshot, ...]:
    active = {layer.target: layer.path for layer in plan.active}
    return tuple(
        Snapshot(
            id=SnapshotId(ports.clock.new_id()),
            group_id=group_id,
            target=frozen.target,
            layer_id=frozen.layer.id,
            active_path=active.get(frozen.target, frozen.layer.path),
        )
        for frozen in plan.frozen
    )
