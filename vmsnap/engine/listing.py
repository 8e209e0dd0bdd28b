"""The reading verbs on groups: list, show, tree."""

from collections.abc import Sequence

from vmsnap.engine.find import find_known_domain, pick_group
from vmsnap.engine.results import GroupList, GroupTree, GroupView, SnapshotDisk, TreeNode
from vmsnap.model import DomainId, DomainRecord, Group, HostId, Layer, LayerId
from vmsnap.ports import Ports


def list_groups(ports: Ports, domain: str | None, *, all_hosts: bool = False) -> GroupList:
    """List the groups of one domain or of all, in every state, oldest first."""
    host_id = None if all_hosts else ports.hypervisor.host_id()
    domain_id = find_known_domain(ports, domain, host_id)[0] if domain is not None else None
    return GroupList(group_views(ports, ports.catalog.groups(host_id, domain_id)))


def show_group(ports: Ports, domain: str, group: str) -> GroupView:
    """Look at one group of a domain."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    found = pick_group(ports.catalog.groups(host_id, domain_id), name, group)
    return group_views(ports, [found])[0]


def group_tree(ports: Ports, domain: str) -> GroupTree:
    """Arrange the groups of a domain by what stands on what."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    views = group_views(ports, ports.catalog.groups(host_id, domain_id))
    shown = {view.group.id for view in views}
    roots = tuple(_node(view, views) for view in views if view.group.parent_id not in shown)
    active = [layer for layer in ports.catalog.layers(host_id, domain_id) if layer.is_active]
    return GroupTree(
        domain_name=name,
        roots=roots,
        stands_on_nothing=not any(view.is_current for view in views),
        current_size_bytes=sum(ports.images.allocated_bytes(layer.path) for layer in active),
    )


def group_views(ports: Ports, groups: Sequence[Group]) -> tuple[GroupView, ...]:
    """Look up what the groups' rows do not say: their layers' files, and where the domains are."""
    domains = {(group.resource.host_id, group.resource.domain_id) for group in groups}
    layers = {domain: _layers(ports, *domain) for domain in domains}
    records = {domain: ports.catalog.record(*domain) for domain in domains}
    views = []
    for group in groups:
        domain = (group.resource.host_id, group.resource.domain_id)
        views.append(_view(ports, group, layers[domain], records[domain]))
    return tuple(views)


def _view(
    ports: Ports, group: Group, layers: dict[LayerId, Layer], record: DomainRecord | None
) -> GroupView:
    is_here = group.resource.host_id == ports.hypervisor.host_id()
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
