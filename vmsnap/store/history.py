"""The history of operations: a bounded number of entries for each domain."""

from sqlalchemy import Connection, Select, delete, insert, select, update

from vmsnap.model import DomainId, HistoryEntry, HostId
from vmsnap.store.rows import history_row, read_history
from vmsnap.store.schema import history

KEPT = 1000
"""How many entries of each domain are kept: at four operations a day those of eight months."""


def add(connection: Connection, entry: HistoryEntry) -> None:
    """Insert an entry, or replace that of the same operation; forget the domain's oldest."""
    row = history_row(entry)
    operation = entry.operation
    statement = update(history).where(history.c.uuid == operation.id).values(row)
    if connection.execute(statement).rowcount:
        return
    connection.execute(insert(history), row)
    _forget_oldest(connection, operation.host_id, operation.domain_id)


def read(
    connection: Connection, host_id: HostId | None, domain_id: DomainId | None
) -> tuple[HistoryEntry, ...]:
    """Return the entries of a host and of a domain, or of all; oldest first."""
    rows = connection.execute(history_statement(host_id, domain_id)).mappings()
    return tuple(read_history(row) for row in rows)


def history_statement(
    host_id: HostId | None, domain_id: DomainId | None
) -> Select[tuple[object, ...]]:
    """Return the query for the entries of a host and of a domain, oldest first."""
    statement = select(history).order_by(history.c.started_at, history.c.uuid)
    if host_id is not None:
        statement = statement.where(history.c.host_uuid == host_id)
    if domain_id is not None:
        statement = statement.where(history.c.domain_uuid == domain_id)
    return statement


def _forget_oldest(connection: Connection, host_id: HostId, domain_id: DomainId) -> None:
    # In two steps: MySQL deletes from no table that a sub-query of the same statement limits.
    surplus = (
        select(history.c.uuid)
        .where(history.c.host_uuid == host_id, history.c.domain_uuid == domain_id)
        .order_by(history.c.started_at.desc(), history.c.uuid.desc())
        .offset(KEPT)
        .limit(KEPT)
    )
    forgotten = connection.scalars(surplus).all()
    if forgotten:
        connection.execute(delete(history).where(history.c.uuid.in_(forgotten)))
