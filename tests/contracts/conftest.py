"""Fixtures of the contract suites: the catalog on SQLite and on a private MariaDB."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from servers.mariadb import MariaDb, running_mariadb

from vmsnap.model import (
    Backup,
    BackupId,
    Capture,
    CatalogChange,
    Digest,
    DomainId,
    FileMeta,
    Group,
    GroupKind,
    GroupState,
    HostFileType,
    HostId,
    Layer,
    LayerId,
    LeftOutDisk,
    Operation,
    OperationId,
    Resource,
    ResourceId,
    ResourceKind,
    Snapshot,
    SnapshotId,
)
from vmsnap.ports import Draft
from vmsnap.store.catalog import SqlCatalog
from vmsnap.store.opening import open_catalog


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB server of the test run's own; skipped where none is installed."""
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and no rows, to be copied."""
    path = tmp_path_factory.mktemp("template") / "vmsnap.db"
    open_catalog(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture(scope="session")
def mariadb_database(mariadb: MariaDb) -> str:
    """The URL of a MariaDB database with the schema, made once."""
    mariadb.run("CREATE DATABASE vmsnap")
    url = mariadb.url("vmsnap")
    open_catalog(url, create=True).close()
    return url


@pytest.fixture(params=["sqlite", "mariadb"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the schema and no rows."""
    if request.param == "sqlite":
        path = tmp_path / "vmsnap.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url = request.getfixturevalue("mariadb_database")
    server = request.getfixturevalue("mariadb")
    from vmsnap.store.schema import metadata

    names = [name for name in metadata.tables if name != "database_identity"]
    deletes = [f"DELETE FROM `{name}`" for name in names]  # noqa: S608 - our own names
    server.run(["SET foreign_key_checks = 0", *deletes], "vmsnap")
    return url


@pytest.fixture
def open_again(catalog_url: str) -> Iterator[Callable[[], SqlCatalog]]:
    """Open the same database once more, as another process would."""
    opened: list[SqlCatalog] = []

    def open_one() -> SqlCatalog:
        catalog = open_catalog(catalog_url, create=True)
        assert isinstance(catalog, SqlCatalog)
        opened.append(catalog)
        return catalog

    yield open_one
    for catalog in opened:
        catalog.close()


@pytest.fixture
def catalog(open_again: Callable[[], SqlCatalog]) -> SqlCatalog:
    """A catalog without rows."""
    return open_again()


@pytest.fixture
def rows(catalog_url: str, request: pytest.FixtureRequest) -> Callable[[str], list[tuple]]:
    """Ask the database itself, past the catalog."""
    if not catalog_url.startswith("sqlite"):
        server = request.getfixturevalue("mariadb")
        return lambda statement: server.run(statement, "vmsnap")

    import sqlite3

    def ask(statement: str) -> list[tuple]:
        with closing(sqlite3.connect(catalog_url.removeprefix("sqlite:///"))) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
            return found

    return ask


class Samples:
    """Makes model values that belong together, each with ids of its own."""

    host_id = HostId("11111111-0000-0000-0000-000000000000")
    domain_id = DomainId("22222222-0000-0000-0000-000000000000")

    def __init__(self) -> None:
        self._numbers = count(1)
        self._now = datetime(2026, 11, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012x}"

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def digest(self, data: bytes) -> Digest:
        return Digest(hashlib.sha256(data).hexdigest())

    def operation(self, **changed: object) -> Operation:
        values = {
            "id": OperationId(self.id()),
            "verb": "snapshot create",
            "host_id": self.host_id,
            "domain_id": self.domain_id,
            "domain_name": "web1",
            "started_at": self.now(),
        }
        return Operation(**(values | changed))

    def backup(
        self, resource_id: ResourceId, data: bytes, type_: HostFileType = HostFileType.NVRAM
    ) -> Backup:
        return Backup(
            id=BackupId(self.id()),
            resource_id=resource_id,
            type=type_,
            capture=Capture.CAPTURED,
            captured_at=self.now(),
            digest=self.digest(data),
            size_bytes=len(data),
            meta=FileMeta(64055, 104, 0o600, (("security.selinux", "73797374"),)),
            path=Path("/var/lib/libvirt/qemu/nvram/web1_VARS.fd"),
            secret_id=None,
        )

    def resource(self, name: str, data: bytes = b"nvram", **changed: object) -> Resource:
        resource_id = ResourceId(self.id())
        values = {
            "id": resource_id,
            "kind": ResourceKind.STANDALONE,
            "host_id": self.host_id,
            "domain_id": self.domain_id,
            "domain_name": "web1",
            "name": name,
            "created_at": self.now(),
            "description": "before the upgrade",
            "backups": (self.backup(resource_id, data),),
        }
        return Resource(**(values | changed))

    def group(
        self,
        name: str,
        data: bytes = b"nvram",
        *,
        parent_id: ResourceId | None = None,
        **changed: object,
    ) -> Group:
        resource = self.resource(name, data, kind=ResourceKind.GROUP, **changed)
        return Group(
            resource=resource,
            kind=GroupKind.MANUAL,
            state=GroupState.CREATING,
            parent_id=parent_id,
            definition_digest=self.digest(b"<domain/>"),
            snapshots=tuple(
                Snapshot(
                    SnapshotId(self.id()),
                    resource.id,
                    target,
                    LayerId(self.id()),
                    Path(f"/images/{target}.vmsnap-1.qcow2"),
                )
                for target in ("vda", "vdb")
            ),
            left_out=(LeftOutDisk("sda", "a CD-ROM"),),
        )

    def layer(self, **changed: object) -> Layer:
        values = {
            "id": LayerId(self.id()),
            "host_id": self.host_id,
            "domain_id": self.domain_id,
            "target": "vda",
            "path": Path("/images/web1.qcow2"),
            "format": "qcow2",
            "parent_id": None,
            "is_made_by_vmsnap": False,
            "is_active": True,
        }
        return Layer(**(values | changed))

    def store_group(self, catalog: SqlCatalog, name: str, **changed: object) -> Group:
        """Bring a whole group into a catalog, as a finished create leaves it."""
        data = changed.pop("data", b"nvram")
        group = self.group(name, data, **changed)
        contents = {self.digest(item): item for item in (data, b"<domain/>")}
        self.store(catalog, Draft(group.resource, group), contents)
        return next(item for item in catalog.groups() if item.id == group.id)

    def store_backup(self, catalog: SqlCatalog, name: str, **changed: object) -> Resource:
        """Bring a standalone backup into a catalog."""
        data = changed.pop("data", b"nvram")
        resource = self.resource(name, data, **changed)
        self.store(catalog, Draft(resource), {self.digest(data): data})
        return resource

    def store(self, catalog: SqlCatalog, draft: Draft, contents: dict[Digest, bytes]) -> None:
        owner = draft.resource
        operation = self.operation(host_id=owner.host_id, domain_id=owner.domain_id)
        catalog.reserve(operation, (draft,), contents)
        catalog.commit(operation.id, CatalogChange(ready=(owner.id,)))
        catalog.finish(operation.id)


@pytest.fixture
def samples() -> Samples:
    """A maker of groups, backups, layers and operations."""
    return Samples()
