"""Whether a group is complete: what its rows, and a look at its files, tell that it lacks."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from vmsnap.engine.assess import left_out_by_kind
from vmsnap.engine.check import chain_problems
from vmsnap.errors import ImageError
from vmsnap.model import (
    Backup,
    Capture,
    Definition,
    Group,
    GroupState,
    HostFileType,
    Layer,
    LayerId,
    ResourceId,
)
from vmsnap.ports import Images

_LACKING = frozenset({Capture.SKIPPED, Capture.LOST})


@dataclass(frozen=True, slots=True)
class Renounced:
    """What the administrator said that groups of a domain need not hold."""

    exclude: frozenset[str] = frozenset()
    """Targets of disks."""
    without: frozenset[HostFileType] = frozenset()


def lacks(
    group: Group, definition: Definition, layers: Mapping[LayerId, Layer], renounced: Renounced
) -> tuple[str, ...]:
    """Say what a group's rows tell that it lacks of the machine as that is now; () is complete."""
    return (
        *_state(group),
        *_disks(group, definition, renounced),
        *_host_files(group, definition, renounced),
        *_rows(group, layers),
    )


def damage(images: Images, group: Group, layers: Mapping[LayerId, Layer]) -> tuple[str, ...]:
    """Say what the files of a group's layers lack; no image is read but for its header."""
    found: list[str] = []
    for snapshot in group.snapshots:
        layer = layers.get(snapshot.layer_id)
        if layer is not None:
            found += _chain_damage(images, layer, layers)
    return tuple(found)


def damage_below(
    images: Images,
    targets: Collection[str],
    layers: Mapping[LayerId, Layer],
    whole: Group | None,
) -> tuple[str, ...]:
    """Say what is amiss with the files that disks of these targets stand on now.

    What a group reads that is known to be `whole` is not looked at again.
    """
    known = {item.layer_id for item in whole.snapshots} if whole is not None else set()
    tops = [layer for layer in layers.values() if layer.is_active and layer.target in targets]
    found: list[str] = []
    for top in tops:
        below = layers.get(top.parent_id) if top.parent_id else None
        if below is not None and below.id not in known:
            found += _chain_damage(images, below, layers)
    return tuple(found)


def defects(
    images: Images, groups: Iterable[Group], layers: Mapping[LayerId, Layer]
) -> Mapping[ResourceId, str]:
    """Say of groups that are not any more what they were made as what is amiss with them.

    What they never held, or the machine got since, is no defect. Each file is looked at once.
    """
    # Without the rows of the others, each layer alone is looked at.
    broken = {layer.id: tuple(_chain_damage(images, layer, {})) for layer in layers.values()}
    found = {}
    for group in groups:
        reasons = [*losses(group.resource.backups), *_rows(group, layers)]
        reasons += [text for layer in _below(group, layers) for text in broken[layer.id]]
        if reasons:
            found[group.id] = reasons[0]
    return found


def _chain_damage(images: Images, layer: Layer, layers: Mapping[LayerId, Layer]) -> Iterator[str]:
    """Say what is amiss with the files of a layer and of those that it stands on."""
    try:
        for problem in chain_problems(images, layer, layers):
            yield problem.message
    except ImageError as error:
        yield f"disk {layer.target}: {error.message}"


def losses(backups: Iterable[Backup]) -> Iterator[str]:
    """Say which captured host files have no content any more, as their rows tell."""
    for backup in backups:
        is_lost = backup.capture is Capture.LOST
        if is_lost or (backup.capture is Capture.CAPTURED and backup.digest is None):
            yield f"its {backup.type.value} is lost"


def _below(group: Group, layers: Mapping[LayerId, Layer]) -> Iterator[Layer]:
    """Yield the layers that a group reads: those that it froze, and what they stand on."""
    for snapshot in group.snapshots:
        layer = layers.get(snapshot.layer_id)
        while layer is not None:
            yield layer
            layer = layers.get(layer.parent_id) if layer.parent_id else None


def _state(group: Group) -> Iterator[str]:
    if group.state is not GroupState.READY:
        yield f"its state is '{group.state.value}'"


def _disks(group: Group, definition: Definition, renounced: Renounced) -> Iterator[str]:
    reasons = {item.target: item.reason for item in group.left_out}
    for disk in definition.disks:
        target = disk.target
        if left_out_by_kind(disk) or target in renounced.exclude or group.snapshot(target):
            continue
        yield (
            f"disk {target} is left out: {reasons[target]}"
            if target in reasons
            else (f"disk {target} was added since")
        )


def _host_files(group: Group, definition: Definition, renounced: Renounced) -> Iterator[str]:
    parts = {HostFileType.NVRAM: definition.nvram, HostFileType.TPM: definition.tpm}
    for type_, part in parts.items():
        backup = group.resource.backup(type_)
        if part is None or type_ in renounced.without:
            continue
        if backup is None:
            yield f"its {type_.value} backup is missing"
        elif backup.capture in _LACKING:
            yield f"{type_.value} was {backup.capture.value}"


def _rows(group: Group, layers: Mapping[LayerId, Layer]) -> Iterator[str]:
    for snapshot in group.snapshots:
        if snapshot.layer_id not in layers:
            yield f"disk {snapshot.target}: its layer has no row"
