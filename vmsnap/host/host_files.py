"""NVRAM files and TPM state directories of this host, read and replaced as a whole."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from vmsnap.errors import ContentError, HostFileError
from vmsnap.host.modes import modes_of, take_from_others
from vmsnap.host.os_errors import translated
from vmsnap.host.regular_files import read_regular, write_regular
from vmsnap.host.renames import exchange_names, rename_without_replacing
from vmsnap.host.safe_paths import opened_folder_of, opened_parent_of, status_of
from vmsnap.host.tpm_archive import MAX_TOTAL_BYTES, is_archive, unpack
from vmsnap.host.tpm_directories import read_directory, remove_directory, write_directory
from vmsnap.model import FileMeta, HostFileType
from vmsnap.ports import FileIdentity, HostFileReading, HostFileSpec

MAX_NVRAM_BYTES = 80 * 1024 * 1024
"""AArch64 stores are 64 MiB; a qcow2 around one is a little larger."""

TPM_PARENT_MODE = 0o711
"""swtpm's user must get through, and libvirt does not repair it."""


class LocalHostFiles:
    """The host files of domains; every path is walked without following links.

    Failures are HostFileError; one that changed while it was read is HostFileChangedError.
    """

    def read(self, spec: HostFileSpec) -> HostFileReading | None:
        """Read a whole host file; None if it, or a folder above it, does not exist.

        The content of a TPM directory is its canonical archive; swtpm's `.lock` is left out. That
        of a file is its bytes.
        """
        with translated(HostFileError, f"read '{spec.path}'"):
            try:
                with opened_folder_of(spec.path) as folder:
                    return _read(spec, folder)
            except FileNotFoundError:
                return None

    def fits(self, spec: HostFileSpec, content: bytes) -> bool:
        """Tell whether a content is of the form that the host file has: a directory's or a file's.

        swtpm writes its state in another form into a file than into a directory.
        """
        return spec.type is not HostFileType.TPM or is_archive(content) == spec.is_directory

    def identity(self, path: Path) -> FileIdentity | None:
        """Return the inode at `path`, a link not followed; None if there is none."""
        with translated(HostFileError, f"look at '{path}'"):
            try:
                with opened_folder_of(path) as folder:
                    status = status_of(folder, path.name)
            except FileNotFoundError:
                return None
        return _identity(status) if status else None

    def stage(
        self, spec: HostFileSpec, staged: Path, content: bytes, meta: FileMeta
    ) -> FileIdentity:
        """Write `content` whole to the new name `staged` in the same folder as `spec.path`.

        With owner, mode and extended attributes; synced, the folder too. The missing parent of a
        TPM directory is made (0711). What a former attempt left under `staged` is replaced. Raises
        ContentError, before anything is written, if what was kept is damaged or does not fit;
        HostFileError, and what was written is then removed where that is possible.
        """
        _require_beside(spec, staged)
        if not self.fits(spec, content):
            message = f"what was kept cannot become '{spec.path}'"
            raise ContentError(message)
        files = unpack(content) if spec.is_directory else None
        _require_readable(meta)
        with translated(HostFileError, f"write '{staged}'"):
            if files is not None:
                _make_tpm_parent(spec.path)
            with opened_folder_of(staged) as folder:
                _remove(folder, staged)
                if files is None:
                    write_regular(folder, staged.name, content, meta)
                else:
                    write_directory(folder, staged.name, files, meta)
                os.fsync(folder)
                status = os.stat(staged.name, dir_fd=folder, follow_symlinks=False)
        return _identity(status)

    def exchange(self, one: Path, other: Path) -> None:
        """Exchange two existing names in one step, and sync the folders."""
        with (
            translated(HostFileError, f"exchange '{one}' and '{other}'"),
            _opened_folders(one, other) as (folder, other_folder),
        ):
            exchange_names(folder, one.name, other_folder, other.name)

    def rename(self, source: Path, target: Path) -> None:
        """Rename to a name that does not exist (never replaces), and sync the folders."""
        with (
            translated(HostFileError, f"rename '{source}' to '{target}'"),
            _opened_folders(source, target) as (folder, target_folder),
        ):
            rename_without_replacing(folder, source.name, target_folder, target.name)

    def modes(self, spec: HostFileSpec) -> Mapping[Path, int]:
        """Return the permission bits of a host file and, of a directory, of what is in it.

        Nothing of what does not exist; links are looked at, not followed.
        """
        with translated(HostFileError, f"look at '{spec.path}'"):
            try:
                with opened_folder_of(spec.path) as folder:
                    return modes_of(folder, spec.path)
            except FileNotFoundError:
                return {}

    def beside(self, spec: HostFileSpec) -> tuple[Path, ...]:
        """Return all other names in the folder of a host file, sorted; () without that folder."""
        with translated(HostFileError, f"list '{spec.path.parent}'"):
            try:
                with opened_folder_of(spec.path) as folder:
                    names = sorted(os.listdir(folder))  # noqa: PTH208 - a descriptor is no path
            except FileNotFoundError:
                return ()
        return tuple(spec.path.with_name(name) for name in names if name != spec.path.name)

    def take_from_others(self, spec: HostFileSpec) -> None:
        """Take all permissions of a host file, and of what is in it, from all other users.

        Those of owner and group stay. Links are not followed; a missing file is fine.
        """
        with (
            translated(HostFileError, f"change the mode of '{spec.path}'"),
            suppress(FileNotFoundError),
            opened_folder_of(spec.path) as folder,
        ):
            take_from_others(folder, spec.path)

    def discard(self, spec: HostFileSpec, staged: Path) -> None:
        """Remove a staged or set-aside file or directory; a missing one is fine."""
        _require_beside(spec, staged)
        with (
            translated(HostFileError, f"remove '{staged}'"),
            suppress(FileNotFoundError),
            opened_folder_of(staged) as folder,
        ):
            _remove(folder, staged)
            os.fsync(folder)


