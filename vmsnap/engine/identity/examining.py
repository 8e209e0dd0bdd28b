"""Hold the layers of an identity record against the image files; nothing is changed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vmsnap.engine.identity.record import IdentityRecord
from vmsnap.engine.paths import is_same, real
from vmsnap.errors import HostFileError, ImageError
from vmsnap.model import ImageInfo, Layer, LayerId
from vmsnap.ports import Ports

_OVERLAY = re.compile(r"\.vmsnap-([0-9a-f]{12})\.qcow2$")


@dataclass(slots=True)
class Scope:
    """Where the files of a domain may be: folders that hold its record, and its disks' files.

    `tops` are the files that its disks are on, which it writes to. What a file in scope stands on
    is in scope too.
    """

    folders: set[Path] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)
    tops: set[Path] = field(default_factory=set)

    def __contains__(self, path: Path) -> bool:
        """Tell whether a file is one that a record may name."""
        is_plain = path.is_absolute() and ".." not in path.parts and "\0" not in str(path)
        return is_plain and (real(path).parent in self.folders or real(path) in self.files)


@dataclass(frozen=True, slots=True)
class Examined:
    """The layers of a record as the image files have them, parents before children.

    `missing` are those whose files are gone or are not what the record says; `overwritten` were
    frozen, and the machine has written to them since. `unchanged` read as they did when they were
    frozen, and no disk is on them.
    """

    layers: tuple[Layer, ...]
    missing: frozenset[LayerId]
    overwritten: frozenset[LayerId]
    unchanged: frozenset[LayerId]
    notes: tuple[str, ...]


def is_overlay_name(path: Path) -> bool:
    """Tell whether a file is called as vmsnap calls the overlays that it makes."""
    return _OVERLAY.search(path.name) is not None


def examine(ports: Ports, record: IdentityRecord, scope: Scope) -> Examined:
    """Look at the file of each layer that is in scope; its header says what it stands on.

    A layer counts as made by vmsnap only if its file has the name that vmsnap gave to that layer
    and stands on a layer of the record. Raises HostFileError if layers stand on each other.
    """
    infos, notes = _infos(ports, record.layers, scope)
    layers: dict[LayerId, Layer] = {}
    overwritten, unchanged = set(), set()
    for layer in record.layers:
        info = infos.get(layer.id)
        if info is None:
            layers[layer.id] = replace(layer, is_made_by_vmsnap=False, is_active=False)
            continue
        layers[layer.id] = _as_found(layer, info, record.layers)
        if layer.facts is None:
            continue
        is_equal = ports.images.facts(layer.path) == layer.facts
        is_top = real(layer.path) in scope.tops
        if is_top and not is_equal:
            overwritten.add(layer.id)
        if is_equal and not is_top:
            unchanged.add(layer.id)
    return Examined(
        layers=_parents_first(layers),
        missing=frozenset(layers) - frozenset(infos),
        overwritten=frozenset(overwritten),
        unchanged=frozenset(unchanged),
        notes=notes,
    )


def _infos(
    ports: Ports, layers: Iterable[Layer], scope: Scope
) -> tuple[dict[LayerId, ImageInfo], tuple[str, ...]]:
    """Read the headers of the layers in scope, which brings what they stand on into scope."""
    found: dict[LayerId, ImageInfo] = {}
    waiting = {layer.id: layer for layer in layers}
    notes = []
    while ready := [layer for layer in waiting.values() if layer.path in scope]:
        for layer in ready:
            del waiting[layer.id]
            try:
                info = ports.images.info(layer.path, layer.format)
            except ImageError as error:
                notes.append(f"disk {layer.target}: {error.message}")
                continue
            found[layer.id] = info
            if info.backing_path is not None:
                scope.files.add(real(info.backing_path))
    notes += [
        f"disk {layer.target}: '{layer.path}' is in none of the folders with a record"
        for layer in waiting.values()
    ]
    return found, tuple(notes)


def _as_found(layer: Layer, info: ImageInfo, layers: Iterable[Layer]) -> Layer:
    """Give a layer the parent that its header names, and doubt that vmsnap made it."""
    parent = next(
        (
            other
            for other in layers
            if other.target == layer.target and is_same(other.path, info.backing_path)
        ),
        None,
    )
    is_torn = layer.parent_id is not None and parent is None
    fits = parent is None or info.backing_format == parent.format
    is_made = layer.is_made_by_vmsnap and _is_ours(layer) and fits and not is_torn
    parent_id = parent.id if parent is not None else None
    return replace(layer, parent_id=parent_id, is_made_by_vmsnap=is_made)


def _is_ours(layer: Layer) -> bool:
    """Tell whether a file has the very name that vmsnap gave to this layer, and is no link."""
    match = _OVERLAY.search(layer.path.name)
    is_named = match is not None and match[1] == layer.id.replace("-", "")[:12]
    return is_named and layer.format == "qcow2" and not layer.path.is_symlink()


def _parents_first(layers: Mapping[LayerId, Layer]) -> tuple[Layer, ...]:
    ordered: dict[LayerId, Layer] = {}
    waiting = dict(layers)
    while waiting:
        ready = [item for item in waiting.values() if item.parent_id not in waiting]
        if not ready:
            message = f"the layers of disk {next(iter(waiting.values())).target} form a circle"
            raise HostFileError(message)
        for item in ready:
            ordered[item.id] = waiting.pop(item.id)
    return tuple(ordered.values())
