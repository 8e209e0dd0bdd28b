"""Removing resources with all that they own, each row by its owner's id."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, select, update

from vmsnap.model import Digest, ResourceId
from vmsnap.store.schema import backup, domain, resource, snapshot, snapshot_group


def remove_resources(connection: Connection, removed: Collection[ResourceId]) -> set[Digest]:
    """Remove resources with their groups, snapshots and backups; those that are gone are fine.

    Groups on a removed one, and domains that stand on it, get the nearest ancestor that stays.
    Returns the contents that the removed rows named; they are left for the caller.
    """
    if not removed:
        return set()
    digests = _named_contents(connection, removed)
    _give_new_parents(connection, removed)
    connection.execute(
        update(domain)
        .where(domain.c.safety_uuid.in_(removed))
        .values(safety_uuid=None, safety_base_uuid=None)
    )
    connection.execute(delete(backup).where(backup.c.resource_uuid.in_(removed)))
    connection.execute(delete(snapshot).where(snapshot.c.group_uuid.in_(removed)))
    connection.execute(delete(snapshot_group).where(snapshot_group.c.resource_uuid.in_(removed)))
    connection.execute(delete(resource).where(resource.c.uuid.in_(removed)))
    return digests


def _named_contents(connection: Connection, removed: Collection[ResourceId]) -> set[Digest]:
    captured = select(backup.c.sha256).where(
        backup.c.resource_uuid.in_(removed), backup.c.sha256.is_not(None)
    )
    definitions = select(snapshot_group.c.definition_sha256).where(
        snapshot_group.c.resource_uuid.in_(removed)
    )
    found = [*connection.scalars(captured), *connection.scalars(definitions)]
    return {Digest(digest) for digest in found}


def _give_new_parents(connection: Connection, removed: Collection[ResourceId]) -> None:
    groups = snapshot_group.c
    statement = select(groups.resource_uuid, groups.parent_uuid).where(
        groups.resource_uuid.in_(removed)
    )
    parents: dict[str, str | None] = {
        row.resource_uuid: row.parent_uuid for row in connection.execute(statement)
    }
    for group_id in parents:
        ancestor = _ancestor_that_stays(group_id, parents)
        connection.execute(
            update(snapshot_group)
            .where(groups.parent_uuid == group_id, groups.resource_uuid.not_in(removed))
            .values(parent_uuid=ancestor)
        )
        for column in (domain.c.current_uuid, domain.c.safety_base_uuid):
            connection.execute(update(domain).where(column == group_id).values({column: ancestor}))
    # The removed ones let go of each other, so that they can be deleted in any order.
    connection.execute(
        update(snapshot_group).where(groups.resource_uuid.in_(removed)).values(parent_uuid=None)
    )


def _ancestor_that_stays(group_id: str, parents: dict[str, str | None]) -> str | None:
    ancestor: str | None = group_id
    seen: set[str] = set()
    while ancestor is not None and ancestor in parents and ancestor not in seen:
        seen.add(ancestor)
        ancestor = parents[ancestor]
    return None if ancestor in seen else ancestor
