"""The catalog on SQLAlchemy: each method one transaction of the database."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Select, select

from vmsnap.model import (
    Backup,
    CatalogChange,
    DatabaseStatus,
    Digest,
    DomainId,
    DomainRecord,
    Group,
    HistoryEntry,
    HostId,
    Layer,
    Operation,
    OperationId,
    Resource,
    Snapshot,
)
from vmsnap.ports import Draft
from vmsnap.store import changes, history, reservations
from vmsnap.store.contents import get_content, remove_unused_contents, unreferenced_contents
from vmsnap.store.database import Database
from vmsnap.store.revisions import read_status
from vmsnap.store.rows import (
    parents_first,
    read_backup,
    read_domain,
    read_group,
    read_layer,
    read_resource,
    read_snapshot,
)
from vmsnap.store.schema import backup, domain, layer, resource, snapshot, snapshot_group


class SqlCatalog:
    """The Catalog port on SQLite and MySQL; `ports.Catalog` says what each method promises."""

    def __init__(self, database: Database) -> None:
        """Use a database whose schema was found to be current."""
        self._database = database

    def close(self) -> None:
        """Close the connections to the database."""
        self._database.close()

    def ping(self) -> None:
        """Raise DatabaseError unless the database answers."""
        self._database.read(lambda connection: connection.execute(select(1)).scalar())

    def status(self) -> DatabaseStatus:
        """Say which database this is and which schema it has."""
        shown_url = self._database.location.shown
        return self._database.read(lambda connection: read_status(connection, shown_url))

    def record(self, host_id: HostId, domain_id: DomainId) -> DomainRecord | None:
        """Return what is known of a domain as a whole, or None."""
        statement = select(domain).where(domain.c.host_uuid == host_id, domain.c.uuid == domain_id)

        def work(connection: Connection) -> DomainRecord | None:
            row = connection.execute(statement).mappings().one_or_none()
            return None if row is None else read_domain(row)

        return self._database.read(work)

    def records(self, host_id: HostId | None = None) -> tuple[DomainRecord, ...]:
        """Return the records of all domains, of one host or of all."""
        statement = select(domain).order_by(domain.c.host_uuid, domain.c.uuid)
        if host_id is not None:
            statement = statement.where(domain.c.host_uuid == host_id)

        def work(connection: Connection) -> tuple[DomainRecord, ...]:
            return tuple(read_domain(row) for row in connection.execute(statement).mappings())

        return self._database.read(work)

    def groups(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Group, ...]:
        """Return groups with their snapshots and backups, in every state."""
        scope = _scope(host_id, domain_id)

        def work(connection: Connection) -> tuple[Group, ...]:
            backups = _backups(connection, scope)
            snapshots = _snapshots(connection, scope)
            rows = connection.execute(groups_statement(scope)).mappings()
            return tuple(read_group(row, backups, snapshots) for row in rows)

        return self._database.read(work)

    def resources(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Resource, ...]:
        """Return all resources with their backups: of groups too, but none not yet READY."""
        scope = [*_scope(host_id, domain_id), resource.c.is_ready.is_(True)]

        def work(connection: Connection) -> tuple[Resource, ...]:
            backups = _backups(connection, scope)
            statement = (
                select(resource).where(*scope).order_by(resource.c.created_at, resource.c.uuid)
            )
            rows = connection.execute(statement).mappings()
            return tuple(read_resource(row, backups.get(row["uuid"], ())) for row in rows)

        return self._database.read(work)

    def layers(self, host_id: HostId, domain_id: DomainId) -> tuple[Layer, ...]:
        """Return the layers of a domain's disks, parents before children."""
        statement = select(layer).where(
            layer.c.host_uuid == host_id, layer.c.domain_uuid == domain_id
        )

        def work(connection: Connection) -> tuple[Layer, ...]:
            rows = connection.execute(statement).mappings()
            return parents_first(read_layer(row) for row in rows)

        return self._database.read(work)

    def content(self, digest: Digest) -> bytes:
        """Return a content, its length and digest checked."""
        return self._database.read(lambda connection: get_content(connection, digest))

    def reserve(
        self, operation: Operation, drafts: Sequence[Draft], contents: Mapping[Digest, bytes]
    ) -> None:
        """Register a pending operation, insert its drafts (state CREATING) and their contents."""
        self._database.write(
            lambda connection: reservations.reserve(connection, operation, drafts, contents)
        )

    def require_unclaimed(self, host_id: HostId, domain_id: DomainId) -> None:
        """Raise OtherHostError if another host has an operation pending on the same domain."""
        self._database.read(
            lambda connection: reservations.require_unclaimed(connection, host_id, domain_id)
        )

    def claimant(self, domain_id: DomainId) -> HostId | None:
        """Return the host that has an operation pending on a domain UUID."""
        return self._database.read(lambda connection: reservations.claimant(connection, domain_id))

    def discard(self, operation_id: OperationId) -> None:
        """Remove what `reserve` inserted and is not READY, unused contents, the registration."""
        self._database.write(lambda connection: reservations.discard(connection, operation_id))

    def commit(self, operation_id: OperationId, change: CatalogChange) -> None:
        """Insert the operation's id as committed and apply the change, in one transaction."""
        self._database.write(lambda connection: changes.commit(connection, operation_id, change))

    def was_committed(self, operation_id: OperationId) -> bool:
        """Tell for certain whether an operation committed, by inserting its id as aborted."""
        outcome = self._database.write(
            lambda connection: changes.decide(connection, operation_id, changes.ABORTED)
        )
        return outcome == changes.COMMITTED

    def add_history(self, entry: HistoryEntry) -> None:
        """Record how an operation ended, in place of an earlier entry of the same operation.

        Of each domain only the last entries are kept: history.KEPT of them.
        """
        self._database.write(lambda connection: history.add(connection, entry))

    def history(
        self,
        host_id: HostId | None = None,
        domain_id: DomainId | None = None,
        *,
        limit: int | None = None,
    ) -> tuple[HistoryEntry, ...]:
        """Return how operations ended, oldest first; of more than `limit` the last ones."""
        statement = history.newest_first(host_id, domain_id).limit(limit)
        return self._database.read(lambda connection: history.read(connection, statement))

    def apply(self, change: CatalogChange) -> None:
        """Apply a change that follows a commit; repeating it changes nothing more."""
        self._database.write(lambda connection: changes.apply(connection, change))

    def finish(self, operation_id: OperationId) -> None:
        """Remove the registration of a pending operation; without one nothing happens."""
        self._database.write(lambda connection: reservations.finish(connection, operation_id))

    def pending(self, host_id: HostId | None = None) -> tuple[Operation, ...]:
        """Return a host's or all operations that are registered, or whose drafts are left."""
        return self._database.read(
            lambda connection: reservations.pending_operations(connection, host_id)
        )

    def unreferenced(self) -> tuple[Digest, ...]:
        """Return the contents that no backup, group or pending operation names."""
        return self._database.read(unreferenced_contents)

    def drop_unreferenced(self, digests: Collection[Digest]) -> None:
        """Remove those of these contents that nothing names by then."""
        self._database.write(lambda connection: remove_unused_contents(connection, digests))


