"""The reading verbs on groups and snapshots: list, show, tree."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vmsnap.engine.find import find_domains_of_all_hosts, find_known_domain, pick_group
from vmsnap.engine.results import GONE, GroupList, GroupTree, GroupView, SnapshotDisk, TreeNode
from vmsnap.model import (
    CatalogChange,
    DomainId,
    DomainRecord,
    DomainSummary,
    Group,
    GroupKind,
    GroupState,
    HostId,
    Layer,
    LayerId,
)
from vmsnap.ports import Ports


def list_groups(ports: Ports, domain: str | None, *, all_hosts: bool = False) -> GroupList:
    """List the groups of one domain or of all, in every state, oldest first."""
    groups = _groups(ports, domain, all_hosts=all_hosts)
    return GroupList(group_views(ports, _whole(groups)))


def list_snapshots(ports: Ports, domain: str | None, *, all_hosts: bool = False) -> GroupList:
    """List what holds snapshots: groups, and those that ungroup made, which hold a single one."""
    groups = _groups(ports, domain, all_hosts=all_hosts)
    # Those of one group are of one time.
    in_order = sorted(groups, key=lambda group: (group.resource.created_at, group.name))
    return GroupList(group_views(ports, in_order))


def show_group(ports: Ports, domain: str, group: str) -> GroupView:
    """Look at one group of a domain."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    found = pick_group(ports, ports.catalog.groups(host_id, domain_id), name, group)
    return group_views(ports, [found])[0]


def group_tree(ports: Ports, domain: str) -> GroupTree:
    """Arrange the groups of a domain by what stands on what."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    views = group_views(ports, _whole(ports.catalog.groups(host_id, domain_id)))
    shown = {view.group.id for view in views}
    roots = tuple(_node(view, views) for view in views if view.group.parent_id not in shown)
    active = [layer for layer in ports.catalog.layers(host_id, domain_id) if layer.is_active]
    return GroupTree(
        domain_name=name,
        roots=roots,
        stands_on_nothing=not any(view.is_current for view in views),
        current_size_bytes=sum(ports.images.allocated_bytes(layer.path) for layer in active),
        domain_state=views[0].domain_state if views else None,
    )


def group_views(ports: Ports, groups: Sequence[Group]) -> tuple[GroupView, ...]:
    """Look up what the groups' rows do not say: their layers' files, and where the domains are."""
    domains = {(group.resource.host_id, group.resource.domain_id) for group in groups}
    layers = {domain: _layers(ports, *domain) for domain in domains}
    records = {domain: ports.catalog.record(*domain) for domain in domains}
    today = {summary.id: summary for summary in ports.hypervisor.domains()} if groups else {}
    host_id = ports.hypervisor.host_id()
    views = []
    for group in groups:
        domain = (group.resource.host_id, group.resource.domain_id)
        is_here = group.resource.host_id == host_id
        view = view_of(ports, group, (layers[domain], records[domain]), is_here=is_here)
        views.append(_as_of_today(view, today) if is_here else view)
    return tuple(views)


def view_of_new(ports: Ports, group: Group, change: CatalogChange) -> GroupView:
    """Look at a group that was just made, without asking the catalog or the hypervisor.

    `change` is what committed it. Its instant is not known here.
    """
    layers = {layer.id: layer for layer in change.layers}
    ready = replace(group, state=GroupState.READY)
    return view_of(ports, ready, (layers, change.record), is_here=True)


def _groups(ports: Ports, domain: str | None, *, all_hosts: bool) -> tuple[Group, ...]:
    if domain is None or not all_hosts:
        host_id = None if all_hosts else ports.hypervisor.host_id()
        domain_id = find_known_domain(ports, domain, host_id)[0] if domain is not None else None
        return ports.catalog.groups(host_id, domain_id)
    domain_ids = find_domains_of_all_hosts(ports, domain)
    groups = [group for key in domain_ids for group in ports.catalog.groups(None, key)]
    return tuple(sorted(groups, key=lambda group: (group.resource.created_at, group.id)))


def _whole(groups: Sequence[Group]) -> tuple[Group, ...]:
    return tuple(group for group in groups if group.kind is not GroupKind.SINGLE)


def _as_of_today(view: GroupView, today: Mapping[DomainId, DomainSummary]) -> GroupView:
    """Say where the domain is now, and what it is called now if it was renamed."""
    resource = view.group.resource
    summary = today.get(resource.domain_id)
    if summary is None:
        return replace(view, domain_state=GONE)
    group = replace(view.group, resource=replace(resource, domain_name=summary.name))
    return replace(view, group=group, domain_state=summary.state.value)


def view_of(
    ports: Ports,
    group: Group,
    known: tuple[dict[LayerId, Layer], DomainRecord | None],
    *,
    is_here: bool,
) -> GroupView:
    """Look at a group whose domain's layers and record are `known`; sizes of this host's alone."""
    layers, record = known
    disks = tuple(
        SnapshotDisk(
            target=item.target,
            frozen_path=layer.path,
            active_path=item.active_path,
            format=layer.format,
            size_bytes=ports.images.allocated_bytes(layer.path) if is_here else 0,
        )
        for item in group.snapshots
        if (layer := layers.get(item.layer_id)) is not None
    )
    files = sum(backup.size_bytes or 0 for backup in group.resource.backups)
    return GroupView(
        group=group,
        is_current=record is not None and record.current_id == group.id,
        disks=disks,
        size_bytes=files + sum(disk.size_bytes for disk in disks),
    )


def _node(view: GroupView, views: Sequence[GroupView]) -> TreeNode:
    children = [other for other in views if other.group.parent_id == view.group.id]
    return TreeNode(view, tuple(_node(child, views) for child in children))


def _layers(ports: Ports, host_id: HostId, domain_id: DomainId) -> dict[LayerId, Layer]:
    return {layer.id: layer for layer in ports.catalog.layers(host_id, domain_id)}
