"""The instants of groups, and the history of operations.

A copy of its own on purpose: what a migration makes must not follow later changes of schema.py.
"""

from alembic import op
from sqlalchemy import Boolean, Column, Double, Index, MetaData, String, Table, Text, inspect
from sqlalchemy.dialects.mysql import TEXT, VARCHAR

revision = "0002"
down_revision = "0001"

_EXACT = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
_ASCII = {"charset": "ascii", "collation": "ascii_bin"}

identifier = String(36).with_variant(VARCHAR(36, **_ASCII), "mysql")
word = String(16).with_variant(VARCHAR(16, **_ASCII), "mysql")
short_text = String(255).with_variant(VARCHAR(255, **_EXACT), "mysql")
path_text = Text().with_variant(TEXT(None, **_EXACT), "mysql")
utc_time = String(27).with_variant(VARCHAR(27, **_ASCII), "mysql")

_history = Table(
    "history",
    MetaData(),
    Column("uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("domain_name", path_text, nullable=False),
    Column("verb", short_text, nullable=False),
    Column("subject", path_text, nullable=False),
    Column("user_name", path_text, nullable=False),
    Column("started_at", utc_time, nullable=False),
    Column("ended_at", utc_time, nullable=False),
    Column("outcome", word, nullable=False),
    Column("code", short_text),
    Column("is_recovered", Boolean, nullable=False),
    Index("ix_history_domain", "domain_uuid", "started_at"),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)


def upgrade() -> None:
    """Add columns and table; what an interrupted run on MySQL added already is kept."""
    connection = op.get_bind()
    present = {column["name"] for column in inspect(connection).get_columns("snapshot_group")}
    for column in _instant_columns():
        if column.name not in present:
            op.add_column("snapshot_group", column)
    _history.create(connection, checkfirst=True)
    for index in _history.indexes:
        index.create(connection, checkfirst=True)


def _instant_columns() -> tuple[Column[object], ...]:
    """Make them anew for each run: a column belongs to one table only. All NULL: not known."""
    return (
        Column("proof", word),
        Column("domain_state", word),
        Column("stood_still_ms", Double),
        Column("is_quiesced", Boolean),
        Column("frozen_ms", Double),
    )
