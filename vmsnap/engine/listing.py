"""The reading verbs on groups: list, show, tree."""

from vmsnap.engine.find import find_known_domain, pick_group
from vmsnap.engine.results import GroupList, GroupTree, GroupView, SnapshotDisk, TreeNode
from vmsnap.model import DomainId, Group, GroupState, HostId, Layer, LayerId
from vmsnap.ports import Ports


def list_groups(ports: Ports, domain: str | None, *, all_hosts: bool = False) -> GroupList:
    """List the groups of one domain or of all, oldest first."""
    host_id = None if all_hosts else ports.hypervisor.host_id()
    domain_id = find_known_domain(ports, domain, host_id)[0] if domain is not None else None
    groups = ports.catalog.groups(host_id, domain_id)
    return GroupList(tuple(group_view(ports, group) for group in groups if _is_shown(group)))


def show_group(ports: Ports, domain: str, group: str) -> GroupView:
    """Look at one group of a domain."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    return group_view(ports, pick_group(ports.catalog.groups(host_id, domain_id), name, group))


def group_tree(ports: Ports, domain: str) -> GroupTree:
    """Arrange the groups of a domain by what stands on what."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    views = [
        group_view(ports, group)
        for group in ports.catalog.groups(host_id, domain_id)
        if _is_shown(group)
    ]
    shown = {view.group.id for view in views}
    roots = tuple(_node(view, views) for view in views if view.group.parent_id not in shown)
    active = [layer for layer in ports.catalog.layers(host_id, domain_id) if layer.is_active]
    return GroupTree(
        domain_name=name,
        roots=roots,
        stands_on_nothing=not any(view.is_current for view in views),
        current_size_bytes=sum(ports.images.allocated_bytes(layer.path) for layer in active),
    )


def group_view(ports: Ports, group: Group) -> GroupView:
    """Look up what a group's row does not say: its layers' files and their sizes."""
    resource = group.resource
    layers = _layers(ports, resource.host_id, resource.domain_id)
    record = ports.catalog.record(resource.host_id, resource.domain_id)
    is_here = resource.host_id == ports.hypervisor.host_id()
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
    files = sum(backup.size_bytes or 0 for backup in resource.backups)
    return GroupView(
        group=group,
        is_current=record is not None and record.current_id == group.id,
        disks=disks,
        size_bytes=files + sum(disk.size_bytes for disk in disks),
    )


def _node(view: GroupView, views: list[GroupView]) -> TreeNode:
    children = [other for other in views if other.group.parent_id == view.group.id]
    return TreeNode(view, tuple(_node(child, views) for child in children))


def _layers(ports: Ports, host_id: HostId, domain_id: DomainId) -> dict[LayerId, Layer]:
    return {layer.id: layer for layer in ports.catalog.layers(host_id, domain_id)}


def _is_shown(group: Group) -> bool:
    return group.state is not GroupState.CREATING
