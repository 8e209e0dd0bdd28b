"""What an operation brings in before it commits: its registration, drafts and contents."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from vmsnap.errors import DatabaseError, NameTakenError, OtherHostError
from vmsnap.model import Digest, DomainId, HostId, Operation, OperationId, ResourceId, local_time
from vmsnap.ports import Draft
from vmsnap.store.contents import put_content, remove_unused_contents
from vmsnap.store.database import error_text
from vmsnap.store.removal import remove_resources
from vmsnap.store.rows import (
    backup_row,
    group_row,
    name_key,
    pending_row,
    read_operation,
    resource_row,
    snapshot_row,
)
from vmsnap.store.schema import (
    backup,
    claim,
    pending,
    pending_content,
    resource,
    snapshot,
    snapshot_group,
)

_ATTEMPTS = 20


def reserve(
    connection: Connection,
    operation: Operation,
    drafts: Sequence[Draft],
    contents: Mapping[Digest, bytes],
) -> None:
    """Register an operation and insert its drafts and contents; see ports.Catalog."""
    _claim_domain(connection, operation)
    registered = select(pending.c.uuid).where(pending.c.uuid == operation.id)
    if connection.execute(registered).first() is None:
        connection.execute(insert(pending), pending_row(operation))
    # Sorted, so that two transactions that bring in the same contents never wait for each other.
    for digest in sorted(contents):
        put_content(connection, digest, contents[digest])
        _keep_while_pending(connection, operation.id, digest)
    for draft in drafts:
        _insert_draft(connection, operation.id, draft)


def discard(connection: Connection, operation_id: OperationId) -> None:
    """Remove the drafts, unused contents and registration of an operation; see ports.Catalog."""
    statement = select(resource.c.uuid).where(
        resource.c.operation_uuid == operation_id, resource.c.is_ready.is_(False)
    )
    drafts = [ResourceId(uuid) for uuid in connection.scalars(statement)]
    digests = remove_resources(connection, drafts)
    remove_unused_contents(connection, digests | _remove_registration(connection, operation_id))


def finish(connection: Connection, operation_id: OperationId) -> None:
    """Remove the registration of an operation, and what it brought in and never used."""
    remove_unused_contents(connection, _remove_registration(connection, operation_id))


def pending_operations(connection: Connection, host_id: HostId | None) -> tuple[Operation, ...]:
    """Return a host's or all operations that are registered, or whose drafts are left, by age."""
    registered = select(pending)
    drafts = select(resource).where(resource.c.is_ready.is_(False))
    if host_id is not None:
        registered = registered.where(pending.c.host_uuid == host_id)
        drafts = drafts.where(resource.c.host_uuid == host_id)
    found = [read_operation(row) for row in connection.execute(registered).mappings()]
    known = {item.id for item in found}
    for row in connection.execute(drafts).mappings():
        operation = Operation(
            id=OperationId(row["operation_uuid"]),
            verb="",
            host_id=HostId(row["host_uuid"]),
            domain_id=DomainId(row["domain_uuid"]),
            domain_name=row["domain_name"],
            started_at=row["created_at"],
        )
        if operation.id not in known:
            known.add(operation.id)
            found.append(operation)
    return tuple(sorted(found, key=lambda item: (item.started_at, item.id)))


def take_names(connection: Connection, ready: Iterable[ResourceId]) -> None:
    """Give resources that replaced others their names. Raises NameTakenError."""
    statement = select(resource.c.uuid, resource.c.name, resource.c.domain_name).where(
        resource.c.uuid.in_(list(ready)), resource.c.name_key.is_(None)
    )
    for row in connection.execute(statement).all():
        try:
            connection.execute(
                update(resource)
                .where(resource.c.uuid == row.uuid)
                .values(name_key=name_key(row.name))
            )
        except IntegrityError as error:
            raise _name_taken(row.domain_name, row.name) from error


def require_unclaimed(connection: Connection, host_id: HostId, domain_id: DomainId) -> None:
    """Raise OtherHostError if another host has an operation pending on the domain."""
    holder = claimant(connection, domain_id)
    if holder is not None and holder != host_id:
        raise _other_host(connection, holder, domain_id)


def claimant(connection: Connection, domain_id: DomainId) -> HostId | None:
    """Return the host that has an operation pending on a domain; None if there is none."""
    holder = connection.scalar(select(claim.c.host_uuid).where(claim.c.domain_uuid == domain_id))
    return None if holder is None else HostId(holder)


def _claim_domain(connection: Connection, operation: Operation) -> None:
    """Hold the domain's claim for this host. Raises OtherHostError if another host has it."""
    host_id = _held_claim(connection, operation)
    if host_id != operation.host_id:
        raise _other_host(connection, HostId(host_id), operation.domain_id)


