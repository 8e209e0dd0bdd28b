"""Transactions of one database, and the translation of what can fail in them."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from vmsnap.errors import DatabaseError, DatabaseUnusableError, VmsnapError
from vmsnap.store.engines import WRITES, make_engine
from vmsnap.store.location import DAMAGE_HINT, SETTING_HINT, Location

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# MySQL: a deadlock's victim, and a lock that was not to be had in time. Both were rolled back
# whole by the time they are tried again.
_DEADLOCK = 1213
_LOCK_WAIT = 1205
_ATTEMPTS = {_DEADLOCK: 6, _LOCK_WAIT: 2}
_PAUSE_SECONDS = 0.05

_DISK_HINTS = {
    sqlite3.SQLITE_FULL: "df -h",
    sqlite3.SQLITE_READONLY: "findmnt -O ro",
    sqlite3.SQLITE_IOERR: "journalctl -k -p err",
    sqlite3.SQLITE_CORRUPT: DAMAGE_HINT,
    sqlite3.SQLITE_NOTADB: DAMAGE_HINT,
}


class Database:
    """One database, open until `close`; safe to use from several threads."""

    def __init__(self, location: Location) -> None:
        """Prepare the connection without connecting yet. Raises ConfigError without a driver."""
        self.location = location
        self._engine = make_engine(location)
        self._inode = self._present_inode()

    def close(self) -> None:
        """Close all connections; later calls open new ones."""
        self._engine.dispose()

    def read(
        self,
        work: Callable[[Connection], Result],
        *,
        failure: type[VmsnapError] = DatabaseError,
    ) -> Result:
        """Run `work` in a transaction that sees one state of the database and changes nothing."""
        with self._translated(failure), self._transaction(is_writing=False) as connection:
            return work(connection)

    def write(
        self,
        work: Callable[[Connection], Result],
        *,
        failure: type[VmsnapError] = DatabaseError,
    ) -> Result:
        """Run `work` in a transaction that is committed if it returns and else rolled back.

        `work` may run several times: after a deadlock it is tried again from the beginning.
        """
        attempt = 1
        with self._translated(failure):
            while True:
                try:
                    with self._transaction(is_writing=True) as connection:
                        return work(connection)
                except DBAPIError as error:
                    if attempt >= _ATTEMPTS.get(error_number(error) or 0, 1):
                        raise
                    log.debug("transaction is tried again: %s", _reason(error))
                    time.sleep(_PAUSE_SECONDS * attempt)
                    attempt += 1

    @contextmanager
    def _transaction(self, *, is_writing: bool) -> Iterator[Connection]:
        self._check_still_there()
        options: dict[str, object] = {WRITES: is_writing}
        if self.location.url is not None:
            # Writing looks at what is committed now (rows are locked where it matters); reading
            # takes several statements and wants one state for all of them.
            options["isolation_level"] = "READ COMMITTED" if is_writing else "REPEATABLE READ"
        connecting = self._engine.connect().execution_options(**options)
        # SQLAlchemy drops a connection that a signal struck between question and answer.
        with connecting as connection, connection.begin():
            yield connection

    def _check_still_there(self) -> None:
        """Raise if the SQLite file was moved away: SQLite would write on into the lost file."""
        if self._inode is not None and self._present_inode() != self._inode:
            raise DatabaseError(f"database '{self.location.shown}' was removed while in use")

    def _present_inode(self) -> tuple[int, int] | None:
        if self.location.path is None:
            return None
        try:
            status = os.stat(self.location.path)  # noqa: PTH116 - as cheap as it gets
        except OSError:
            return (0, 0)
        return status.st_dev, status.st_ino

    def _driver_error(self) -> type[Exception]:
        """Return the driver's own class: SQLAlchemy lets it through where it sets up a session."""
        found: object = getattr(self._engine.dialect.dbapi, "Error", None)
        if isinstance(found, type) and issubclass(found, Exception):
            return found
        return SQLAlchemyError

    @contextmanager
    def _translated(self, failure: type[VmsnapError]) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._driver_error()) as error:
            reason, disk_hint = _reason(error), _disk_hint(error)
            if disk_hint == _DISK_HINTS[sqlite3.SQLITE_IOERR] and self._is_disk_full():
                # Readers need room too, for the file that SQLite has them share.
                reason, disk_hint = "its file system is full", _DISK_HINTS[sqlite3.SQLITE_FULL]
            message = f"database '{self.location.shown}' failed: {reason}"
            hint = (
                SETTING_HINT if issubclass(failure, DatabaseUnusableError) else "vmsnap db status"
            )
            raise failure(message, hint=disk_hint or hint) from error

    def _is_disk_full(self) -> bool:
        if self.location.path is None:
            return False
        try:
            return os.statvfs(self.location.path).f_bavail == 0
        except OSError:
            return False


def error_number(error: DBAPIError) -> int | None:
    """Return MySQL's error number, or None if the error has none."""
    arguments: tuple[object, ...] = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def error_text(error: DBAPIError) -> str:
    """Return the driver's own sentence: SQLAlchemy's holds the whole statement."""
    return _driver_text(error.orig)


def _driver_text(error: BaseException | None) -> str:
    arguments: tuple[object, ...] = getattr(error, "args", ())
    text = " ".join(str(arguments[-1]).split()) if arguments else ""
    return text or "no reason was given"


def _disk_hint(error: Exception) -> str | None:
    """Say where to look if SQLite complains of the disk."""
    number: object = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    # The lowest byte is the kind; above it stands in which call it was.
    return _DISK_HINTS.get(number & 0xFF) if isinstance(number, int) else None


def _reason(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return error_text(error)
    if isinstance(error, SQLAlchemyError):
        return " ".join(str(error).split())
    return _driver_text(error)
