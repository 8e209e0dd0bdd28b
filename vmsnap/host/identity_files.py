"""Identity files, hidden beside the images of a domain: believed only if nobody else wrote them."""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from vmsnap.errors import HostFileError
from vmsnap.host.os_errors import translated
from vmsnap.host.regular_files import read_regular, write_regular
from vmsnap.host.safe_paths import opened_folder_of
from vmsnap.model import DomainId, FileMeta, JsonObject

MAX_BYTES = 64 * 1024 * 1024
"""A thousand groups with their definitions take a tenth of it."""

# Hidden from libvirt's pools, which pass over names that begin with a dot.
_NAME = re.compile(r"\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.vmsnap\.json")
_MODE = 0o600
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class HiddenIdentityFiles:
    """The files `.UUID.vmsnap.json`; `ports.IdentityFiles` says what each method promises."""

    def domains(self, folder: Path) -> tuple[DomainId, ...]:
        """Return the domains that have a file in a folder, sorted; () if there is no folder."""
        with translated(HostFileError, f"list folder '{folder}'"):
            try:
                names = os.listdir(folder)  # noqa: PTH208 - only names are wanted
            except (FileNotFoundError, NotADirectoryError):
                return ()
        found = (_NAME.fullmatch(name) for name in names)
        return tuple(sorted(DomainId(match[1]) for match in found if match))

    def path(self, folder: Path, domain_id: DomainId) -> Path:
        """Return where a domain's file in a folder is, or would be."""
        return _path(folder, domain_id)

    def read(self, folder: Path, domain_id: DomainId) -> JsonObject | None:
        """Read a file; None if there is none. Raises HostFileError if it is not to be believed."""
        path = _path(folder, domain_id)
        with translated(HostFileError, f"read '{path}'"):
            try:
                with opened_folder_of(path) as opened:
                    read = read_regular(opened, path.name, shown=path, limit_bytes=MAX_BYTES)
            except FileNotFoundError:
                return None
        _require_own(read.meta, path)
        try:
            record = json.loads(read.data)
        except (ValueError, RecursionError) as error:
            message = f"'{path}' is no JSON"
            raise HostFileError(message) from error
        if not isinstance(record, dict):
            message = f"'{path}' is no JSON object"
            raise HostFileError(message)
        return record

    def write(self, folder: Path, domain_id: DomainId, record: JsonObject) -> None:
        """Write a file in place of the one that is there. Raises HostFileError."""
        path = _path(folder, domain_id)
        data = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
        with _changed(path, "write") as opened:
            made = _made(path)
            with suppress(FileNotFoundError):
                os.unlink(made, dir_fd=opened)
            write_regular(opened, made, data, FileMeta(os.geteuid(), os.getegid(), _MODE))
            os.rename(made, path.name, src_dir_fd=opened, dst_dir_fd=opened)

    def remove(self, folder: Path, domain_id: DomainId) -> None:
        """Remove a file, and what a killed `write` left. Raises HostFileError."""
        path = _path(folder, domain_id)
        if not folder.is_dir():
            return
        with _changed(path, "remove") as opened:
            for name in (path.name, _made(path)):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=opened)


@contextmanager
def _changed(path: Path, verb: str) -> Iterator[int]:
    """Open the folder of a file that is changed in the `with` block, and sync it afterwards."""
    with translated(HostFileError, f"{verb} '{path}'"), opened_folder_of(path) as opened:
        yield opened
        os.fsync(opened)


def _path(folder: Path, domain_id: DomainId) -> Path:
    return folder / f".{domain_id}.vmsnap.json"


def _made(path: Path) -> str:
    return f"{path.name}.new"


def _require_own(meta: FileMeta, path: Path) -> None:
    """Raise HostFileError if others than root and the caller may have a hand in a file."""
    if meta.uid in {0, os.geteuid()} and not meta.mode & _OTHERS_MAY_WRITE:
        return
    message = f"'{path}' is not believed: others than root could have written it"
    raise HostFileError(message, hint=f"ls -l {quote(str(path))}")
