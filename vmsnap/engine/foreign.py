"""What libvirt keeps of its own at a domain: which changes of layers would ruin it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmsnap.engine.hints import operands
from vmsnap.engine.paths import is_among
from vmsnap.errors import ImageError, StateError
from vmsnap.model import Domain, ForeignSnapshot, ImageInfo
from vmsnap.ports import Images


@dataclass(frozen=True, slots=True)
class Touched:
    """Image files that are to be changed.

    `written` get other contents, `rebased` read the same but stand on another file, `unlinked` are
    removed. An internal snapshot survives the first: what it holds is kept in clusters of its own,
    and what it does not hold is read from the file below. So does an external one whose active
    layer is written to; what lies under that has to stay as it is.
    """

    written: tuple[Path, ...] = ()
    rebased: tuple[Path, ...] = ()
    unlinked: tuple[Path, ...] = ()

    @property
    def moved(self) -> tuple[Path, ...]:
        """The files that stand elsewhere afterwards, or nowhere."""
        return (*self.rebased, *self.unlinked)


def refuse_ruined(images: Images, domain: Domain, touched: Touched) -> None:
    """Refuse with the first of libvirt's snapshots that would be ruined, or any internal one.

    Raises StateError; external snapshots of which libvirt keeps no metadata cannot be known.
    """
    for snapshot in domain.foreign_snapshots:
        path = next(_shared(snapshot, touched), None)
        if path is not None:
            kind = "external" if snapshot.is_external else "internal"
            message = (
                f"libvirt's {kind} snapshot '{snapshot.name}' of domain '{domain.name}' needs"
                f" '{path}' as it is"
            )
            hint = f"virsh snapshot-delete {operands(domain.name, snapshot.name)}"
            # Of an external one libvirt would itself merge away what groups have frozen.
            raise StateError(message, hint=f"{hint} --metadata" if snapshot.is_external else hint)
    for path in touched.moved:
        count = _internal_snapshots(images, path)
        if count:
            message = f"image '{path}' holds {count} internal snapshots, which would be lost"
            raise StateError(message, hint=f"qemu-img snapshot -l {operands(str(path))}")


def is_named(domain: Domain, paths: Iterable[Path]) -> bool:
    """Tell whether an external snapshot of libvirt's needs one of these files as it is."""
    touched = Touched(written=tuple(paths))
    external = (snapshot for snapshot in domain.foreign_snapshots if snapshot.is_external)
    return any(next(_shared(snapshot, touched), None) is not None for snapshot in external)


def foreign_notes(domain: Domain, chains: Iterable[Sequence[ImageInfo]] = ()) -> tuple[str, ...]:
    """Say what libvirt keeps of its own, and how virsh would now harm groups by it.

    `chains` are those of the disks that are frozen: they may hold internal snapshots that libvirt
    does not know.
    """
    notes = []
    for snapshot in domain.foreign_snapshots:
        kind = "external" if snapshot.is_external else "internal"
        notes.append(
            f"libvirt's {kind} snapshot '{snapshot.name}' stays; reverting to it or deleting it"
            " with virsh would change layers that groups stand on"
        )
    notes += [
        f"libvirt's checkpoint '{name}' stays; deleting it with virsh would change layers that"
        " groups stand on, unless with --metadata"
        for name in domain.checkpoints
    ]
    known = {path for snapshot in domain.foreign_snapshots for path in snapshot.kept_paths}
    notes += [
        f"image '{image.path}' holds {image.internal_snapshots} internal snapshots, which stay"
        for chain in chains
        for image in chain
        if image.internal_snapshots and not is_among(image.path, known)
    ]
    return tuple(notes)


def _shared(snapshot: ForeignSnapshot, touched: Touched) -> Iterator[Path]:
    """Yield the files that the snapshot needs otherwise than they will be."""
    written = touched.written if snapshot.is_external else ()
    for path in (*written, *touched.moved):
        if is_among(path, snapshot.kept_paths):
            yield path
    for path in touched.moved:
        if is_among(path, snapshot.made_paths):
            yield path


def _internal_snapshots(images: Images, path: Path) -> int:
    try:
        return images.info(path, "qcow2").internal_snapshots
    except ImageError:
        # Only overlays are rebased or unlinked; one that cannot be read cannot be merged either.
        return 0
