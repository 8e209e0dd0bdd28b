"""NVRAM files and TPM state directories."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from vmsnap.model import Digest, FileMeta, HostFileType


@dataclass(frozen=True, slots=True)
class HostFileSpec:
    """Which host file is meant: a regular file for NVRAM, a directory for a TPM.

    `is_file` says of a TPM that its whole state is one regular file instead.
    """

    type: HostFileType
    path: Path
    is_file: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory of files."""
        return self.type is HostFileType.TPM and not self.is_file


@dataclass(frozen=True)
class HostFileReading:
    """A host file as it was read.

    `marks` are name, size, mtime and ctime of the file, or of each file of the directory. What is
    computed of it waits until it is asked for: a guest may be suspended while it is read.
    """

    content: bytes = field(repr=False)
    meta: FileMeta
    marks: tuple[tuple[str, int, int, int], ...]

    @cached_property
    def digest(self) -> Digest:
        """The SHA-256 of the content."""
        return Digest(hashlib.sha256(self.content).hexdigest())

    @cached_property
    def signature(self) -> str:
        """What changes whenever the file does, in bytes or marks; compared, never interpreted."""
        seen = repr((self.digest, self.marks)).encode(errors="surrogateescape")
        return hashlib.sha256(seen).hexdigest()


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which inode a name leads to."""

    device: int
    inode: int


class HostFiles(Protocol):
    """NVRAM files and TPM state directories. Failures are HostFileError.

    Paths are walked without following links; only regular files (and for a TPM one directory of
    them) are read or written, with bounded size. Nothing here ever leaves a live path absent in
    between.
    """

    def read(self, spec: HostFileSpec) -> HostFileReading | None:
        """Read a whole host file; None if it does not exist.

        The content of a TPM directory is its canonical archive (a tar with sorted names and no
        times); swtpm's `.lock` is left out. That of a file is its bytes.
        """

    def fits(self, spec: HostFileSpec, content: bytes) -> bool:
        """Tell whether a content is of the form that the host file has: a directory's or a file's.

        A TPM's state in a file is of another form than in a directory; neither becomes the other.
        """

    def identity(self, path: Path) -> FileIdentity | None:
        """Return the inode at `path`, a link not followed; None if there is none."""

    def stage(
        self, spec: HostFileSpec, staged: Path, content: bytes, meta: FileMeta
    ) -> FileIdentity:
        """Write `content` whole to the new name `staged` in the same folder as `spec.path`.

        With owner, mode and extended attributes; synced, the folder too. The missing parent of a
        TPM directory is made (0711). What a former attempt left under `staged` is replaced. A
        content that does not fit is refused before anything is written.
        """

    def exchange(self, one: Path, other: Path) -> None:
        """Exchange two existing names in one step, and sync the folder."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename to a name that does not exist (never replaces), and sync the folder."""

    def discard(self, spec: HostFileSpec, staged: Path) -> None:
        """Remove a staged or set-aside file or directory; a missing one is fine."""

    def modes(self, spec: HostFileSpec) -> Mapping[Path, int]:
        """Return the permission bits of a host file and, of a directory, of what is in it.

        Nothing of what does not exist; links are looked at, not followed.
        """

    def beside(self, spec: HostFileSpec) -> tuple[Path, ...]:
        """Return all other names in the folder of a host file, sorted; () without that folder."""

    def take_from_others(self, spec: HostFileSpec) -> None:
        """Take all permissions of a host file, and of what is in it, from all other users.

        Those of owner and group stay. Links are not followed; a missing file is fine.
        """
