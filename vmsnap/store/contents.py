"""Contents: bytes known by their SHA-256, stored once, packed in chunks, checked when read."""

import hashlib
import zlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, insert, select
from sqlalchemy.exc import IntegrityError

from vmsnap.errors import ContentError
from vmsnap.model import Digest
from vmsnap.store.schema import backup, content, content_chunk, pending_content, snapshot_group

CHUNK_BYTES = 1024 * 1024
"""Bytes of a row. PyMySQL doubles them, and MySQL 5.7 takes no more than 4 MiB at once."""
MAX_CONTENT_BYTES = 512 * 1024 * 1024
"""No NVRAM or TPM state comes near; a larger size is damage or an attack."""

_USERS = (backup.c.sha256, snapshot_group.c.definition_sha256, pending_content.c.sha256)
_CODEC = "zlib"
_ATTEMPTS = 20


def put_content(connection: Connection, digest: Digest, data: bytes) -> None:
    """Store a content unless it is there, hold its row, and read it back.

    A stored copy that is damaged is replaced. Raises ContentError if the bytes do not match their
    digest, before or after.
    """
    if len(data) > MAX_CONTENT_BYTES:
        raise ContentError(f"content '{digest}' is larger than {MAX_CONTENT_BYTES} bytes")
    if hashlib.sha256(data).hexdigest() != digest:
        raise ContentError(f"the bytes of content '{digest}' do not match their digest")
    if _hold_or_insert(connection, digest, len(data)):
        try:
            get_content(connection, digest)
        except ContentError:
            _write(connection, digest, data)
    else:
        _write(connection, digest, data)
    get_content(connection, digest)


def get_content(connection: Connection, digest: Digest) -> bytes:
    """Return a content whose length and digest were checked; raise ContentError otherwise."""
    row = connection.execute(select(content).where(content.c.sha256 == digest)).one_or_none()
    if row is None:
        raise ContentError(f"content '{digest}' is missing from the database")
    chunks = connection.execute(
        select(content_chunk.c.number, content_chunk.c.data)
        .where(content_chunk.c.sha256 == digest)
        .order_by(content_chunk.c.number)
    ).all()
    if [chunk.number for chunk in chunks] != list(range(row.chunk_count)):
        raise ContentError(f"content '{digest}' is damaged: a part of it is missing")
    packed = b"".join(chunk.data for chunk in chunks)
    data = _unpacked(packed, row.codec, row.raw_size)
    if data is None or hashlib.sha256(data).hexdigest() != digest:
        raise ContentError(f"content '{digest}' is damaged: it does not match its digest")
    return data


def remove_unused_contents(connection: Connection, digests: Iterable[Digest]) -> None:
    """Remove those of these contents that no backup, group or pending operation names.

    Each row is held before its users are looked for: who is about to use it has to hold it too.
    """
    # Sorted, so that two transactions never wait for each other.
    for digest in sorted(set(digests)):
        if _hold(connection, digest) and not _is_used(connection, digest):
            connection.execute(delete(content_chunk).where(content_chunk.c.sha256 == digest))
            connection.execute(delete(content).where(content.c.sha256 == digest))


def unreferenced_contents(connection: Connection) -> tuple[Digest, ...]:
    """Return the contents that no backup, group or pending operation names, sorted."""
    statement = select(content.c.sha256).order_by(content.c.sha256)
    for user in _USERS:
        statement = statement.where(~exists().where(user == content.c.sha256))
    return tuple(Digest(digest) for digest in connection.scalars(statement))


def _hold(connection: Connection, digest: Digest) -> bool:
    """Lock the row of a content until the end of the transaction; tell whether there is one."""
    statement = select(content.c.sha256).where(content.c.sha256 == digest).with_for_update()
    return connection.execute(statement).first() is not None


def _hold_or_insert(connection: Connection, digest: Digest, size: int) -> bool:
    """Hold the row of a content, inserting it if need be; tell whether it was there."""
    row = {"sha256": digest, "codec": _CODEC, "raw_size": size, "chunk_count": 0}
    for _ in range(_ATTEMPTS):
        if _hold(connection, digest):
            return True
        try:
            with connection.begin_nested():
                connection.execute(insert(content), row)
        except IntegrityError:
            # Another process inserted it since; it may even be gone again by now.
            continue
        return False
    raise ContentError(f"content '{digest}' comes and goes in the database")


def _write(connection: Connection, digest: Digest, data: bytes) -> None:
    packed = zlib.compress(data)
    parts = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    connection.execute(delete(content_chunk).where(content_chunk.c.sha256 == digest))
    for number, part in enumerate(parts):
        # One statement each: the driver would join several rows into one large packet.
        row = {"sha256": digest, "number": number, "data": part}
        connection.execute(insert(content_chunk), row)
    connection.execute(
        content.update()
        .where(content.c.sha256 == digest)
        .values(codec=_CODEC, raw_size=len(data), chunk_count=len(parts))
    )


def _unpacked(packed: bytes, codec: str, raw_size: int) -> bytes | None:
    """Unpack to exactly `raw_size` bytes; None if that is not what comes out."""
    if codec != _CODEC or not 0 <= raw_size <= MAX_CONTENT_BYTES:
        return None
    unpacker = zlib.decompressobj()
    try:
        # One byte more than there may be: enough to see a bomb, too little to be hurt by it.
        data = unpacker.decompress(packed, raw_size + 1)
    except zlib.error:
        return None
    return data if unpacker.eof and len(data) == raw_size else None


def _is_used(connection: Connection, digest: Digest) -> bool:
    return any(connection.scalar(select(exists().where(user == digest))) for user in _USERS)
