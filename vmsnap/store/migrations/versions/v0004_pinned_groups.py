"""The pins of groups: none of those that there are is pinned.

A copy of its own on purpose: what a migration makes must not follow later changes of schema.py.
"""

from alembic import op
from sqlalchemy import Boolean, Column, false, inspect

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; one that an interrupted run on MySQL added already is kept."""
    present = {column["name"] for column in inspect(op.get_bind()).get_columns("snapshot_group")}
    if "is_pinned" not in present:
        pinned = Column("is_pinned", Boolean, nullable=False, server_default=false())
        op.add_column("snapshot_group", pinned)