def _other_host(connection: Connection, host_id: HostId, domain_id: DomainId) -> OtherHostError:
    first = connection.execute(
        select(pending.c.verb, pending.c.started_at, pending.c.domain_name)
        .where(pending.c.domain_uuid == domain_id, pending.c.host_uuid == host_id)
        .order_by(pending.c.started_at)
    ).first()
    what, name = "an operation", str(domain_id)
    if first is not None:
        what, name = f"'{first.verb}' of {local_time(first.started_at)}", first.domain_name
    return OtherHostError(
        f"host '{host_id}' has {what} pending on domain '{name}', which has the same UUID there",
        hint="wait until it has ended there; if nothing runs there, run on that host:"
        f" vmsnap recover; if that host is gone for good, run here: vmsnap doctor {domain_id}",
    )


def _held_claim(connection: Connection, operation: Operation) -> str:
    """Hold the row of the domain's claim, inserting it if need be; return whose it is."""
    statement = (
        select(claim.c.host_uuid)
        .where(claim.c.domain_uuid == operation.domain_id)
        .with_for_update()
    )
    row = {"domain_uuid": operation.domain_id, "host_uuid": operation.host_id}
    for _ in range(_ATTEMPTS):
        held = connection.execute(statement).one_or_none()
        if held is not None:
            return str(held.host_uuid)
        try:
            with connection.begin_nested():
                connection.execute(insert(claim), row)
        except IntegrityError:
            # Another operation claimed the domain since; it may even be done again by now.
            continue
        return operation.host_id
    raise DatabaseError(f"the claim on domain '{operation.domain_name}' comes and goes")


def _keep_while_pending(connection: Connection, operation_id: OperationId, digest: Digest) -> None:
    row = {"operation_uuid": operation_id, "sha256": digest}
    kept = select(pending_content.c.sha256).where(
        pending_content.c.operation_uuid == operation_id, pending_content.c.sha256 == digest
    )
    if connection.execute(kept).first() is None:
        connection.execute(insert(pending_content), row)


def _insert_draft(connection: Connection, operation_id: OperationId, draft: Draft) -> None:
    owner = draft.resource
    key: Digest | None = name_key(owner.name)
    holder = connection.scalar(
        select(resource.c.uuid).where(
            resource.c.host_uuid == owner.host_id,
            resource.c.domain_uuid == owner.domain_id,
            resource.c.name_key == key,
        )
    )
    if holder is not None and holder == draft.replaces:
        key = None
    elif holder is not None:
        raise _name_taken(owner.domain_name, owner.name)
    try:
        connection.execute(insert(resource), resource_row(owner, operation_id, key))
    except IntegrityError as error:
        # Another process may have taken the name since it was looked up; SQLite names the column,
        # MySQL the key.
        if "name_key" in error_text(error):
            raise _name_taken(owner.domain_name, owner.name) from error
        raise
    if draft.group is not None:
        connection.execute(insert(snapshot_group), group_row(draft.group))
        for item in draft.group.snapshots:
            connection.execute(insert(snapshot), snapshot_row(item))
    for row in owner.backups:
        connection.execute(insert(backup), backup_row(row))


def _name_taken(domain_name: str, name: str) -> NameTakenError:
    return NameTakenError(f"domain '{domain_name}' has a group or backup '{name}' already")


def _remove_registration(connection: Connection, operation_id: OperationId) -> set[Digest]:
    """Remove a registration; return the contents that its operation brought in."""
    row = connection.execute(select(pending).where(pending.c.uuid == operation_id)).one_or_none()
    if row is None:
        return set()
    kept = select(pending_content.c.sha256).where(pending_content.c.operation_uuid == operation_id)
    digests = {Digest(digest) for digest in connection.scalars(kept)}
    connection.execute(
        delete(pending_content).where(pending_content.c.operation_uuid == operation_id)
    )
    # The claim first, as `reserve` does, so that the two never wait for each other.
    connection.execute(
        select(claim).where(claim.c.domain_uuid == row.domain_uuid).with_for_update()
    )
    connection.execute(delete(pending).where(pending.c.uuid == operation_id))
    others = select(pending.c.uuid).where(
        pending.c.domain_uuid == row.domain_uuid, pending.c.host_uuid == row.host_uuid
    )
    if connection.execute(others).first() is None:
        connection.execute(
            delete(claim).where(
                claim.c.domain_uuid == row.domain_uuid, claim.c.host_uuid == row.host_uuid
            )
        )
    return digests
