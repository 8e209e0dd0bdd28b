"""The disks of a domain in its layer tree: freezing what is active, planning overlays, users."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from vmsnap.engine.assess import AssessedDisk
from vmsnap.engine.hints import operands
from vmsnap.engine.layers import Node
from vmsnap.engine.overlay_names import overlay_name
from vmsnap.engine.paths import Mark, marks, real
from vmsnap.engine.steps.host_files import LayerWitness
from vmsnap.errors import ImageError, InUseError, NoSpaceError, StateError, UnsupportedError
from vmsnap.model import DiskDefinition, DomainId, HostId, Layer, LayerId, is_device_path
from vmsnap.ports import Images, Ports

OVERLAY_BYTES = 1024 * 1024
"""Free space asked for each new overlay: an empty qcow2 takes about 200 KiB."""

MERGE_BYTES = 256 * 1024
"""Free space asked for each merge beside its data: for the image's own tables."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A disk's active layer as it will be when frozen.

    `rows` are the layers to insert or replace, the frozen one last: more than one if somebody else
    put layers on vmsnap's.
    """

    target: str
    layer: Layer
    rows: tuple[Layer, ...]

    def witness(self) -> LayerWitness:
        """Return what proves later that the layer has not been written to."""
        if self.layer.facts is None:
            message = f"layer '{self.layer.path}' has not been frozen"
            raise ImageError(message)
        return LayerWitness(self.layer.path, self.layer.facts)


def freeze(ports: Ports, host_id: HostId, domain_id: DomainId, disk: AssessedDisk) -> Frozen:
    """Plan the freezing of a disk's active layer; nothing is changed.

    A disk that was given a frozen layer back, and has not written to it, stands on that layer.
    Raises StateError if it has: that group is damaged, and would look whole again.
    """
    target = disk.disk.target
    known = {
        real(layer.path): layer
        for layer in ports.catalog.layers(host_id, domain_id)
        if layer.target == target
    }
    rows: list[Layer] = []
    parent: Layer | None = None
    for image in reversed(disk.chain):
        path = disk.disk.path if image is disk.chain[0] and disk.disk.path else image.path
        layer = known.get(real(path))
        is_top = image is disk.chain[0]
        if layer is None and (is_top or parent is not None):
            layer = Layer(
                id=LayerId(ports.clock.new_id()),
                host_id=host_id,
                domain_id=domain_id,
                target=target,
                path=path,
                format=image.format,
                parent_id=parent.id if parent else None,
                is_made_by_vmsnap=False,
                is_active=False,
            )
        if layer is None:
            continue
        if is_top and layer.facts is not None and ports.images.facts(path) != layer.facts:
            message = f"disk {target} has written to '{path}', which a group had frozen"
            raise StateError(message, hint="vmsnap group check says which groups to delete")
        if layer.facts is None:
            layer = replace(layer, is_active=False, facts=ports.images.facts(path))
            rows.append(layer)
        parent = layer
    if parent is None or parent.facts is None:
        message = f"the image of disk {target} is gone"
        raise ImageError(message)
    return Frozen(target, parent, tuple(rows))


def overlay_on(ports: Ports, layer: Layer, folder: Path | None = None) -> Layer:
    """Plan a new active layer on a frozen one: in `folder`, else beside it, under a random name.

    Raises UnsupportedError for a block device without a folder.
    """
    if folder is None and is_device_path(layer.path):
        message = (
            f"disk {layer.target} is the block device '{layer.path}', beside which no overlay"
            " can be made"
        )
        raise UnsupportedError(message, hint="--overlay-dir DIR puts new overlays into a folder")
    layer_id = LayerId(ports.clock.new_id())
    path = (folder or real(layer.path).parent) / overlay_name(layer.path, layer_id)
    if ports.images.exists(path):
        message = f"'{path}' exists already"
        raise ImageError(message, hint="run the command again")
    return Layer(
        id=layer_id,
        host_id=layer.host_id,
        domain_id=layer.domain_id,
        target=layer.target,
        path=path,
        format="qcow2",
        parent_id=layer.id,
        is_made_by_vmsnap=True,
        is_active=True,
    )


def require_space(images: Images, folders: Iterable[Path], each_bytes: int = OVERLAY_BYTES) -> None:
    """Refuse if a folder cannot take one new file of `each_bytes` for each time it is named."""
    wanted: dict[Path, int] = {}
    for folder in folders:
        wanted[folder] = wanted.get(folder, 0) + each_bytes
    for folder, size in wanted.items():
        free = images.free_bytes(folder)
        if free < size:
            message = f"'{folder}' has {free} bytes free, {size} are needed"
            raise NoSpaceError(message, hint=f"df -h {quote(str(folder))}")


def require_room(images: Images, written: Node, moved_bytes: int) -> None:
    """Refuse if an image that is merged into could not hold `moved_bytes` more (H31).

    A raw block device has all of its room; a qcow2 image on one has what lies behind its end,
    unless it is so small that it fits anyway.
    """
    room = max(written.virtual_size - written.allocated, 0)
    if not is_device_path(written.path):
        require_space(images, [written.path.parent], min(moved_bytes, room) + MERGE_BYTES)
        return
    facts = images.facts(written.path)
    size = facts.size_bytes if facts is not None else 0
    # Tables take less than 1/256 of the data with clusters of 4 KiB and more.
    if written.format == "raw" or size > written.virtual_size * 257 // 256 + OVERLAY_BYTES:
        return
    free = images.free_bytes(written.path)
    if free < moved_bytes + MERGE_BYTES:
        message = (
            f"the image on '{written.path}' can grow by {free} bytes,"
            f" {moved_bytes + MERGE_BYTES} are needed"
        )
        raise NoSpaceError(message, hint=f"lsblk {quote(str(written.path))}")


def require_no_other_users(ports: Ports, domain_id: DomainId, paths: Mapping[Path, str]) -> None:
    """Refuse if a disk of another domain, or another disk of this one, stands on these files.

    `paths` names for each file the target that may use it. The inactive XML has no chain, so each
    disk's chain is read from the images; a disk that only reads them, such as a CD-ROM, counts too.
    A volume that cannot be looked up refuses. Users that no domain of this host names cannot be
    known.
    """
    wanted: dict[Mark, set[str]] = {}
    for path, target in paths.items():
        for mark in marks(path):
            wanted.setdefault(mark, set()).add(target)
    for definition in ports.hypervisor.definitions():
        for disk in definition.disks:
            allowed = {disk.target} if definition.id == domain_id else set()
            for used in _used_paths(ports.images, definition.name, disk):
                if any(wanted.get(mark, allowed) - allowed for mark in marks(used)):
                    message = (
                        f"'{used}' is used by disk {disk.target} of domain '{definition.name}' too"
                    )
                    raise InUseError(message, hint=f"vmsnap vm show {operands(definition.name)}")


def check_depth(ports: Ports, domain_name: str, disks: Sequence[AssessedDisk]) -> tuple[str, ...]:
    """Refuse chains that libvirt could not start with one layer more; return warnings."""
    limit = ports.hypervisor.max_chain_depth()
    command = shortening(domain_name, limit)
    notes = []
    for disk in disks:
        depth = len(disk.chain) + 1
        if depth > limit:
            message = (
                f"disk {disk.disk.target} has {depth - 1} layers; libvirt starts {limit} at most"
            )
            raise StateError(message, hint=command)
        if depth >= deep_from(limit):
            notes.append(
                f"disk {disk.disk.target} has {depth} layers of at most {limit};"
                f" '{command}' shows what can go"
            )
    return tuple(notes)


def deep_from(limit: int) -> int:
    """Return the number of layers from which on a chain is worth a warning."""
    return min(limit * 3 // 4, 100)


def shortening(domain_name: str, limit: int) -> str:
    """Return the command that shows what would make long chains half as long as is well."""
    return f"vmsnap prune --keep-last {deep_from(limit) // 2} --dry-run {operands(domain_name)}"


def _used_paths(images: Images, domain_name: str, disk: DiskDefinition) -> tuple[Path, ...]:
    """Return all files that a disk stands on, whatever its type and device."""
    if disk.volume is not None:
        # It may be any file, so passing it over could cost its machine's data.
        pool, volume = disk.volume
        message = (
            f"disk {disk.target} of domain '{domain_name}' names volume '{volume}' of pool "
            f"'{pool}', which cannot be looked up"
        )
        raise InUseError(message, hint=f"virsh pool-start {operands(pool)}")
    if disk.path is None:
        return ()
    try:
        return tuple(map(real, images.files(disk.path, disk.format)))
    except ImageError:
        # A broken chain of somebody else must not hide that its top is in use.
        return (real(disk.path),)
