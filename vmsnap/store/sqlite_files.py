"""The files of an SQLite database: made readable for nobody else, and copied as a whole."""

import logging
import os
import secrets
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.store.engines import connect_sqlite, is_on_read_only_file_system
from vmsnap.store.location import SETTING_HINT, Location

log = logging.getLogger(__name__)

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def is_there(path: Path, *, is_folder_optional: bool) -> bool:
    """Tell whether a database file is there.

    Raises DatabaseUnusableError if it cannot be seen, is no regular file, or its folder is missing
    although it is not optional.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if is_folder_optional and not path.parent.exists():
            return False
        if not path.parent.is_dir():
            raise DatabaseUnusableError(
                f"folder '{path.parent}' of the database is missing",
                hint=f"mkdir -m 700 {quote(str(path.parent))}",
            ) from None
        return False
    except OSError as error:
        raise DatabaseUnusableError(
            f"database '{path}' cannot be read: {error.strerror}", hint="run vmsnap as root"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseUnusableError(f"database '{path}' is not a regular file")
    if not os.access(path, os.R_OK):
        raise DatabaseUnusableError(
            f"database '{path}' cannot be read: permission denied", hint="run vmsnap as root"
        )
    return True


def require_writable(path: Path) -> None:
    """Raise DatabaseUnusableError if a database is on a file system that is mounted read-only."""
    if is_on_read_only_file_system(path):
        raise DatabaseUnusableError(
            f"database '{path}' is on a read-only file system",
            hint=f"findmnt -T {quote(str(path))}",
        )


def make_folder(folder: Path) -> None:
    """Make a missing folder that only its owner can enter, whatever the umask."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=_FOLDER_MODE)
        folder.chmod(_FOLDER_MODE)
        _sync_folder(folder.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise DatabaseUnusableError(
            f"folder '{folder}' cannot be made: {error.strerror}"
        ) from error


def keep_private(path: Path) -> None:
    """Take away what others may do with an existing database (a copy made by cp may be 0644)."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        log.warning("database '%s' was readable for others; its mode is 0600 now", path)
        path.chmod(_FILE_MODE)


def use_write_ahead_log(location: Location) -> None:
    """Let readers and a writer work at the same time; SQLite keeps this in the file.

    A database on a server has it already. Done after the schema was made, so that all of it is in
    the one file that gets published.
    """
    if location.path is None:
        return
    try:
        with closing(connect_sqlite(location)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise DatabaseUnusableError(f"database '{location.shown}' failed: {error}") from error


def new_beside(path: Path) -> Path:
    """Make a new empty file for one's own beside a database that is to be made; return its path."""
    return _make_empty(path.with_name(f".{path.name}.{secrets.token_hex(8)}"))


def publish(made: Path, path: Path) -> None:
    """Give a finished database its name, unless another process was first; remove `made`."""
    try:
        with made.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(made, path)
        except FileExistsError:
            log.debug("another process made database '%s' first", path)
        made.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise DatabaseUnusableError(
            f"database '{path}' cannot be made: {error.strerror}"
        ) from error


def settle(made: Path, path: Path, *, may_replace: bool) -> None:
    """Give a finished copy its name, in place of another file only if that is allowed; sync it.

    Raises ConfigError if somebody else took the name meanwhile, DatabaseUnusableError.
    """
    try:
        with made.open("rb") as file:
            os.fsync(file.fileno())
        if may_replace:
            made.rename(path)
        else:
            os.link(made, path)
            made.unlink()
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ConfigError(f"'{path}' exists already", hint="--force replaces it") from error
    except OSError as error:
        raise DatabaseUnusableError(f"'{path}' cannot be made: {error.strerror}") from error


def copy(location: Location, path: Path) -> Path:
    """Copy a database as it is at one instant, beside itself; return the copy's path."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = _make_empty(path.with_name(f"{path.name}.{now}"))
    try:
        with (
            closing(connect_sqlite(location)) as source,
            closing(sqlite3.connect(target)) as copied,
        ):
            source.backup(copied)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseUnusableError(f"database '{path}' cannot be copied: {error}") from error
    return target


def _make_empty(path: Path) -> Path:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
    except OSError as error:
        raise DatabaseUnusableError(
            f"database folder '{path.parent}' cannot be written: {error.strerror}",
            hint=SETTING_HINT,
        ) from error
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
