"""Which revision of the schema a database has, and bringing it to the one that is worked with."""

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError

from vmsnap.errors import DatabaseUnusableError, SchemaError
from vmsnap.model import DatabaseStatus
from vmsnap.store import schema
from vmsnap.store.database import Database, error_number, error_text

_NO_SUCH_TABLE = 1146
_SCHEMA_LOCK_SECONDS = 60


def expected_revision() -> str:
    """Return the revision that this program works with."""
    return schema.REVISIONS[-1]


def read_revision(connection: Connection) -> str | None:
    """Return the revision of a database's schema, or None if it has no tables at all.

    Raises DatabaseUnusableError if the tables in it are not vmsnap's.
    """
    try:
        with connection.begin_nested():
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    except DBAPIError as error:
        if not _is_missing_table(error):
            raise
        if inspect(connection).get_table_names():
            raise DatabaseUnusableError(
                "the database holds tables of another program; vmsnap needs one of its own"
            ) from error
        return None
    return None if found is None else str(found)


def read_status(connection: Connection, shown_url: str) -> DatabaseStatus:
    """Describe a database; one without tables does not exist yet."""
    revision = read_revision(connection)
    identity = None
    if revision in schema.REVISIONS:
        identity = connection.scalar(select(schema.database_identity.c.uuid))
    return DatabaseStatus(
        url=shown_url,
        exists=revision is not None,
        revision=revision,
        expected=expected_revision(),
        identity=identity,
    )


def require_current(shown_url: str, revision: str) -> None:
    """Raise SchemaError unless the revision is the one that this program works with."""
    if revision == expected_revision():
        return
    if revision in schema.REVISIONS:
        raise SchemaError(
            f"database '{shown_url}' has the older schema '{revision}',"
            f" this vmsnap works with '{expected_revision()}'",
            hint="vmsnap db upgrade",
        )
    raise SchemaError(
        f"database '{shown_url}' has the schema '{revision}',"
        f" which is newer than this vmsnap's '{expected_revision()}'",
        hint="pipx upgrade vmsnap",
    )


def migrate(database: Database) -> None:
    """Make the schema, or bring an older one to the present; without need nothing is changed.

    On SQLite all in one transaction. MySQL commits each statement, so what one run left unfinished
    the next one continues.
    """
    database.write(_migrate, failure=DatabaseUnusableError)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", schema.MIGRATIONS)
    config.attributes["connection"] = connection
    if connection.dialect.name == "sqlite":
        command.upgrade(config, "head")
        return
    # MySQL has no transaction around a migration; its named lock keeps a second one out.
    name = {"name": f"vmsnap-schema-{connection.engine.url.database}"[:64]}
    wait = {"seconds": _SCHEMA_LOCK_SECONDS}
    if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), name | wait) != 1:
        raise DatabaseUnusableError("another vmsnap is upgrading the database")
    try:
        command.upgrade(config, "head")
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def _is_missing_table(error: DBAPIError) -> bool:
    return error_number(error) == _NO_SUCH_TABLE or "no such table" in error_text(error)
