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


def newest_first(host_id: HostId | None, domain_id: DomainId | None) -> Select[tuple[object, ...]]:
    """Return the query for the entries of a host and of a domain, or of all."""
    statement = select(history).order_by(history.c.started_at.desc(), history.c.uuid.desc())
    if host_id is not None:
        statement = statement.where(history.c.host_uuid == host_id)
    if domain_id is not None:
        statement = statement.where(history.c.domain_uuid == domain_id)
    return statement


def read(connection: Connection, statement: Select[tuple[object, ...]]) -> tuple[HistoryEntry, ...]:
    """Return the entries that a query of `newest_first` finds, oldest first."""
    rows = connection.execute(statement).mappings().all()
    return tuple(read_history(row) for row in reversed(rows))


def _forget_oldest(connection: Connection, host_id: HostId, domain_id: DomainId) -> None:
    # In two steps: MySQL deletes from no table that a sub-query of the same statement limits.
    surplus = newest_first(host_id, domain_id).with_only_columns(history.c.uuid)
    forgotten = connection.scalars(surplus.offset(KEPT).limit(KEPT)).all()
    if forgotten:
        connection.execute(delete(history).where(history.c.uuid.in_(forgotten)))
