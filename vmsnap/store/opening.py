"""Opening, making and upgrading a database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.model import DatabaseStatus
from vmsnap.store import schema, sqlite_files
from vmsnap.store.catalog import SqlCatalog
from vmsnap.store.database import Database
from vmsnap.store.empty import EmptyCatalog
from vmsnap.store.location import Location, locate
from vmsnap.store.revisions import (
    expected_revision,
    migrate,
    read_revision,
    read_status,
    require_current,
)


def open_catalog(url: str, *, create: bool, make_folder: bool = False) -> SqlCatalog | EmptyCatalog:
    """Open the catalog of a database URL.

    With `create` a missing database is made and an existing one must be writable; without it a
    missing database is an EmptyCatalog. `make_folder` is for the default location: its folder is
    made, or may be missing; any other's must be there. An SQLite file appears whole or not at all.

    Raises ConfigError for a URL or driver that cannot be used, DatabaseUnusableError if the
    database is there and cannot be read (or, with `create`, written), SchemaError if its schema is
    older or newer than this program's.
    """
    location = locate(url)
    if not _file_is_there(location, make_folder=make_folder):
        if not create:
            return EmptyCatalog(location.shown, expected_revision())
        _make_file(location, make_folder=make_folder)
    if create and location.path is not None:
        sqlite_files.require_writable(location.path)
    database = Database(location)
    with _closed_on_error(database):
        revision = _checked_revision(database, is_writing=create)
        if revision is None:
            if not create:
                database.close()
                return EmptyCatalog(location.shown, expected_revision())
            migrate(database)
            sqlite_files.use_write_ahead_log(location)
            revision = _checked_revision(database, is_writing=True)
        require_current(location.shown, revision or "")
    if create and location.path is not None:
        sqlite_files.keep_private(location.path)
    return SqlCatalog(database)


def unopened_catalog(url: str) -> EmptyCatalog:
    """Return an empty catalog in place of one that cannot be opened; its URL may be wrong, too."""
    try:
        return EmptyCatalog(locate(url).shown, expected_revision())
    except ConfigError:
        return EmptyCatalog("", expected_revision())


def database_status(url: str, *, make_folder: bool = False) -> DatabaseStatus:
    """Say whether there is a database and which schema it has, be it current or not.

    Raises ConfigError or DatabaseUnusableError as `open_catalog` does.
    """
    location = locate(url)
    if not _file_is_there(location, make_folder=make_folder):
        return EmptyCatalog(location.shown, expected_revision()).status()
    with closing(Database(location)) as database:
        return _status(database)


def planned_upgrade(url: str, *, make_folder: bool = False) -> DatabaseStatus:
    """Return what an upgrade would begin with; nothing is changed.

    Raises SchemaError if the schema is newer than this program's.
    """
    before = database_status(url, make_folder=make_folder)
    known = (None, *schema.REVISIONS)
    if not before.is_current and before.revision not in known:
        require_current(before.url, before.revision or "")
    return before


def upgrade_database(url: str, *, make_folder: bool = False) -> tuple[DatabaseStatus, Path | None]:
    """Bring an older schema to the present; return the status and where the old file was copied.

    An SQLite file is copied first, in its folder, 0600; a MySQL database is not. Nothing is copied
    or changed if there is no database, or if it is current. Raises SchemaError if it is newer.
    """
    location = locate(url)
    before = planned_upgrade(url, make_folder=make_folder)
    if before.revision is None or before.is_current:
        return before, None
    copied = None
    if location.path is not None:
        sqlite_files.require_writable(location.path)
        copied = sqlite_files.copy(location, location.path)
    with closing(Database(location)) as database:
        migrate(database)
        return _status(database), copied


def _status(database: Database) -> DatabaseStatus:
    shown_url = database.location.shown
    return database.read(
        lambda connection: read_status(connection, shown_url), failure=DatabaseUnusableError
    )


def _file_is_there(location: Location, *, make_folder: bool) -> bool:
    if location.path is None:
        return True
    return sqlite_files.is_there(location.path, is_folder_optional=make_folder)


def _make_file(location: Location, *, make_folder: bool) -> None:
    """Make a new SQLite database under another name, with its schema, then give it its own."""
    path = location.path
    if path is None:
        return
    if make_folder:
        sqlite_files.make_folder(path.parent)
    made = sqlite_files.new_beside(path)
    try:
        own = Location(shown=location.shown, path=made)
        with closing(Database(own)) as database:
            migrate(database)
        sqlite_files.use_write_ahead_log(own)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sqlite_files.publish(made, path)


def _checked_revision(database: Database, *, is_writing: bool) -> str | None:
    """Read the revision; `is_writing` takes the write lock, which a read-only file refuses."""
    if is_writing:
        return database.write(read_revision, failure=DatabaseUnusableError)
    return database.read(read_revision, failure=DatabaseUnusableError)


@contextmanager
def _closed_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise
