"""Upgrading a database of the first schema, with rows in it, on SQLite and on MariaDB."""

import json
from contextlib import closing

import pytest

from vmsnap.errors import SchemaError
from vmsnap.model import (
    CatalogChange,
    DomainRecord,
    DomainState,
    GroupState,
    HistoryEntry,
    Instant,
    Outcome,
    Proof,
    ResourceKind,
)
from vmsnap.store import schema
from vmsnap.store.database import Database
from vmsnap.store.location import locate
from vmsnap.store.opening import database_status, open_catalog, upgrade_database
from vmsnap.store.rows import backup_row, domain_row, resource_row

INSTANT = Instant(Proof.SUSPENDED, DomainState.RUNNING, 12.5, is_quiesced=True, frozen_ms=3.25)


@pytest.fixture(params=["sqlite", "mariadb"])
def old_url(request, tmp_path):
    """The URL of an empty database of the first schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.db"
        (tmp_path / "old.db").touch(mode=0o600)
        _make_first_schema(url)
        yield url
        return
    server = request.getfixturevalue("mariadb")
    server.run("CREATE DATABASE old_one")
    _make_first_schema(server.url("old_one"))
    yield server.url("old_one")
    server.run("DROP DATABASE old_one")


def _make_first_schema(url):
    from alembic import command
    from alembic.config import Config

    def make(connection):
        config = Config()
        config.set_main_option("script_location", schema.MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    with closing(Database(locate(url))) as database:
        database.write(make)


@pytest.fixture
def group(old_url, samples):
    """A group as the first schema's program left it in the old database."""
    group = samples.group("monday")
    owner = group.resource
    content = {"codec": "raw", "raw_size": 1, "chunk_count": 0}
    group_row = {
        "resource_uuid": group.id,
        "kind": group.kind.value,
        "state": GroupState.READY.value,
        "definition_sha256": group.definition_digest,
        "left_out": json.dumps([["sda", "a CD-ROM"]]),
    }
    kept = samples.resource("safety", kind=ResourceKind.SAFETY, backups=())
    record = DomainRecord(samples.host_id, samples.domain_id, "web1", group.id, kept.id)
    domain_columns = domain_row(record)
    del domain_columns["safety_base_uuid"]
    rows = [
        ("content", {**content, "sha256": samples.digest(b"nvram")}),
        ("content", {**content, "sha256": group.definition_digest}),
        ("resource", {**resource_row(owner, samples.operation().id, None), "is_ready": True}),
        ("snapshot_group", group_row),
        *(("backup", backup_row(backup)) for backup in owner.backups),
        *(
            (
                "snapshot",
                {
                    "uuid": item.id,
                    "group_uuid": item.group_id,
                    "target": item.target,
                    "layer_uuid": item.layer_id,
                    "active_path": str(item.active_path),
                },
            )
            for item in group.snapshots
        ),
        ("resource", {**resource_row(kept, samples.operation().id, None), "is_ready": True}),
        ("domain", domain_columns),
    ]

    def fill(connection):
        for name, row in rows:
            # Only the columns named are written: the table of today has more.
            connection.execute(schema.metadata.tables[name].insert().values(**row))

    with closing(Database(locate(old_url))) as database:
        database.write(fill)
    return group


def test_a_database_of_the_first_schema_is_refused_until_it_is_upgraded(old_url):
    """H52: nothing is upgraded in passing."""
    for create in (False, True):
        with pytest.raises(SchemaError, match="older schema '0001'") as caught:
            open_catalog(old_url, create=create)
        assert caught.value.hint == "vmsnap db upgrade"
    status = database_status(old_url)
    assert (status.revision, status.is_current) == ("0001", False)
    assert status.identity is not None


def test_an_upgrade_keeps_the_groups_and_knows_no_instants_of_them(old_url, group, samples):
    """H52: every row of the older program is there, on both engines."""
    identity = database_status(old_url).identity
    status, copied = upgrade_database(old_url)
    assert (status.is_current, status.identity) == (True, identity)
    assert (copied is None) == old_url.startswith("mysql")
    with closing(open_catalog(old_url, create=True)) as catalog:
        (found,) = catalog.groups()
        assert (found.resource, found.snapshots) == (group.resource, group.snapshots)
        assert found.instant is None
        assert catalog.history() == ()
        assert catalog.record(samples.host_id, samples.domain_id).current_id == group.id


@pytest.mark.parametrize("is_older", [True, False])
def test_an_upgrade_tells_by_the_times_what_was_made_since_the_last_revert(
    old_url, group, samples, is_older
):
    if not is_older:
        late = {"created_at": samples.now()}
        resource = schema.metadata.tables["resource"]
        change = resource.update().where(resource.c.uuid == group.id).values(**late)
        with closing(Database(locate(old_url))) as database:
            database.write(lambda connection: connection.execute(change))
    upgrade_database(old_url)
    with closing(open_catalog(old_url, create=True)) as catalog:
        record = catalog.record(samples.host_id, samples.domain_id)
    assert record.safety_base_id == (group.id if is_older else None)


def test_an_upgraded_database_takes_instants_and_history(old_url, group, samples):
    upgrade_database(old_url)
    ended = HistoryEntry(samples.operation(), samples.now(), Outcome.DONE)
    with closing(open_catalog(old_url, create=True)) as catalog:
        catalog.apply(CatalogChange(instants={group.id: INSTANT}))
        catalog.add_history(ended)
        assert catalog.groups()[0].instant == INSTANT
        assert catalog.history() == (ended,)


def test_an_upgraded_database_knows_of_no_pin_and_takes_one(old_url, group, samples):
    upgrade_database(old_url)
    with closing(open_catalog(old_url, create=True)) as catalog:
        assert [found.is_pinned for found in catalog.groups()] == [False]
        catalog.apply(CatalogChange(pins={group.id: True}))
        assert [found.is_pinned for found in catalog.groups()] == [True]


def test_an_upgraded_database_has_exactly_the_tables_of_a_new_one(old_url, group):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    upgrade_database(old_url)
    with closing(Database(locate(old_url))) as database:
        differences = database.read(
            lambda connection: compare_metadata(
                MigrationContext.configure(connection), schema.metadata
            )
        )
    assert differences == []


@pytest.mark.parametrize("undone", [(), ("DROP INDEX ix_history_domain ON history",)])
def test_an_upgrade_that_was_interrupted_on_a_server_is_continued(mariadb, undone):
    """MySQL commits each statement: half of the columns may be there, or all but the last step."""
    mariadb.run("CREATE DATABASE half")
    url = mariadb.url("half")
    _make_first_schema(url)
    upgrade_database(url)
    columns = "ALTER TABLE snapshot_group DROP COLUMN frozen_ms, DROP COLUMN is_quiesced"
    rest = undone or ("DROP TABLE history",)
    mariadb.run([columns, *rest, "UPDATE alembic_version SET version_num = '0001'"], "half")
    status, _ = upgrade_database(url)
    assert status.is_current
    test_an_upgraded_database_has_exactly_the_tables_of_a_new_one(url, None)
    mariadb.run("DROP DATABASE half")
