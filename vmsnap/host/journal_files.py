"""Journals of operations in progress: one file per domain, on the disk before anything changes."""

import errno
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

from vmsnap.errors import AccessError, HostFileError
from vmsnap.host.folders import make_private_folder, sync_folder
from vmsnap.host.os_errors import reason_of, translated
from vmsnap.model import DomainId, JsonObject

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
FILE_MODE = 0o600


class FolderJournals:
    """Journals in `FOLDER/journal`, one JSON object a line; the first is the header.

    An entry counts once its line is whole: what a crash left of a line behind the last whole one
    is not read, and is cut off before the next entry is added.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "journal"

    def pending(self) -> tuple[DomainId, ...]:
        """Return the domains that have a journal, sorted.

        Raises AccessError for a user who may not look, HostFileError.
        """
        with translated(HostFileError, f"list the journals in '{self._folder}'"):
            try:
                names = os.listdir(self._folder)  # noqa: PTH208 - only names are wanted
            except FileNotFoundError:
                return ()
            except PermissionError as error:
                message = f"the journals in '{self._folder}' cannot be read: {reason_of(error)}"
                raise AccessError(message) from error
        ids = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
        return tuple(DomainId(id_) for id_ in sorted(ids))

    def start(self, domain_id: DomainId, header: JsonObject) -> None:
        """Begin a journal; the file appears with its whole header or not at all.

        Raises HostFileError, also if the domain has a journal already.
        """
        path = self._path(domain_id)
        draft = path.with_suffix(".new")
        with translated(HostFileError, f"begin the journal '{path}'"):
            make_private_folder(self._folder)
            draft.unlink(missing_ok=True)  # of a program that did not know nameless ones
            try:
                _write_and_link(draft, path, _line(header))
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(self._folder)

    def append(self, domain_id: DomainId, entry: JsonObject) -> None:
        """Add one entry to the journal. Raises HostFileError."""
        path = self._path(domain_id)
        with translated(HostFileError, f"write the journal '{path}'"):
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "r+b") as file:
                _, whole_bytes = _read(path, file.read())
                file.seek(whole_bytes)
                file.truncate()
                file.write(_line(entry))
                file.flush()
                os.fsync(descriptor)

    def load(self, domain_id: DomainId) -> tuple[JsonObject, ...]:
        """Return header and entries; () if there is no journal, or its header was never whole.

        Raises HostFileError if the journal is damaged before its last entry: half of a journal is
        worse than none.
        """
        path = self._path(domain_id)
        with translated(HostFileError, f"read the journal '{path}'"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return ()
        entries, _ = _read(path, data)
        return entries

    def remove(self, domain_id: DomainId) -> None:
        """Remove the journal; a missing one is fine. Raises HostFileError.

        A folder that cannot be synced is no failure: should the journal be back after a power loss,
        settling it once more changes nothing, and none is begun before the folder can be synced.
        """
        path = self._path(domain_id)
        with translated(HostFileError, f"remove the journal '{path}'"):
            try:
                path.unlink()
            except FileNotFoundError:
                return
        try:
            sync_folder(self._folder)
        except OSError as error:
            log.warning("the folder of journal '%s' is not synced: %s", path, reason_of(error))

    def set_aside(self, domain_id: DomainId) -> Path:
        """Rename a journal so that it counts no more, and keep it; return its new path.

        Raises HostFileError.
        """
        path = self._path(domain_id)
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        kept = path.with_name(f"{domain_id}.journal.set-aside-{now}")
        with translated(HostFileError, f"set the journal '{path}' aside"):
            path.rename(kept)
            sync_folder(self._folder)
        return kept

    def _path(self, domain_id: DomainId) -> Path:
        return self._folder / f"{domain_id}{SUFFIX}"


def _line(entry: JsonObject) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _write_and_link(draft: Path, path: Path, data: bytes) -> None:
    """Write a file that gets its name when it is whole; `draft` is its name before, if need be."""
    with os.fdopen(_open_draft(draft), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        # Unlike a rename, a link never replaces.
        if draft.exists():
            os.link(draft, path, follow_symlinks=False)
            return
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Only with a folder's descriptor Python makes the call that follows the link in /proc.
            os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder)
        finally:
            os.close(folder)


def _open_draft(draft: Path) -> int:
    """Open a new file without a name, which no kill can leave; with one where that is not known."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(draft.parent, flags | os.O_TMPFILE, FILE_MODE)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
    return os.open(draft, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)


def _read(path: Path, data: bytes) -> tuple[tuple[JsonObject, ...], int]:
    """Return the entries of a journal and how many bytes they take."""
    entries: list[JsonObject] = []
    whole_bytes = 0
    # What follows the last line feed, usually nothing, is no whole line.
    *lines, rest = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is None and (number < len(lines) or rest):
            message = f"the journal '{path}' is damaged in line {number}"
            raise HostFileError(message)
        if entry is not None:
            entries.append(entry)
            whole_bytes += len(line) + 1
    return tuple(entries), whole_bytes


def _entry(line: bytes) -> JsonObject | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
