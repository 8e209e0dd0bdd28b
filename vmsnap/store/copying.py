"""A consistent copy of a database in an SQLite file, while others work on it."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shlex import quote

from sqlalchemy import Connection, Table, delete, insert, select, text

from vmsnap.errors import ConfigError, DatabaseError, DatabaseUnusableError
from vmsnap.store import sqlite_files
from vmsnap.store.database import Database
from vmsnap.store.engines import connect_sqlite
from vmsnap.store.location import Location, locate
from vmsnap.store.revisions import migrate, read_status, require_current
from vmsnap.store.schema import content_chunk, metadata

_ROWS = 200
"""How many rows are read at once; of contents, which are up to 1 MiB each, one."""
_BEGINNING = b"SQLite format 3\0"
_QCOW2_BEGINNING = b"QFI\xfb"


def copy_database(url: str, target: Path, *, may_replace: bool) -> int:
    """Copy a database as it is at one instant to the SQLite file `target`; return its size.

    Readable by its owner alone; it appears whole and checked, or not at all, and works as a
    database itself. Raises ConfigError if `target` cannot be made, or exists and may not be
    replaced: nothing may but an SQLite file or an empty one. DatabaseUnusableError and SchemaError
    for the database, DatabaseError if the copy is not sound.
    """
    location = locate(url)
    target = target.absolute()
    _require_there(location)
    _require_free(location, target, may_replace=may_replace)
    made = sqlite_files.new_beside(target)
    try:
        if location.path is not None:
            _copy_file(location, made)
        else:
            _copy_rows(location, made)
        _require_sound(made, location)
        # Much may have happened while a large database was copied.
        _require_free(location, target, may_replace=may_replace)
        sqlite_files.settle(made, target, may_replace=may_replace)
    finally:
        for name in (made.name, f"{made.name}-wal", f"{made.name}-shm"):
            made.with_name(name).unlink(missing_ok=True)
    return target.stat().st_size


def _require_there(location: Location) -> None:
    """Raise DatabaseUnusableError if there is no database to copy."""
    message = f"there is no database '{location.shown}'"
    if location.path is not None:
        if not sqlite_files.is_there(location.path, is_folder_optional=True):
            raise DatabaseUnusableError(message)
        return
    with closing(Database(location)) as database:
        status = database.read(
            lambda connection: read_status(connection, location.shown),
            failure=DatabaseUnusableError,
        )
    if not status.exists:
        raise DatabaseUnusableError(message)
    require_current(location.shown, status.revision or "")


def _require_free(location: Location, target: Path, *, may_replace: bool) -> None:
    """Raise ConfigError unless a copy may get this name."""
    shown = quote(str(target))
    if not target.parent.is_dir():
        message = f"folder '{target.parent}' of the copy is missing"
        raise ConfigError(message, hint=f"mkdir -m 700 {quote(str(target.parent))}")
    if not os.path.lexists(target):
        return
    if not stat.S_ISREG(target.lstat().st_mode):
        raise ConfigError(f"'{target}' is not a regular file", hint=f"ls -ld {shown}")
    if location.path is not None and target.samefile(location.path):
        raise ConfigError(f"'{target}' is the database itself")
    _require_database(target)
    if not may_replace:
        raise ConfigError(f"'{target}' exists already", hint="--force replaces it")
    if target.with_name(f"{target.name}-wal").exists():
        # It belongs to the file that would go, and SQLite could take it for the new one's.
        message = f"'{target}' is a database that is in use"
        raise ConfigError(message, hint="choose another name")


def _require_database(target: Path) -> None:
    """Raise ConfigError unless a file is an SQLite database or empty: a disk image, say, is not."""
    try:
        with target.open("rb") as file:
            beginning = file.read(len(_BEGINNING))
    except OSError as error:
        raise ConfigError(f"'{target}' cannot be read: {error.strerror}") from error
    if beginning in {b"", _BEGINNING}:
        return
    is_image = beginning.startswith(_QCOW2_BEGINNING)
    kind = "a qcow2 image" if is_image else "a file of something else"
    message = f"'{target}' is {kind}, not a database: it is not replaced"
    raise ConfigError(message, hint="choose another name")


def _copy_file(location: Location, made: Path) -> None:
    with (
        _translated(location),
        closing(connect_sqlite(location)) as source,
        closing(sqlite3.connect(made)) as copied,
    ):
        source.backup(copied)


def _copy_rows(location: Location, made: Path) -> None:
    """Copy all tables of a server's database, in one transaction that sees one state of it."""
    own = Location(shown=str(made), path=made)
    with closing(Database(own)) as copied, closing(Database(location)) as source:
        migrate(copied)

        def write(reading: Connection) -> None:
            copied.write(lambda writing: _copy_tables(reading, writing))

        source.read(write, failure=DatabaseUnusableError)
    sqlite_files.use_write_ahead_log(own)


def _copy_tables(reading: Connection, writing: Connection) -> None:
    # Groups name others of their own table; what all of it refers to is checked at the end.
    writing.execute(text("PRAGMA defer_foreign_keys=ON"))
    for table in metadata.sorted_tables:
        writing.execute(delete(table))
        for rows in _rows(reading, table):
            writing.execute(insert(table), rows)


def _rows(reading: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    number = 1 if table is content_chunk else _ROWS
    streamed = reading.execution_options(stream_results=True, max_row_buffer=number)
    found = streamed.execute(select(table)).mappings()
    for part in found.partitions(number):
        yield [dict(row) for row in part]


def _require_sound(made: Path, location: Location) -> None:
    """Raise DatabaseError unless SQLite finds a copy whole, with all that its rows refer to."""
    with _translated(location), closing(sqlite3.connect(made)) as connection:
        answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        strays = connection.execute("PRAGMA foreign_key_check").fetchone()
    if answers != ["ok"] or strays is not None:
        message = f"the copy of database '{location.shown}' is not sound: {answers[0]}"
        raise DatabaseError(message)


@contextmanager
def _translated(location: Location) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = f"database '{location.shown}' cannot be copied: {error}"
        raise DatabaseUnusableError(message) from error
