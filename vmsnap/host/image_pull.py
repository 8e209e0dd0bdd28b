"""Move an overlay to another backing file without changing what it reads.

`qemu-img rebase` alone is not enough. Until 8.1 (and in some later updates of 7.2) it never ends if
the overlay is larger than what it stands on. And it writes the header before the copied data are
on the disk: after a power loss the header can name the new backing file while the data are gone,
and nothing tells so. Both are answered by an empty image of the overlay's own size, the stand-in,
that is put between the overlay and its old backing file for as long as the work lasts. While it is
there, going back to it is always right, since the data that were copied equal those below it.
"""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

from vmsnap.errors import ImageError, ProgramMissingError
from vmsnap.host.image_files import create_empty, sync_file, unlink
from vmsnap.host.qemu_img import QemuImg
from vmsnap.model import ImageInfo
from vmsnap.ports import Progress

log = logging.getLogger(__name__)

PREFIX = ".vmsnap-pull-"


def pull(
    qemu: QemuImg,
    path: Path,
    target: tuple[Path | None, str | None],
    progress: Progress | None = None,
) -> None:
    """Copy what `target` would not give, then stand the qcow2 image `path` on it (None: alone).

    `target` is a backing file and its format, `path` and it are resolved. Can be repeated after any
    interruption. Raises ImageError; then `path` reads the same as before.
    """
    backing = target[0]
    stand_in = _stand_in_path(path, backing)
    image = _describe(qemu, path)
    old_path = _old_path(qemu, stand_in, image)
    if image.backing_path == backing:
        if old_path is None:
            unlink(stand_in)
            return
        log.info("the move of '%s' to another backing file was interrupted; doing it again", path)
    elif image.backing_path != stand_in and (old_path is None or old_path != image.backing_path):
        _make_stand_in(qemu, stand_in, image)
    try:
        if image.backing_path != stand_in:
            qemu.set_backing(path, stand_in, "qcow2")
            sync_file(path)
        data_bytes = _data_bytes(qemu, stand_in, image)
        qemu.rebase(path, target, data_bytes, progress)
        # What one that was killed had allocated, and did not get to refer to.
        qemu.mend_leaks(path, data_bytes + image.allocated_bytes)
        sync_file(path)
    except BaseException:  # a signal, too: what reads the image knows nothing of the stand-in
        _take_back(qemu, path, stand_in)
        raise
    unlink(stand_in)


def forget_pulls(path: Path) -> None:
    """Remove stand-ins of pulls into `path` that were begun and are not going to be finished."""
    folder, prefix = path.parent, f"{PREFIX}{_short_digest(path)}-"
    if folder.is_dir():
        for stand_in in folder.glob(f"{prefix}*"):
            unlink(stand_in)


def _stand_in_path(path: Path, backing: Path | None) -> Path:
    # Digests, because the name of an image may be as long as a name can be.
    return path.with_name(f"{PREFIX}{_short_digest(path)}-{_short_digest(backing or Path())}")


def _short_digest(path: Path) -> str:
    return hashlib.sha256(bytes(path)).hexdigest()[:16]


def _describe(qemu: QemuImg, path: Path) -> ImageInfo:
    return qemu.info(path, "qcow2")[0]


def _old_path(qemu: QemuImg, stand_in: Path, image: ImageInfo) -> Path | None:
    """Return what a stand-in that was left stands on; None if there is none that can be used."""
    if not stand_in.exists():
        return None
    with suppress(ImageError):
        left = _describe(qemu, stand_in)
        # Of another size, it is from a time before the image was resized.
        if left.virtual_size_bytes == image.virtual_size_bytes:
            return left.backing_path
    return None


def _make_stand_in(qemu: QemuImg, stand_in: Path, image: ImageInfo) -> None:
    if image.backing_path is None or image.backing_format is None:
        what = "no backing file" if image.backing_path is None else "no format of its backing file"
        message = f"cannot rebase image '{image.path}': its header names {what}"
        raise ImageError(message)
    unlink(stand_in)
    create_empty(stand_in, image.path)
    try:
        qemu.create(stand_in, image.backing_path, image.backing_format, image.virtual_size_bytes)
        sync_file(stand_in)
    except (ImageError, ProgramMissingError):
        unlink(stand_in)
        raise


def _data_bytes(qemu: QemuImg, stand_in: Path, image: ImageInfo) -> int:
    chain = qemu.info(stand_in, "qcow2", is_whole_chain=True)
    return min(image.virtual_size_bytes, sum(layer.allocated_bytes for layer in chain))


def _take_back(qemu: QemuImg, path: Path, stand_in: Path) -> None:
    """Stand the image on its old backing file again; on the stand-in it reads the same."""
    with suppress(ImageError, ProgramMissingError):
        old = _describe(qemu, stand_in)
        if old.backing_path is None or old.backing_format is None:
            return
        qemu.set_backing(path, old.backing_path, old.backing_format)
        sync_file(path)
        unlink(stand_in)
