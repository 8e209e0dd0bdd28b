"""The group that a domain stood on right behind what `vmsnap undo` takes back.

A copy of its own on purpose: what a migration makes must not follow later changes of schema.py.
"""

from alembic import op
from sqlalchemy import Column, String, inspect, text
from sqlalchemy.dialects.mysql import VARCHAR

revision = "0003"
down_revision = "0002"

_ASCII = {"charset": "ascii", "collation": "ascii_bin"}

identifier = String(36).with_variant(VARCHAR(36, **_ASCII), "mysql")

# Until now the times told what was made since.
_DOMAINS = text(
    "SELECT d.host_uuid, d.uuid, d.current_uuid, s.created_at FROM domain d"
    " JOIN resource s ON s.uuid = d.safety_uuid WHERE d.safety_base_uuid IS NULL"
)
_PARENTS = text(
    "SELECT g.resource_uuid, g.parent_uuid, r.created_at FROM snapshot_group g"
    " JOIN resource r ON r.uuid = g.resource_uuid"
)
_FILL = text(
    "UPDATE domain SET safety_base_uuid = :base WHERE host_uuid = :host_uuid AND uuid = :uuid"
)


def upgrade() -> None:
    """Add the column and fill it; what an interrupted run on MySQL did already is kept."""
    connection = op.get_bind()
    if "safety_base_uuid" not in {
        column["name"] for column in inspect(connection).get_columns("domain")
    }:
        op.add_column("domain", Column("safety_base_uuid", identifier))
    groups = {row.resource_uuid: row for row in connection.execute(_PARENTS)}
    for row in connection.execute(_DOMAINS).all():
        found = groups.get(row.current_uuid)
        while found is not None and found.created_at > row.created_at:
            found = groups.get(found.parent_uuid)
        base = None if found is None else found.resource_uuid
        connection.execute(_FILL, {"base": base, "host_uuid": row.host_uuid, "uuid": row.uuid})
