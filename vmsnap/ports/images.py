"""Disk image files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vmsnap.errors import ImageError
from vmsnap.model import FrozenFacts, ImageInfo
from vmsnap.ports.run import Progress


class Images(Protocol):
    """Disk image files. Failures, and no end in time, are ImageError; nothing is ever probed.

    A host without the program that reads and makes images is ProgramMissingError.

    Processes that write inherit the domain's lock, because they outlive a kill -9 of their parent.
    """

    def info(self, path: Path, format_: str | None = None) -> ImageInfo:
        """Describe one image (not its chain). A missing file is an ImageError."""

    def chain(self, path: Path, format_: str | None = None) -> tuple[ImageInfo, ...]:
        """Describe an image and all that it stands on, topmost first. Read without locks."""

    def chains(
        self, images: Sequence[tuple[Path, str | None]]
    ) -> tuple[tuple[ImageInfo, ...] | ImageError, ...]:
        """Describe the chains of several images side by side, or say why there is none.

        Raises ProgramMissingError alone.
        """

    def files(self, path: Path, format_: str | None = None) -> tuple[Path, ...]:
        """Return the resolved paths of a `chain` alone, which is quicker where many are asked."""

    def facts(self, path: Path) -> FrozenFacts | None:
        """Take a file's size, mtime and header digest; None if the file is missing.

        A block device has no mtime: it is 0.
        """

    def exists(self, path: Path) -> bool:
        """Tell whether there is a directory entry of that name, whatever it is."""

    def files_in(self, folder: Path) -> tuple[Path, ...]:
        """Return the regular files of a folder, links not among them, sorted; () without one."""

    def mode(self, path: Path) -> int | None:
        """Return the permission bits of a regular file, a link not followed; None if it is none."""

    def make_private(self, path: Path) -> None:
        """Let nobody but its owner read or write a regular file (0600); a link is not followed."""

    def allocated_bytes(self, path: Path) -> int:
        """Return how much disk space the file takes; 0 if it is missing, a device's whole size."""

    def free_bytes(self, folder: Path) -> int:
        """Return how much more a folder's file system, or a qcow2 image on a device, can take.

        A file system that is mounted read-only is an ImageError.
        """

    def blocked_at(self, folder: Path, owner: tuple[int, int]) -> Path | None:
        """Return the first folder on the way that a user (uid, gid) may not enter, if one is.

        As far as the modes tell; access control lists are not read.
        """

    def create_overlay(self, path: Path, backing: Path, backing_format: str) -> None:
        """Make a qcow2 overlay with explicit backing format, mode 0600 and its backing's owner.

        Never overwrites: ImageExistsError if the name is there already. Synced to disk, the folder
        too. After any other failure nothing, or an unfinished file of that name, is left.
        """

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

        Can be repeated; the child stays valid and unchanged. Leaked clusters are mended. `progress`
        is told how many of how many bytes are done.
        """

    def rebase(
        self,
        path: Path,
        backing: Path | None,
        backing_format: str | None,
        *,
        progress: Progress | None = None,
    ) -> None:
        """Pull what the current backing holds into `path`, then stand it on `backing`.

        With None the image stands alone afterwards. What `path` reads does not change. Can be
        repeated; if the header names `backing` already, nothing is done. `progress` as in `commit`.
        """

    def set_backing(self, path: Path, backing: Path, backing_format: str) -> None:
        """Change the backing file's name in the header only: its content is known to be equal."""

    def remove_overlay(self, path: Path) -> None:
        """Unlink a file that vmsnap made; a missing file is fine; the folder is synced."""
