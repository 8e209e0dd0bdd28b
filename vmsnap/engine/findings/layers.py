"""Findings on layers: rows against files, headers, modes and the chains that machines use."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from vmsnap.engine.assess import verdict_by_definition
from vmsnap.engine.check import changed_words
from vmsnap.engine.disks import deep_from
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.scene import Scene, disk_layers
from vmsnap.engine.findings.ways_out import (
    check_command,
    delete_command,
    revert_command,
    shorten_command,
)
from vmsnap.engine.hints import operands
from vmsnap.engine.overlay_names import is_overlay_name
from vmsnap.engine.paths import is_same, real
from vmsnap.errors import ImageError
from vmsnap.model import DiskDefinition, ImageInfo, Layer
from vmsnap.ports import Ports

OTHERS = 0o077
"""Permission bits of all but a file's owner."""

LAYER_MISSING = Kind(
    "layer_missing",
    Severity.DANGER,
    Cure.BY_HAND,
    "the file of a recorded layer is gone: neither what stands on it nor its groups can be read",
)
LAYER_UNREADABLE = Kind(
    "layer_unreadable",
    Severity.DANGER,
    Cure.BY_HAND,
    "the header of a recorded layer cannot be read, so what stands on it cannot either",
)
LAYER_CHANGED = Kind(
    "layer_changed",
    Severity.DANGER,
    Cure.BY_HAND,
    "a frozen layer was written to after it was frozen: its groups no longer hold what they held",
)
CHAIN_DIFFERS = Kind(
    "chain_differs",
    Severity.DANGER,
    Cure.BY_HAND,
    "what a layer stands on is not what is recorded, so that a merge would ruin other groups;"
    " deletes refuse",
)
LAYER_READABLE = Kind(
    "overlay_readable",
    Severity.WARNING,
    Cure.SURELY,
    "other users of this host can read or write what the guest has on its disk",
)
IMAGE_MISSING = Kind(
    "image_missing",
    Severity.DANGER,
    Cure.BY_HAND,
    "the domain cannot be started, or runs on a file that has no name any more: put the file back,"
    " or revert to a group, which loses what the guest wrote since",
)
IMAGE_UNREADABLE = Kind(
    "image_unreadable",
    Severity.DANGER,
    Cure.BY_HAND,
    "the domain cannot be started with it: put back a copy of the file, or revert to a group, which"
    " loses what the guest wrote since",
)
UNKNOWN_LAYER = Kind(
    "disk_on_unknown_layer",
    Severity.DANGER,
    Cure.BY_HAND,
    "the disk writes to an overlay of vmsnap's that is not recorded for this domain; the groups"
    " that it belongs to are another domain's, in another database, or lost",
)
FROZEN_IN_USE = Kind(
    "disk_on_frozen_layer",
    Severity.DANGER,
    Cure.BY_HAND,
    "somebody gave the disk a layer that groups have frozen: what the guest writes ruins them",
)
FOREIGN_LAYER = Kind(
    "foreign_layer",
    Severity.WARNING,
    Cure.BY_HAND,
    "somebody put a layer of their own on vmsnap's: groups cannot be deleted before the next create"
    " takes it in",
)
CHAIN_TOO_DEEP = Kind(
    "chain_too_deep",
    Severity.DANGER,
    Cure.BY_HAND,
    "libvirt starts no domain with so many layers, so the next start fails",
)
CHAIN_DEEP = Kind(
    "chain_deep",
    Severity.WARNING,
    Cure.BY_HAND,
    "there is little room for more groups before libvirt refuses to start the domain",
)


def find_broken_layers(scene: Scene) -> Iterator[Finding]:
    """Find recorded layers whose file is missing or cannot be read."""
    if not scene.is_settled:
        return
    for layer in scene.layers.values():
        info = scene.info(layer)
        if info is None:
            message = f"disk {layer.target}: layer '{layer.path}' is missing"
            command = delete_command(scene, layer) or check_command(scene)
            yield scene.find(LAYER_MISSING, layer.path, message, command)
        elif isinstance(info, ImageError):
            message = f"disk {layer.target}: {info.message}"
            yield scene.find(LAYER_UNREADABLE, layer.path, message, check_command(scene))


def find_changed_layers(scene: Scene) -> Iterator[Finding]:
    """Find frozen layers of groups that were written to since."""
    if not scene.is_settled:
        return
    for layer in scene.layers.values():
        if layer.facts is None or layer.id not in scene.needed:
            continue
        facts = scene.ports.images.facts(layer.path)
        if facts is not None and facts != layer.facts:
            command = delete_command(scene, layer) or check_command(scene)
            yield scene.find(LAYER_CHANGED, layer.path, changed_words(layer), command)