def _read(spec: HostFileSpec, folder: int) -> HostFileReading:
    if spec.is_directory:
        directory = read_directory(folder, spec.path.name, spec.path)
        return HostFileReading(directory.archive, directory.meta, directory.marks)
    limit = MAX_NVRAM_BYTES if spec.type is HostFileType.NVRAM else MAX_TOTAL_BYTES
    file = read_regular(folder, spec.path.name, shown=spec.path, limit_bytes=limit)
    marks = (spec.path.name, len(file.data), file.mtime_ns, file.ctime_ns)
    return HostFileReading(file.data, file.meta, (marks,))


def _require_readable(meta: FileMeta) -> None:
    try:
        for _, value in meta.xattrs:
            bytes.fromhex(value)
    except ValueError as error:
        message = "the extended attributes that were kept of a host file are damaged"
        raise ContentError(message) from error


def _remove(folder: int, path: Path) -> None:
    status = status_of(folder, path.name)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        remove_directory(folder, path.name, path)
    else:
        os.unlink(path.name, dir_fd=folder)


def _make_tpm_parent(path: Path) -> None:
    with opened_parent_of(path) as above:
        name = path.parent.name
        if not name or status_of(above, name) is not None:
            return
        os.mkdir(name, TPM_PARENT_MODE, dir_fd=above)
        # mkdir's mode is cut by the umask.
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        try:
            os.fchmod(descriptor, TPM_PARENT_MODE)
            os.fchown(descriptor, os.geteuid(), os.getegid())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.fsync(above)


@contextmanager
def _opened_folders(one: Path, other: Path) -> Iterator[tuple[int, int]]:
    """Open the folders of two paths, and sync them when the block was left without an error."""
    with opened_folder_of(one) as folder, opened_folder_of(other) as other_folder:
        yield folder, other_folder
        os.fsync(folder)
        if one.parent != other.parent:
            os.fsync(other_folder)


def _require_beside(spec: HostFileSpec, staged: Path) -> None:
    if staged.parent != spec.path.parent or staged.name == spec.path.name:
        message = f"'{staged}' is no other name in the folder of '{spec.path}'"
        raise HostFileError(message)


def _identity(status: os.stat_result) -> FileIdentity:
    return FileIdentity(device=status.st_dev, inode=status.st_ino)
