"""What the database itself has to do for the catalog: its schema, its indexes, its refusals."""

import traceback
from contextlib import closing

import pytest
from sqlalchemy.dialects import mysql, sqlite

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.model import CatalogChange
from vmsnap.store import engines
from vmsnap.store.catalog import (
    SqlCatalog,
    _scope,
    backups_statement,
    groups_statement,
    snapshots_statement,
)
from vmsnap.store.database import Database
from vmsnap.store.empty import EmptyCatalog
from vmsnap.store.location import locate
from vmsnap.store.opening import database_status, open_catalog, upgrade_database
from vmsnap.store.schema import metadata

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for

LOOK_UPS = (
    "SELECT * FROM backup WHERE resource_uuid = 'x'",
    "SELECT * FROM backup WHERE sha256 = 'x'",
    "SELECT * FROM snapshot WHERE group_uuid = 'x'",
    "SELECT * FROM snapshot WHERE layer_uuid = 'x'",
    "SELECT * FROM snapshot_group WHERE parent_uuid = 'x'",
    "SELECT * FROM snapshot_group WHERE definition_sha256 = 'x'",
    "SELECT * FROM resource WHERE uuid = 'x'",
    "SELECT * FROM resource WHERE domain_uuid = 'x'",
    "SELECT * FROM resource WHERE operation_uuid = 'x'",
    "SELECT * FROM resource WHERE host_uuid = 'x' AND domain_uuid = 'x' AND name_key = 'x'",
    "SELECT * FROM layer WHERE host_uuid = 'x' AND domain_uuid = 'x'",
    "SELECT * FROM domain WHERE host_uuid = 'x' AND uuid = 'x'",
    "SELECT * FROM content_chunk WHERE sha256 = 'x'",
    "SELECT * FROM pending WHERE domain_uuid = 'x'",
    "SELECT * FROM pending_content WHERE sha256 = 'x'",
    "SELECT * FROM pending_content WHERE operation_uuid = 'x'",
    "SELECT * FROM history WHERE domain_uuid = 'x' ORDER BY started_at",
)


@pytest.fixture
def filled(catalog, samples):
    """A catalog with enough rows for an optimizer to prefer an index."""
    for number in range(8):
        domain_id = f"55555555-0000-0000-0000-{number:012d}"
        for name in ("monday", "tuesday"):
            samples.store_group(catalog, name, domain_id=domain_id)
        layers = tuple(samples.layer(domain_id=domain_id) for _ in range(3))
        catalog.apply(CatalogChange(layers=layers))
    return catalog


def scanned(rows, catalog_url, statement):
    """Return the tables that a query reads whole."""
    if catalog_url.startswith("sqlite"):
        plan = [row[3] for row in rows(f"EXPLAIN QUERY PLAN {statement}")]
        return [step for step in plan if step.startswith("SCAN")]
    # Columns 2 and 3: the table, and how it is read.
    return [row[2] for row in rows(f"EXPLAIN {statement}") if row[3] in ("ALL", "index")]


def test_look_ups_use_an_index(filled, rows, catalog_url):
    """H11: no look-up by resource, domain or content scans a table."""
    found = {statement: scanned(rows, catalog_url, statement) for statement in LOOK_UPS}
    assert {statement: plan for statement, plan in found.items() if plan} == {}


def test_the_lists_of_one_domain_use_indexes(filled, rows, catalog_url):
    """H11: neither do the queries of `group list DOMAIN`."""
    is_sqlite = catalog_url.startswith("sqlite")
    dialect = (sqlite if is_sqlite else mysql).dialect()
    scope = _scope("11111111-0000-0000-0000-000000000000", "55555555-0000-0000-0000-000000000003")
    for statement in (groups_statement, backups_statement, snapshots_statement):
        compiled = statement(scope).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        assert scanned(rows, catalog_url, str(compiled)) == []


def test_the_migrations_make_exactly_the_tables_of_the_schema(catalog_url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with closing(Database(locate(catalog_url))) as database:
        differences = database.read(
            lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)
        )
    assert differences == []


@pytest.fixture
def server_url(mariadb):
    """The URL of an empty MariaDB database."""
    mariadb.run("CREATE DATABASE empty_one")
    yield mariadb.url("empty_one")
    mariadb.run("DROP DATABASE empty_one")


