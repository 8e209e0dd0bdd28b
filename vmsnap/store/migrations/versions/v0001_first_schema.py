"""The first schema.

A copy of its own on purpose: what a migration makes must not follow later changes of schema.py.
"""

from uuid import uuid4

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import LONGBLOB, MEDIUMTEXT, TEXT, VARCHAR

revision = "0001"
down_revision = None

_EXACT = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
_ASCII = {"charset": "ascii", "collation": "ascii_bin"}

identifier = String(36).with_variant(VARCHAR(36, **_ASCII), "mysql")
digest = String(64).with_variant(VARCHAR(64, **_ASCII), "mysql")
word = String(16).with_variant(VARCHAR(16, **_ASCII), "mysql")
short_text = String(255).with_variant(VARCHAR(255, **_EXACT), "mysql")
path_text = Text().with_variant(TEXT(None, **_EXACT), "mysql")
long_text = Text().with_variant(MEDIUMTEXT(**_EXACT), "mysql")
blob = LargeBinary().with_variant(LONGBLOB(), "mysql")
utc_time = String(27).with_variant(VARCHAR(27, **_ASCII), "mysql")

metadata = MetaData()


Table(
    "domain",
    metadata,
    Column("host_uuid", identifier, primary_key=True),
    Column("uuid", identifier, primary_key=True),
    Column("name", path_text, nullable=False),
    Column("current_uuid", identifier),
    Column("safety_uuid", identifier),
)

Table(
    "resource",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("kind", word, nullable=False),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("domain_name", path_text, nullable=False),
    Column("name", short_text, nullable=False),
    Column("name_key", digest),
    Column("created_at", utc_time, nullable=False),
    Column("description", long_text, nullable=False),
    Column("operation_uuid", identifier, nullable=False),
    Column("is_ready", Boolean, nullable=False),
    UniqueConstraint("host_uuid", "domain_uuid", "name_key", name="uq_resource_name_key"),
    Index("ix_resource_domain", "domain_uuid"),
    Index("ix_resource_operation", "operation_uuid"),
)

Table(
    "content",
    metadata,
    Column("sha256", digest, primary_key=True),
    Column("codec", word, nullable=False),
    Column("raw_size", BigInteger, nullable=False),
    Column("chunk_count", Integer, nullable=False),
)

Table(
    "content_chunk",
    metadata,
    Column("sha256", digest, ForeignKey("content.sha256", name="fk_chunk"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", blob, nullable=False),
)

Table(
    "snapshot_group",
    metadata,
    Column(
        "resource_uuid",
        identifier,
        ForeignKey("resource.uuid", name="fk_group_resource"),
        primary_key=True,
    ),
    Column("kind", word, nullable=False),
    Column("state", word, nullable=False),
    Column(
        "parent_uuid",
        identifier,
        ForeignKey("snapshot_group.resource_uuid", name="fk_group_parent"),
    ),
    Column(
        "definition_sha256",
        digest,
        ForeignKey("content.sha256", name="fk_group_definition"),
        nullable=False,
    ),
    Column("left_out", long_text, nullable=False),
    Index("ix_group_parent", "parent_uuid"),
    Index("ix_group_definition", "definition_sha256"),
)

Table(
    "snapshot",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column(
        "group_uuid",
        identifier,
        ForeignKey("snapshot_group.resource_uuid", name="fk_snapshot_group"),
        nullable=False,
    ),
    Column("target", short_text, nullable=False),
    Column("layer_uuid", identifier, nullable=False),
    Column("active_path", path_text, nullable=False),
    UniqueConstraint("group_uuid", "target", name="uq_snapshot_target"),
    Index("ix_snapshot_layer", "layer_uuid"),
)

Table(
    "backup",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column(
        "resource_uuid",
        identifier,
        ForeignKey("resource.uuid", name="fk_backup_resource"),
        nullable=False,
    ),
    Column("type", word, nullable=False),
    Column("capture", word, nullable=False),
    Column("captured_at", utc_time, nullable=False),
    Column("sha256", digest, ForeignKey("content.sha256", name="fk_backup_content")),
    Column("size_bytes", BigInteger),
    Column("path", path_text),
    Column("uid", BigInteger),
    Column("gid", BigInteger),
    Column("mode", Integer),
    Column("xattrs", long_text),
    Column("secret_uuid", identifier),
    UniqueConstraint("resource_uuid", "type", name="uq_backup_type"),
    Index("ix_backup_content", "sha256"),
)

Table(
    "layer",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("target", short_text, nullable=False),
    Column("path", path_text, nullable=False),
    Column("format", short_text, nullable=False),
    Column("parent_uuid", identifier),
    Column("is_made_by_vmsnap", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("header_sha256", digest),
    Index("ix_layer_domain", "host_uuid", "domain_uuid"),
)

Table(
    "operation",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("outcome", word, nullable=False),
    Column("decided_at", utc_time, nullable=False),
    Column("host_uuid", identifier),
    Column("domain_uuid", identifier),
    Column("verb", short_text),
)

Table(
    "pending",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("domain_name", path_text, nullable=False),
    Column("verb", short_text, nullable=False),
    Column("started_at", utc_time, nullable=False),
    Index("ix_pending_domain", "domain_uuid"),
)

Table(
    "claim",
    metadata,
    Column("domain_uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
)

Table(
    "pending_content",
    metadata,
    Column(
        "operation_uuid",
        identifier,
        ForeignKey("pending.uuid", name="fk_pending_operation"),
        primary_key=True,
    ),
    Column(
        "sha256",
        digest,
        ForeignKey("content.sha256", name="fk_pending_content"),
        primary_key=True,
    ),
    Index("ix_pending_content", "sha256"),
)

_identity = Table(
    "database_identity",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("uuid", identifier, nullable=False),
)

for _table in metadata.tables.values():
    _table.kwargs.update(
        mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
    )


def upgrade() -> None:
    """Make the tables; what an interrupted run on MySQL made already is kept."""
    connection = op.get_bind()
    for table in metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    if connection.execute(_identity.select()).first() is None:
        connection.execute(_identity.insert(), {"number": 1, "uuid": str(uuid4())})
