"""SQLAlchemy engines that are set up so that neither SQLite nor MySQL loses a write in silence."""

import logging
import os
import shlex
import sqlite3
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import QueuePool

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.store.location import Location
from vmsnap.store.tls import connect_encrypted

# Without a handler Python prints its errors to stderr: a whole traceback for a connection that was
# lost, which the caller says in one sentence.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

BUSY_SECONDS = 30
"""How long a write waits for another process's on SQLite."""
LOCK_WAIT_SECONDS = 15
"""How long a statement waits for a row that another transaction holds on MySQL."""

WRITES = "vmsnap_writes"
"""The execution option that marks a transaction as one that writes."""


class _Cursor(Protocol):
    def execute(self, statement: str) -> object: ...
    def close(self) -> None: ...


def make_engine(location: Location) -> Engine:
    """Make the engine of a database; nothing is connected yet and no SQLite file is ever made.

    Raises ConfigError if the driver for MySQL is not installed.
    """
    if location.path is not None:
        return _sqlite_engine(location)
    return _server_engine(location)


def connect_sqlite(location: Location) -> sqlite3.Connection:
    """Open an existing SQLite file in autocommit mode; a missing one is an error.

    On a read-only file system it can be read as long as no write-ahead log is left beside it.
    """
    # mode=rw: a plain path would make an empty database where the real one was moved away.
    # immutable: SQLite cannot make the file that readers of a write-ahead log share.
    mode = "mode=ro&immutable=1" if _is_at_rest(location) else "mode=rw"
    return sqlite3.connect(
        f"file:{quote(os.fsencode(location.path or ''))}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def is_on_read_only_file_system(path: Path) -> bool:
    """Tell whether nothing can be written where a path is; False if that is not to be known."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_at_rest(location: Location) -> bool:
    """Tell whether a database can be read without the files beside it.

    Raises DatabaseUnusableError if it is on a read-only file system and they are needed.
    """
    path = location.path
    if path is None or not is_on_read_only_file_system(path):
        return False
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size == 0:
        return True
    if path.with_name(f"{path.name}-shm").exists():
        return False
    raise DatabaseUnusableError(
        f"database '{path}' is on a read-only file system with a write-ahead log that only a"
        " writer can read",
        hint=f"findmnt -T {shlex.quote(str(path))}",
    )


def _sqlite_engine(location: Location) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect_sqlite(location),
        poolclass=QueuePool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        _execute(
            connection,
            f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}",
            "PRAGMA foreign_keys=ON",
            "PRAGMA synchronous=FULL",
        )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock before anything is read; with Python's own deferred
        # transactions 300 of 400 concurrent updates were lost.
        is_writing = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def _server_engine(location: Location) -> Engine:
    try:
        engine = create_engine(
            location.url or "",
            connect_args=location.connect_args,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            "the MySQL driver PyMySQL is not installed", hint="pipx inject vmsnap PyMySQL"
        ) from error

    if location.needs_tls:

        @event.listens_for(engine, "do_connect")
        def connect(
            _dialect: object, _record: object, _names: object, arguments: dict[str, object]
        ) -> DBAPIConnection:
            return connect_encrypted(**arguments)

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        _execute(
            connection,
            # Strict: with sql_mode='' MySQL cuts what is too long, in silence.
            "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            f"SET SESSION innodb_lock_wait_timeout={LOCK_WAIT_SECONDS}",
            "SET SESSION foreign_key_checks=1, unique_checks=1",
        )

    return engine


def _execute(connection: DBAPIConnection, *statements: str) -> None:
    cursor: _Cursor = connection.cursor()
    try:
        for statement in statements:
            cursor.execute(statement)
    finally:
        cursor.close()