def test_a_server_s_database_without_tables_is_empty_until_the_first_write(server_url):
    assert isinstance(open_catalog(server_url, create=False), EmptyCatalog)
    assert not database_status(server_url).exists
    assert upgrade_database(server_url) == (database_status(server_url), None)
    with closing(open_catalog(server_url, create=True)) as catalog:
        assert isinstance(catalog, SqlCatalog)
        assert catalog.status().is_current
        assert catalog.status().identity
    assert database_status(server_url).exists


def test_making_that_was_interrupted_on_a_server_is_continued(server_url, mariadb):
    """MySQL commits each statement: half of the tables may be there."""
    open_catalog(server_url, create=True).close()
    mariadb.run(
        [
            "DELETE FROM alembic_version",
            "DELETE FROM database_identity",
            "DROP TABLE pending_content",
            "DROP TABLE backup",
            "DROP INDEX ix_resource_operation ON resource",
        ],
        "empty_one",
    )
    assert isinstance(open_catalog(server_url, create=False), EmptyCatalog)
    with closing(open_catalog(server_url, create=True)) as catalog:
        assert catalog.status().is_current
        assert catalog.status().identity
    test_the_migrations_make_exactly_the_tables_of_the_schema(server_url)


def test_tables_of_another_program_are_left_alone(server_url, mariadb):
    mariadb.run("CREATE TABLE resource (x INT)", "empty_one")
    for create in (False, True):
        with pytest.raises(DatabaseUnusableError, match="another program"):
            open_catalog(server_url, create=create)


def test_large_binaries_have_no_limit_of_65535_bytes(server_url, mariadb):
    """H13: LONGBLOB."""
    open_catalog(server_url, create=True).close()
    columns = {row[0]: row[1] for row in mariadb.run("DESCRIBE content_chunk", "empty_one")}
    assert columns["data"] == "longblob"


def test_a_missing_database_of_a_server_is_refused(mariadb):
    with pytest.raises(DatabaseUnusableError, match="nowhere"):
        open_catalog(mariadb.url("nowhere"), create=True)


def test_a_wrong_password_is_refused_and_shown_nowhere(mariadb):
    """H50: neither the message nor the traceback holds it."""
    mariadb.run("CREATE OR REPLACE USER keeper@localhost IDENTIFIED BY 'right'")
    url = mariadb.url("vmsnap", user=f"keeper:{SECRET}")
    with pytest.raises(DatabaseUnusableError, match="Access denied") as caught:
        open_catalog(url, create=True)
    assert caught.value.exit_code == 10
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "keeper:***@" in caught.value.message


def test_a_server_that_is_not_there_is_refused(tmp_path):
    url = f"mysql://vmsnap:{SECRET}@localhost/x?unix_socket={tmp_path}/none"
    with pytest.raises(DatabaseUnusableError) as caught:
        open_catalog(url, create=False)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_server_without_tls_is_refused_where_tls_was_asked_for(mariadb):
    url = mariadb.url("vmsnap") + "&ssl_verify_cert=false"
    with pytest.raises((ConfigError, DatabaseUnusableError), match=r"SSL|TLS"):
        open_catalog(url, create=True)


def test_a_missing_driver_says_what_to_type(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(ConfigError, match="PyMySQL is not installed") as caught:
        open_catalog("mysql://vmsnap@localhost/x", create=False)
    assert caught.value.hint == "pipx inject vmsnap PyMySQL"


def test_a_session_is_strict_and_waits_for_locks_within_limits(mariadb_database):
    """H13, H4: whatever the server's own settings are."""
    asked = "SELECT @@sql_mode, @@innodb_lock_wait_timeout, @@character_set_client"
    with closing(Database(locate(mariadb_database))) as database:
        mode, seconds, charset = database.read(
            lambda connection: connection.exec_driver_sql(asked).one()
        )
    assert "STRICT_ALL_TABLES" in mode
    assert seconds == engines.LOCK_WAIT_SECONDS
    assert charset == "utf8mb4"


def test_a_connection_that_the_server_closed_is_opened_anew(mariadb_database, mariadb):
    with closing(open_catalog(mariadb_database, create=True)) as catalog:
        catalog.ping()
        for row in mariadb.run("SELECT id FROM information_schema.processlist WHERE db='vmsnap'"):
            mariadb.run(f"KILL {row[0]}")
        catalog.ping()