Scope = Sequence[ColumnElement[bool]]


def groups_statement(scope: Scope) -> Select[tuple[object, ...]]:
    """Return the query for groups joined with their resources, oldest first."""
    return (
        select(
            resource,
            snapshot_group.c.kind.label("group_kind"),
            snapshot_group.c.state,
            snapshot_group.c.parent_uuid,
            snapshot_group.c.definition_sha256,
            snapshot_group.c.left_out,
            snapshot_group.c.proof,
            snapshot_group.c.domain_state,
            snapshot_group.c.stood_still_ms,
            snapshot_group.c.is_quiesced,
            snapshot_group.c.frozen_ms,
            snapshot_group.c.is_pinned,
        )
        .join(snapshot_group, snapshot_group.c.resource_uuid == resource.c.uuid)
        .where(*scope)
        .order_by(resource.c.created_at, resource.c.uuid)
    )


def backups_statement(scope: Scope) -> Select[tuple[object, ...]]:
    """Return the query for the backups of some resources."""
    return (
        select(backup)
        .join(resource, backup.c.resource_uuid == resource.c.uuid)
        .where(*scope)
        .order_by(backup.c.type)
    )


def snapshots_statement(scope: Scope) -> Select[tuple[object, ...]]:
    """Return the query for the snapshots of some groups."""
    return (
        select(snapshot)
        .join(resource, snapshot.c.group_uuid == resource.c.uuid)
        .where(*scope)
        .order_by(snapshot.c.target)
    )


def _scope(host_id: HostId | None, domain_id: DomainId | None) -> list[ColumnElement[bool]]:
    scope: list[ColumnElement[bool]] = []
    if host_id is not None:
        scope.append(resource.c.host_uuid == host_id)
    if domain_id is not None:
        scope.append(resource.c.domain_uuid == domain_id)
    return scope


def _backups(connection: Connection, scope: Scope) -> Mapping[str, list[Backup]]:
    found: defaultdict[str, list[Backup]] = defaultdict(list)
    for row in connection.execute(backups_statement(scope)).mappings():
        item = read_backup(row)
        found[item.resource_id].append(item)
    return found


def _snapshots(connection: Connection, scope: Scope) -> Mapping[str, list[Snapshot]]:
    found: defaultdict[str, list[Snapshot]] = defaultdict(list)
    for row in connection.execute(snapshots_statement(scope)).mappings():
        item = read_snapshot(row)
        found[item.group_id].append(item)
    return found
