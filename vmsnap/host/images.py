"""Disk images, as qemu-img and the file system know them."""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from vmsnap.errors import ImageError, ProgramMissingError
from vmsnap.host import image_files, image_headers
from vmsnap.host.image_info import resolved
from vmsnap.host.image_pull import forget_pulls, pull
from vmsnap.host.os_errors import READ_ONLY_HINT, translated
from vmsnap.host.qemu_img import QemuImg
from vmsnap.model import FrozenFacts, ImageInfo
from vmsnap.ports import Progress

SECTOR_BYTES = 512


def _no_fds() -> tuple[int, ...]:
    return ()


class QemuImages:
    """Images of this host, made and merged by qemu-img.

    `lock_fds` returns the descriptors of the locks that are held: a qemu-img that writes inherits
    them, because it outlives a vmsnap that is killed.
    """

    def __init__(self, lock_fds: Callable[[], tuple[int, ...]] = _no_fds) -> None:
        self._qemu = QemuImg(lock_fds)

    def info(self, path: Path, format_: str | None = None) -> ImageInfo:
        """Describe one image (not its chain). Raises ImageError, also if the file is missing."""
        image_files.require_image_file(path)
        return self._qemu.info(_absolute(path), format_)[0]

    def chain(self, path: Path, format_: str | None = None) -> tuple[ImageInfo, ...]:
        """Describe an image and all that it stands on, topmost first; no image locks are taken.

        Raises ImageError, naming the file, if a backing file is missing, is no file of this host,
        or stands on itself.
        """
        image_files.require_image_file(path)
        try:
            return self._qemu.info(_absolute(path), format_, is_whole_chain=True)
        except ImageError:
            # Asked one by one, the images tell which of them is the trouble.
            self._walk(_absolute(path), format_)
            raise

    def chains(
        self, images: Sequence[tuple[Path, str | None]]
    ) -> tuple[tuple[ImageInfo, ...] | ImageError, ...]:
        """Describe the chains of several images, or say why there is none, as `chain` does."""
        readable = [item for item in images if image_files.is_image_file(item[0])]
        asked = [(_absolute(path), format_) for path, format_ in readable]
        known: dict[tuple[Path, str | None], tuple[ImageInfo, ...] | None] = {}
        with suppress(ImageError):
            known = dict(zip(readable, self._qemu.chains(asked), strict=True))
        # Asked one by one, the others say what is wrong with them.
        return tuple(known.get(item) or self._chain_or_error(*item) for item in images)

    def _chain_or_error(
        self, path: Path, format_: str | None
    ) -> tuple[ImageInfo, ...] | ImageError:
        try:
            return self.chain(path, format_)
        except ImageError as error:
            return error

    def files(self, path: Path, format_: str | None = None) -> tuple[Path, ...]:
        """Return the files of an image and of all that it stands on, topmost first, resolved.

        Raises ImageError as `chain` does.
        """
        found = image_headers.files_of(path, format_)
        if found is not None:
            return found
        return tuple(image.path for image in self.chain(path, format_))

    def blocked_at(self, folder: Path, owner: tuple[int, int]) -> Path | None:
        """Return the first folder on the way that a user may not enter, as far as modes tell."""
        return image_files.blocked_at(folder, owner)

    def facts(self, path: Path) -> FrozenFacts | None:
        """Take a file's size, mtime and header digest; None if the file is missing."""
        return image_files.facts_of(path)

    def exists(self, path: Path) -> bool:
        """Tell whether there is a directory entry of that name, whatever it is."""
        return os.path.lexists(path)

    def files_in(self, folder: Path) -> tuple[Path, ...]:
        """Return the regular files of a folder, links not among them, sorted; () without one."""
        return image_files.files_in(folder)

    def mode(self, path: Path) -> int | None:
        """Return the permission bits of a regular file, a link not followed; None if it is none."""
        return image_files.mode_of(path)

    def make_private(self, path: Path) -> None:
        """Let nobody but its owner read or write a regular file (0600); a link is not followed."""
        image_files.make_private(path)

    def allocated_bytes(self, path: Path) -> int:
        """Return how much disk space the file takes; 0 if it is missing.

        A block device takes all of its size.
        """
        with translated(ImageError, f"read image '{path}'"):
            try:
                status = path.stat()
            except FileNotFoundError:
                return 0
        if stat.S_ISBLK(status.st_mode):
            facts = self.facts(path)
            return facts.size_bytes if facts is not None else 0
        return status.st_blocks * SECTOR_BYTES

    def free_bytes(self, folder: Path) -> int:
        """Return how much more a folder's file system, or a qcow2 image on a device, can take.

        Raises ImageError, also for a file system that is mounted read-only.
        """
        if folder.is_block_device():
            return max(self.allocated_bytes(folder) - self._qemu.end_of(_absolute(folder)), 0)
        with translated(ImageError, f"measure the space in '{folder}'"):
            status = os.statvfs(folder)
        if status.f_flag & os.ST_RDONLY:
            message = f"'{folder}' is on a read-only file system"
            raise ImageError(message, hint=READ_ONLY_HINT)
        return status.f_bavail * status.f_frsize

    def create_overlay(self, path: Path, backing: Path, backing_format: str) -> None:
        """Make a qcow2 overlay with explicit backing format, mode 0600 and its backing's owner.

        Never overwrites: ImageExistsError if the name is there already. Synced to disk, the folder
        too. After any other failure, an ImageError, the file is removed.
        """
        image_files.require_image_file(backing)
        image_files.create_empty(path, backing)
        try:
            self._qemu.create(_absolute(path), _absolute(backing), backing_format)
            image_files.sync_file(path)
        except (ImageError, ProgramMissingError):
            image_files.unlink(path)
            raise

    def commit(
        self,
        child: Path,
        parent: Path,
        *,
        child_format: str,
        parent_format: str,
        progress: Progress | None = None,
    ) -> None:
        """Write the child's data into its direct parent, which grows to the child's size.

        Can be repeated; the child stays valid and unchanged. Leaked clusters are mended. Raises
        ImageError, also if the child is the smaller one: the parent cannot shrink, so it would read
        otherwise than the child did.
        """
        upper = self.info(child, child_format)
        lower = self.info(parent, parent_format)
        _require_direct_parent(upper, lower, parent_format)
        if upper.virtual_size_bytes < lower.virtual_size_bytes:
            message = f"cannot merge image '{child}' into '{parent}', which is larger"
            raise ImageError(message)
        self._qemu.commit(_absolute(child), child_format, upper.allocated_bytes, progress)
        if parent_format == "qcow2":
            allocated_bytes = upper.allocated_bytes + lower.allocated_bytes
            self._qemu.mend_leaks(_absolute(parent), allocated_bytes)
        image_files.sync_file(parent)

    def rebase(
        self,
        path: Path,
        backing: Path | None,
        backing_format: str | None,
        *,
        progress: Progress | None = None,
    ) -> None:
        """Pull what the current backing holds into `path`, then stand it on `backing`.

        With None the image stands alone afterwards. What `path` reads does not change, whatever
        the sizes. Can be repeated; if the header names `backing` already, nothing is done. Raises
        ImageError.
        """
        for image in (path, *((backing,) if backing else ())):
            image_files.require_image_file(image)
        target = (resolved(backing) if backing else None, backing_format)
        pull(self._qemu, resolved(path), target, progress)

    def set_backing(self, path: Path, backing: Path, backing_format: str) -> None:
        """Change the backing file's name in the header only: its content is known to be equal."""
        image_files.require_image_file(path)
        self._qemu.set_backing(_absolute(path), _absolute(backing), backing_format)
        image_files.sync_file(path)
        forget_pulls(resolved(path))

    def remove_overlay(self, path: Path) -> None:
        """Unlink a file that vmsnap made; a missing file is fine; the folder is synced."""
        image_files.unlink(path)
        forget_pulls(resolved(path))

    def _walk(self, path: Path, format_: str | None) -> None:
        seen: set[Path] = set()
        next_path: Path | None = path
        while next_path is not None:
            image_files.require_image_file(next_path)
            info = self._qemu.info(next_path, format_)[0]
            seen.add(info.path)
            next_path, format_ = info.backing_path, info.backing_format
            if next_path in seen:
                message = f"image '{info.path}' stands on '{next_path}', and so on itself"
                raise ImageError(message)


def _require_direct_parent(upper: ImageInfo, lower: ImageInfo, parent_format: str) -> None:
    if upper.backing_path is None or not image_files.is_same(upper.backing_path, lower.path):
        message = f"image '{upper.path}' does not stand on '{lower.path}'"
        raise ImageError(message)
    if upper.backing_format != parent_format:
        found = upper.backing_format or "no format"
        message = (
            f"the header of image '{upper.path}' names {found} for its backing file, "
            f"not {parent_format}"
        )
        raise ImageError(message)


def _absolute(path: Path) -> Path:
    # Not resolved: qemu-img looks for a relative backing file beside the name that it was given.
    return path.absolute()
