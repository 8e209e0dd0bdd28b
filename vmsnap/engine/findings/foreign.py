"""Findings on what libvirt keeps of its own at a domain that has groups."""

from collections.abc import Iterator

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.engine.paths import is_among
from vmsnap.model import ForeignSnapshot

FOREIGN_SNAPSHOT = Kind(
    "foreign_snapshot",
    Severity.WARNING,
    Cure.BY_HAND,
    "reverting to it or deleting it with virsh would change layers that groups stand on",
)
FOREIGN_CHECKPOINT = Kind(
    "foreign_checkpoint",
    Severity.WARNING,
    Cure.BY_HAND,
    "no layer can be changed while the domain is off, and deleting it without --metadata would"
    " change layers that groups stand on",
)


def find_foreign_snapshots(scene: Scene) -> Iterator[Finding]:
    """Find snapshots of libvirt's own that share image files with groups."""
    for snapshot in scene.domain.foreign_snapshots if scene.domain is not None else ():
        if _shares_layers(scene, snapshot):
            kind = "external" if snapshot.is_external else "internal"
            message = f"libvirt keeps the {kind} snapshot '{snapshot.name}'"
            command = f"virsh snapshot-delete {operands(scene.name, snapshot.name)}"
            # Of an external one libvirt would itself merge away what groups have frozen.
            command += " --metadata" if snapshot.is_external else ""
            yield scene.find(FOREIGN_SNAPSHOT, f"snapshot {snapshot.name}", message, command)


def find_checkpoints(scene: Scene) -> Iterator[Finding]:
    """Find checkpoints of libvirt's on a domain that has groups."""
    for name in scene.domain.checkpoints if scene.domain is not None and scene.groups else ():
        command = f"virsh checkpoint-delete {operands(scene.name, name)} --metadata"
        message = f"libvirt keeps the checkpoint '{name}'"
        yield scene.find(FOREIGN_CHECKPOINT, f"checkpoint {name}", message, command)


def _shares_layers(scene: Scene, snapshot: ForeignSnapshot) -> bool:
    paths = (*snapshot.kept_paths, *snapshot.made_paths)
    return any(is_among(layer.path, paths) for layer in scene.layers.values())