def find_other_chains(scene: Scene) -> Iterator[Finding]:
    """Find layers that stand on another file than is recorded, and open chains that differ."""
    if not scene.is_settled:
        return
    for layer, parent in disk_layers(scene):
        info = scene.info(layer)
        if parent is None or not isinstance(info, ImageInfo):
            continue
        if not is_same(info.backing_path, parent.path):
            on = f"'{info.backing_path}'" if info.backing_path else "nothing"
            message = f"disk {layer.target}: '{layer.path}' stands on {on}, not on '{parent.path}'"
            yield scene.find(CHAIN_DIFFERS, layer.path, message, check_command(scene))
    yield from _open_chains(scene)


def find_readable_layers(scene: Scene) -> Iterator[Finding]:
    """Find overlays of vmsnap's that others than their owner can read or write."""
    for layer in scene.layers.values():
        mode = scene.ports.images.mode(layer.path) if layer.is_made_by_vmsnap else None
        if mode is not None and mode & OTHERS:
            message = f"disk {layer.target}: '{layer.path}' has the mode {mode:04o}"
            command = f"chmod 0600 {operands(str(layer.path))}"
            yield scene.find(LAYER_READABLE, layer.path, message, command, _narrowing(layer))


def find_wrong_tops(scene: Scene) -> Iterator[Finding]:
    """Find disks that use what nobody knows, what is frozen, or what somebody put on a layer."""
    if scene.domain is None or not scene.is_settled:
        return
    for disk in scene.domain.current.disks:
        top = scene.domain.active_paths.get(disk.target, disk.path)
        if top is None or not verdict_by_definition(disk).is_taken:
            continue
        layer = scene.layer_at(top)
        words = f"disk {disk.target} uses '{top}'"
        if layer is not None and layer.facts is not None:
            yield scene.find(
                FROZEN_IN_USE, disk.target, f"{words}, which is frozen", check_command(scene)
            )
        elif layer is None and is_overlay_name(top.name):
            recorded = scene.id in scene.ports.identities.domains(real(top).parent)
            verb = "db rebuild" if recorded else "vm show"
            command = f"vmsnap {verb} {operands(scene.name)}"
            yield scene.find(UNKNOWN_LAYER, disk.target, words, command)
        elif layer is None and _stands_on_ours(scene, disk):
            command = f"vmsnap snapshot create {operands(scene.name)}"
            yield scene.find(FOREIGN_LAYER, disk.target, words, command)


def find_broken_disks(scene: Scene) -> Iterator[Finding]:
    """Find disks of the definition whose images are missing or cannot be read."""
    for disk, chain in scene.chains:
        if isinstance(chain, ImageError):
            message = f"disk {disk.target}: {chain.message}"
            command = revert_command(scene, disk.target)
            command = command or f"virsh domblklist --inactive {operands(scene.name)}"
            kind = IMAGE_MISSING if _lacks_a_file(scene, disk) else IMAGE_UNREADABLE
            yield scene.find(kind, disk.target, message, command)


def find_deep_chains(scene: Scene) -> Iterator[Finding]:
    """Find chains that libvirt cannot start, or soon cannot; with the limits of create."""
    limit = scene.ports.hypervisor.max_chain_depth() if scene.domain is not None else 0
    for disk, chain in scene.chains:
        if isinstance(chain, ImageError):
            continue
        depth = len(chain)
        message = f"disk {disk.target} has {depth} layers; libvirt starts {limit} at most"
        is_too_deep = depth > limit
        if is_too_deep or depth >= deep_from(limit):
            kind = CHAIN_TOO_DEEP if is_too_deep else CHAIN_DEEP
            yield scene.find(kind, disk.target, message, shorten_command(scene, chain))


def _open_chains(scene: Scene) -> Iterator[Finding]:
    """Find disks of a running domain whose chain QEMU has open otherwise than it is recorded."""
    for target, chain in scene.domain.chains.items() if scene.domain is not None else ():
        for upper, lower in pairwise(chain):
            layer = scene.layer_at(upper)
            parent = scene.layers.get(layer.parent_id) if layer and layer.parent_id else None
            if parent is not None and not is_same(lower, parent.path):
                message = f"disk {target}: QEMU has '{lower}' open below '{upper}'"
                yield scene.find(CHAIN_DIFFERS, f"open {upper}", message, check_command(scene))


def _stands_on_ours(scene: Scene, disk: DiskDefinition) -> bool:
    if disk.path is None or not scene.layers:
        return False
    try:
        chain = scene.ports.images.chain(disk.path, disk.format)
    except ImageError:
        return False
    return any(scene.layer_at(image.path) is not None for image in chain)


def _lacks_a_file(scene: Scene, disk: DiskDefinition) -> bool:
    """Tell whether a chain that cannot be read lacks a file, instead of having a damaged one."""
    images = scene.ports.images
    path, format_ = disk.path, disk.format
    seen: set[Path] = set()
    while path is not None and path not in seen:
        seen.add(path)
        if not images.exists(path):
            return True
        try:
            info = images.info(path, format_)
        except ImageError:
            return False
        path, format_ = info.backing_path, info.backing_format
    return False


def _narrowing(layer: Layer) -> Mend:
    def narrow(ports: Ports) -> None:
        ports.images.make_private(layer.path)

    return narrow
