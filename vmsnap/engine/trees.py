"""Reading the layer tree of one disk: the catalog's rows beside what the images say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from vmsnap.engine.hints import operands
from vmsnap.engine.layers import Node
from vmsnap.engine.paths import is_among, is_same, real
from vmsnap.errors import ImageError, StateError
from vmsnap.model import Domain, ImageInfo, Layer, LayerId, Operation, is_device_path
from vmsnap.ports import Ports


def read_tree(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    disk: tuple[str, Collection[LayerId]],
) -> tuple[Node, ...]:
    """Read the tree of one disk: its target, and the layers that a staying group names.

    Raises StateError where the images or the domain differ from what is recorded, so that a merge
    would not do what is meant.
    """
    target, named = disk
    rows = ports.catalog.layers(operation.host_id, domain.id)
    layers = {layer.id: layer for layer in rows if layer.target == target}
    _require_known_top(ports, domain, target, tuple(layers.values()))
    chain = domain.chains.get(target, ())
    _require_recorded_chain(chain, layers)
    _require_same_at_next_start(domain, target, tuple(layers.values()))
    in_use = domain.active_paths.get(target)
    folders = _folders_there(ports, rows)
    nodes = []
    for layer in layers.values():
        info = _info(ports, layer)
        parent = layers.get(layer.parent_id) if layer.parent_id else None
        _require_recorded_parent(layer, parent, info)
        facts = layer.facts
        is_changed = facts is not None and not facts.is_untouched(ports.images.facts(layer.path))
        node = _node(layer, info, named, is_in_use=is_same(layer.path, in_use))
        nodes.append(
            replace(
                node,
                is_changed=is_changed and info is not None,
                is_gone=info is None and real(layer.path).parent in folders,
                is_open=is_among(layer.path, chain),
            )
        )
    return tuple(nodes)


def _folders_there(ports: Ports, layers: Sequence[Layer]) -> frozenset[Path]:
    """Return the folders that hold a layer's file: what they are on is mounted."""
    paths = (layer.path for layer in layers if ports.images.exists(layer.path))
    return frozenset(real(path).parent for path in paths if not is_device_path(path))


def adopted_rows(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    disk: tuple[str, Collection[LayerId]],
) -> tuple[Layer, ...]:
    """Return the frozen layer that the machine uses as active, where no staying group names it.

    Somebody gave the disk its old image back (a foreign block commit, or a definition of before):
    when the groups that froze it are gone, it is the active layer again. Nothing is recorded of its
    file any more, so what stands on it comes with it, marked as damaged: the machine writes below.
    """
    target, named = disk
    in_use = domain.active_paths.get(target)
    layers = ports.catalog.layers(operation.host_id, domain.id)
    adopted = tuple(
        replace(layer, is_active=True, facts=None)
        for layer in layers
        if layer.target == target
        and layer.facts is not None
        and layer.id not in named
        and is_same(layer.path, in_use)
    )
    ids = {layer.id for layer in adopted}
    above = (
        replace(layer, facts=layer.facts.as_damaged())
        for layer in layers
        if layer.parent_id in ids and layer.facts is not None
    )
    return (*adopted, *above)


def _node(
    layer: Layer, info: ImageInfo | None, named: Collection[LayerId], *, is_in_use: bool
) -> Node:
    below = None
    if info is not None and layer.parent_id is None and info.backing_path is not None:
        below = (info.backing_path, info.backing_format or "raw")
    return Node(
        id=layer.id,
        parent_id=layer.parent_id,
        path=layer.path,
        format=layer.format,
        is_ours=layer.is_made_by_vmsnap,
        is_active=layer.is_active or is_in_use,
        is_named=layer.id in named,
        virtual_size=info.virtual_size_bytes if info else 0,
        allocated=info.allocated_bytes if info else 0,
        can_grow=info is None or not info.is_block_device,
        cluster_bytes=info.cluster_bytes if info else None,
        is_missing=info is None,
        # A frozen layer that the machine uses and a group names must stay the file that it is.
        is_detached=layer.is_active != is_in_use and not (is_in_use and layer.id not in named),
        below=below,
    )


def _require_known_top(
    ports: Ports, domain: Domain, target: str, layers: tuple[Layer, ...]
) -> None:
    top = domain.active_paths.get(target)
    if top is None or any(is_same(layer.path, top) for layer in layers):
        return
    ours = {real(layer.path) for layer in layers}
    disk = next(item for item in domain.current.disks if item.target == target)
    if any(real(image.path) in ours for image in ports.images.chain(top, disk.format)):
        message = f"disk {target} of domain '{domain.name}' uses '{top}', which vmsnap did not make"
        raise StateError(message, hint=f"vmsnap snapshot create {operands(domain.name)}")


def _require_recorded_chain(chain: Sequence[Path], layers: Mapping[LayerId, Layer]) -> None:
    """Refuse a chain that QEMU has open and that is not the recorded one (H40)."""
    known = [
        next((layer for layer in layers.values() if is_same(layer.path, path)), None)
        for path in chain
    ]
    for upper, lower in pairwise(known):
        if upper is None or upper.parent_id is None:
            continue
        if lower is None or lower.id != upper.parent_id:
            parent = layers[upper.parent_id]
            message = f"QEMU does not have '{parent.path}' open right below '{upper.path}'"
            raise StateError(message)


def _require_same_at_next_start(domain: Domain, target: str, layers: tuple[Layer, ...]) -> None:
    """Refuse a running machine whose next start would use another layer than it uses now."""
    now = domain.active_paths.get(target)
    for disk in domain.definition.disks:
        if disk.path is None or (disk.target == target and is_same(disk.path, now)):
            continue
        if any(is_same(layer.path, disk.path) for layer in layers):
            message = (
                f"disk {disk.target} of domain '{domain.name}' would use '{disk.path}' at its next"
                " start, which it does not use so now"
            )
            raise StateError(message, hint=f"virsh dumpxml --inactive {operands(domain.name)}")


def _require_recorded_parent(layer: Layer, parent: Layer | None, info: ImageInfo | None) -> None:
    if info is None or parent is None:
        return
    if not is_same(info.backing_path, parent.path):
        message = f"'{layer.path}' stands on '{info.backing_path}', not on '{parent.path}'"
        raise StateError(message)


def _info(ports: Ports, layer: Layer) -> ImageInfo | None:
    if not ports.images.exists(layer.path):
        return None
    try:
        return ports.images.info(layer.path, layer.format)
    except ImageError as error:
        raise StateError(error.message) from error
