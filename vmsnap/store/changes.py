"""Applying a CatalogChange, and deciding once and for all whether an operation committed."""

from datetime import UTC, datetime

from sqlalchemy import Connection, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vmsnap.errors import DatabaseError
from vmsnap.model import CatalogChange, DomainRecord, GroupState, Layer, OperationId
from vmsnap.store.contents import remove_unused_contents
from vmsnap.store.removal import remove_resources
from vmsnap.store.reservations import take_names
from vmsnap.store.rows import Row, domain_row, instant_row, layer_row
from vmsnap.store.schema import (
    domain,
    layer,
    operation,
    pending,
    resource,
    snapshot,
    snapshot_group,
)

COMMITTED = "committed"
ABORTED = "aborted"


def commit(connection: Connection, operation_id: OperationId, change: CatalogChange) -> None:
    """Insert the operation's id as committed and apply the change; see ports.Catalog."""
    outcome = decide(connection, operation_id, COMMITTED)
    if outcome == COMMITTED:
        return
    if outcome is not None:
        raise DatabaseError(f"operation '{operation_id}' was given up before it could commit")
    _require_drafts(connection, change)
    apply(connection, change)


def decide(connection: Connection, operation_id: OperationId, outcome: str) -> str | None:
    """Insert the outcome of an operation; return the one that it has if it has one already.

    The key decides, not a look: another transaction's insert in flight is not seen, but it is
    waited for.
    """
    at = datetime.now(UTC)
    row: Row = {"uuid": operation_id, "outcome": outcome, "decided_at": at}
    registered = connection.execute(
        select(pending.c.host_uuid, pending.c.domain_uuid, pending.c.verb).where(
            pending.c.uuid == operation_id
        )
    ).one_or_none()
    if registered is not None:
        row |= registered._asdict()
    try:
        with connection.begin_nested():
            connection.execute(insert(operation), row)
    except IntegrityError:
        return connection.scalar(
            select(operation.c.outcome).where(operation.c.uuid == operation_id)
        )
    return None


def apply(connection: Connection, change: CatalogChange) -> None:
    """Apply a change, field by field in their order; repeating it changes nothing more."""
    _set_ready(connection, change)
    _set_deleting(connection, change)
    for item in change.layers:
        _put_layer(connection, item)
    _move_snapshots(connection, change)
    digests = remove_resources(connection, change.removed_resources)
    # Only now are the names of those that were replaced free.
    take_names(connection, change.ready)
    remove_unused_contents(connection, digests)
    if change.removed_layers:
        connection.execute(delete(layer).where(layer.c.uuid.in_(change.removed_layers)))
    if change.record is not None:
        _put_record(connection, change.record)
    for group_id, instant in change.instants.items():
        connection.execute(
            update(snapshot_group)
            .where(snapshot_group.c.resource_uuid == group_id)
            .values(instant_row(instant))
        )
    if change.removed_record is not None:
        _remove_record(connection, change.removed_record)
    for group_id, is_pinned in change.pins.items():
        connection.execute(
            update(snapshot_group)
            .where(snapshot_group.c.resource_uuid == group_id)
            .values(is_pinned=is_pinned)
        )


def _require_drafts(connection: Connection, change: CatalogChange) -> None:
    """Raise if a draft that is to become ready is not there: nothing may promise it."""
    present = set(
        connection.scalars(select(resource.c.uuid).where(resource.c.uuid.in_(change.ready)))
    )
    missing = [item for item in change.ready if item not in present]
    if missing:
        raise DatabaseError(f"the reserved rows of '{missing[0]}' are gone from the database")


def _set_ready(connection: Connection, change: CatalogChange) -> None:
    if not change.ready:
        return
    connection.execute(
        update(resource).where(resource.c.uuid.in_(change.ready)).values(is_ready=True)
    )
    connection.execute(
        update(snapshot_group)
        .where(
            snapshot_group.c.resource_uuid.in_(change.ready),
            snapshot_group.c.state == GroupState.CREATING.value,
        )
        .values(state=GroupState.READY.value)
    )


def _set_deleting(connection: Connection, change: CatalogChange) -> None:
    if not change.deleting:
        return
    connection.execute(
        update(snapshot_group)
        .where(snapshot_group.c.resource_uuid.in_(change.deleting))
        .values(state=GroupState.DELETING.value)
    )


def _put_layer(connection: Connection, item: Layer) -> None:
    row = layer_row(item)
    if not connection.execute(update(layer).where(layer.c.uuid == item.id).values(row)).rowcount:
        connection.execute(insert(layer), row)


def _move_snapshots(connection: Connection, change: CatalogChange) -> None:
    moved = dict(change.moved_snapshots)
    if not moved:
        return
    # All at once: one after the other, what was moved onto a layer would be moved on with it.
    connection.execute(
        update(snapshot)
        .where(snapshot.c.layer_uuid.in_(moved))
        .values(layer_uuid=case(moved, value=snapshot.c.layer_uuid))
    )


def _put_record(connection: Connection, record: DomainRecord) -> None:
    row = domain_row(record)
    statement = update(domain).where(
        domain.c.host_uuid == record.host_id, domain.c.uuid == record.id
    )
    if not connection.execute(statement.values(row)).rowcount:
        connection.execute(insert(domain), row)


def _remove_record(connection: Connection, record: DomainRecord) -> None:
    connection.execute(
        delete(domain).where(domain.c.host_uuid == record.host_id, domain.c.uuid == record.id)
    )
