"""The tables of the database, and the revisions of them that this program knows.

They are made by migrations/ alone, which name MySQL's storage engine and character set, too.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision that migrations/ can make, oldest first; the last is the one that is worked with.
Kept here so that alembic is imported only to make or upgrade a database."""

MIGRATIONS = "vmsnap.store:migrations"
"""Where alembic finds them, as package:folder."""


class ExactText(TypeDecorator[str]):
    """Text that MySQL, too, keeps whole and compares letter by letter."""

    impl = Text
    cache_ok = True

    def __init__(self, mysql_type: str, charset: str, length: int | None = None) -> None:
        """Take the name of MySQL's type, its character set, and how many characters it holds."""
        super().__init__(length)
        self.mysql_type = mysql_type
        self.charset = charset
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the type of a database."""
        if dialect.name != "mysql":
            return String(self.length) if self.length else Text()
        # Not at the top: without MySQL a start need not wait 7 ms for its types.
        from sqlalchemy.dialects import mysql

        type_: type[mysql.VARCHAR] = getattr(mysql, self.mysql_type)
        length = [] if self.length is None else [self.length]
        return type_(*length, charset=self.charset, collation=f"{self.charset}_bin")


class Bytes(TypeDecorator[bytes]):
    """Bytes. A plain LargeBinary becomes a BLOB on MySQL: 65,535, and more is cut in silence."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bytes]:
        """Return the type of a database."""
        if dialect.name != "mysql":
            return LargeBinary()
        from sqlalchemy.dialects.mysql import LONGBLOB

        return LONGBLOB()


class UtcTime(TypeDecorator[datetime]):
    """An instant as text of a fixed width that sorts by time: MySQL's own drop the offset."""

    impl = ExactText("VARCHAR", "ascii", 27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write an aware time in UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read an aware time in UTC."""
        del dialect
        return None if value is None else datetime.fromisoformat(value)


identifier = ExactText("VARCHAR", "ascii", 36)
digest = ExactText("VARCHAR", "ascii", 64)
word = ExactText("VARCHAR", "ascii", 16)
short_text = ExactText("VARCHAR", "utf8mb4", 255)
path_text = ExactText("TEXT", "utf8mb4")
long_text = ExactText("MEDIUMTEXT", "utf8mb4")
blob = Bytes()
utc_time = UtcTime()

metadata = MetaData()


domain = Table(
    "domain",
    metadata,
    Column("host_uuid", identifier, primary_key=True),
    Column("uuid", identifier, primary_key=True),
    Column("name", path_text, nullable=False),
    Column("current_uuid", identifier),
    Column("safety_uuid", identifier),
    Column("safety_base_uuid", identifier),
)

resource = Table(
    "resource",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("kind", word, nullable=False),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("domain_name", path_text, nullable=False),
    Column("name", short_text, nullable=False),
    # SHA-256 of the name: MySQL's collations take 'a' and 'a ' for equal. NULL, which is never a
    # duplicate, while a draft waits to take over the name of the resource that it replaces.
    Column("name_key", digest),
    Column("created_at", utc_time, nullable=False),
    Column("description", long_text, nullable=False),
    Column("operation_uuid", identifier, nullable=False),
    Column("is_ready", Boolean, nullable=False),
    UniqueConstraint("host_uuid", "domain_uuid", "name_key", name="uq_resource_name_key"),
    Index("ix_resource_domain", "domain_uuid"),
    Index("ix_resource_operation", "operation_uuid"),
)

content = Table(
    "content",
    metadata,
    Column("sha256", digest, primary_key=True),
    Column("codec", word, nullable=False),
    Column("raw_size", BigInteger, nullable=False),
    Column("chunk_count", Integer, nullable=False),
)

content_chunk = Table(
    "content_chunk",
    metadata,
    Column("sha256", digest, ForeignKey("content.sha256", name="fk_chunk"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", blob, nullable=False),
)

snapshot_group = Table(
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
    # The instant: all NULL for a group that is not ready yet, or older than schema 0002.
    Column("proof", word),
    Column("domain_state", word),
    Column("stood_still_ms", Double),
    Column("is_quiesced", Boolean),
    Column("frozen_ms", Double),
    Column("is_pinned", Boolean, nullable=False, server_default=false()),
    Index("ix_group_parent", "parent_uuid"),
    Index("ix_group_definition", "definition_sha256"),
)

snapshot = Table(
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
    # No foreign key: a group is reserved before its layers are recorded.
    Column("layer_uuid", identifier, nullable=False),
    Column("active_path", path_text, nullable=False),
    UniqueConstraint("group_uuid", "target", name="uq_snapshot_target"),
    Index("ix_snapshot_layer", "layer_uuid"),
)

backup = Table(
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

layer = Table(
    "layer",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
    Column("domain_uuid", identifier, nullable=False),
    Column("target", short_text, nullable=False),
    Column("path", path_text, nullable=False),
    Column("format", short_text, nullable=False),
    # No foreign key: the change that removes layers names them in any order.
    Column("parent_uuid", identifier),
    Column("is_made_by_vmsnap", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("header_sha256", digest),
    Index("ix_layer_domain", "host_uuid", "domain_uuid"),
)

operation = Table(
    "operation",
    metadata,
    Column("uuid", identifier, primary_key=True),
    Column("outcome", word, nullable=False),
    Column("decided_at", utc_time, nullable=False),
    Column("host_uuid", identifier),
    Column("domain_uuid", identifier),
    Column("verb", short_text),
)

pending = Table(
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

# Which host has operations pending on a domain: the key that two hosts would have to share.
claim = Table(
    "claim",
    metadata,
    Column("domain_uuid", identifier, primary_key=True),
    Column("host_uuid", identifier, nullable=False),
)

# What an operation brought in, so that no clean-up takes it while the operation is pending.
pending_content = Table(
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

history = Table(
    "history",
    metadata,
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
)

# One row: the random UUID that this database got when it was made.
database_identity = Table(
    "database_identity",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("uuid", identifier, nullable=False),
)
