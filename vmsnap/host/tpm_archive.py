"""The canonical archive of a TPM directory's files: equal files give equal bytes, for ever.

It is a tar (POSIX.1-2001) that any tar can list: sorted names, no times, no user names, owners and
modes kept, extended attributes as SCHILY.xattr records. It is written here and not by a library
so that its bytes, whose digest is kept, never change with the library; and it is read strictly:
an archive that this module would not have written itself is refused.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from vmsnap.errors import ContentError
from vmsnap.host.file_meta import PERMISSION_BITS, is_kept
from vmsnap.model import FileMeta

BLOCK_BYTES = 512
MAX_FILES = 64
MAX_TOTAL_BYTES = 16 * 1024 * 1024
MAX_NAME_BYTES = 100
MAX_ATTRIBUTES_BYTES = 64 * 1024
MAGIC = b"ustar\x0000"
MAGIC_AT = 257
END_BYTES = 2 * BLOCK_BYTES
LARGEST_OCTAL_ID = 0o7777777
"""Larger owners do not fit into the header and get a record."""

_MAX_ARCHIVE_BYTES = (
    MAX_TOTAL_BYTES + (MAX_FILES + 1) * 4 * BLOCK_BYTES + MAX_FILES * MAX_ATTRIBUTES_BYTES
)
_XATTR = b"SCHILY.xattr."


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of a TPM directory."""

    name: str
    data: bytes = field(repr=False)
    meta: FileMeta


def pack(files: Sequence[ArchivedFile]) -> bytes:
    """Write the archive of some files, in any order.

    Raises ContentError if a name, the number of files or their size is beyond what is kept.
    """
    _require_within_limits(files)
    ordered = sorted(files, key=lambda file: os.fsencode(file.name))
    return b"".join(_member(file) for file in ordered) + bytes(END_BYTES)


def is_archive(content: bytes) -> bool:
    """Tell whether a content is an archive, damaged or not; one without files is all zeros."""
    magic = content[MAGIC_AT : MAGIC_AT + len(MAGIC)]
    return magic == MAGIC or content == bytes(END_BYTES)


def unpack(archive: bytes) -> tuple[ArchivedFile, ...]:
    """Read an archive, sorted by name. Raises ContentError unless `pack` could have written it."""
    if len(archive) > _MAX_ARCHIVE_BYTES:
        message = "the archive of a TPM directory is too large"
        raise ContentError(message)
    try:
        files = _parse(archive)
    except (ValueError, IndexError, KeyError) as error:
        message = "the archive of a TPM directory is damaged"
        raise ContentError(message) from error
    if pack(files) != archive:
        message = "the archive of a TPM directory holds something that vmsnap does not put there"
        raise ContentError(message)
    return files


def _require_within_limits(files: Sequence[ArchivedFile]) -> None:
    names = [file.name for file in files]
    if len(files) > MAX_FILES or len(set(names)) != len(names):
        message = f"a TPM directory holds more than {MAX_FILES} files, or a name twice"
        raise ContentError(message)
    if sum(len(file.data) for file in files) > MAX_TOTAL_BYTES:
        message = f"the files of a TPM directory are larger than {MAX_TOTAL_BYTES} bytes"
        raise ContentError(message)
    for file in files:
        _require_plain(file)


def _require_plain(file: ArchivedFile) -> None:
    name = os.fsencode(file.name)
    if name in {b"", b".", b".."} or b"/" in name or b"\0" in name or len(name) > MAX_NAME_BYTES:
        message = f"a file of a TPM directory cannot be named {file.name!r}"
        raise ContentError(message)
    if len(_records(file.meta)) > MAX_ATTRIBUTES_BYTES:
        message = f"the extended attributes of '{file.name}' are too large"
        raise ContentError(message)


def _member(file: ArchivedFile) -> bytes:
    records = _records(file.meta)
    extension = b""
    if records:
        owner = FileMeta(uid=0, gid=0, mode=0o600)
        extension = _header(b"attributes", len(records), owner, b"x") + _padded(records)
    header = _header(os.fsencode(file.name), len(file.data), file.meta, b"0")
    return extension + header + _padded(file.data)


def _header(name: bytes, size_bytes: int, meta: FileMeta, kind: bytes) -> bytes:
    fields = (
        name.ljust(MAX_NAME_BYTES, b"\0"),
        _octal(meta.mode & PERMISSION_BITS, 8),
        _octal(_header_id(meta.uid), 8),
        _octal(_header_id(meta.gid), 8),
        _octal(size_bytes, 12),
        _octal(0, 12),  # the time
        b" " * 8,  # the checksum, counted as blanks
        kind,
        bytes(100),  # the link's target
        MAGIC,
        bytes(64),  # the owner's names
        _octal(0, 8) * 2,  # device numbers
    )
    header = b"".join(fields).ljust(BLOCK_BYTES, b"\0")
    checksum = b"%06o\0 " % sum(header)
    return header[:148] + checksum + header[156:]


def _header_id(id_: int) -> int:
    return id_ if id_ <= LARGEST_OCTAL_ID else 0


def _octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)


def _records(meta: FileMeta) -> bytes:
    values = {
        _XATTR + os.fsencode(name): bytes.fromhex(value)
        for name, value in meta.xattrs
        if is_kept(name)
    }
    for key, id_ in ((b"gid", meta.gid), (b"uid", meta.uid)):
        if id_ > LARGEST_OCTAL_ID:
            values[key] = b"%d" % id_
    return b"".join(_record(key, values[key]) for key in sorted(values))


def _record(key: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return b"%d" % length + body


def _parse(archive: bytes) -> tuple[ArchivedFile, ...]:
    files: list[ArchivedFile] = []
    values: dict[bytes, bytes] = {}
    at = 0
    while (header := archive[at : at + BLOCK_BYTES]).strip(b"\0"):
        size_bytes = _number(header[124:135], 8)
        data = archive[at + BLOCK_BYTES : at + BLOCK_BYTES + size_bytes]
        at += BLOCK_BYTES + size_bytes + -size_bytes % BLOCK_BYTES
        if header[156:157] == b"x":
            values = _parse_records(data)
            continue
        files.append(_parse_file(header, data, values))
        values = {}
    return tuple(files)


def _parse_file(header: bytes, data: bytes, values: dict[bytes, bytes]) -> ArchivedFile:
    xattrs = tuple(
        (os.fsdecode(key.removeprefix(_XATTR)), value.hex())
        for key, value in values.items()
        if key.startswith(_XATTR)
    )
    meta = FileMeta(
        uid=_id(values, b"uid", header[108:115]),
        gid=_id(values, b"gid", header[116:123]),
        mode=_number(header[100:107], 8),
        xattrs=xattrs,
    )
    return ArchivedFile(os.fsdecode(header[:MAX_NAME_BYTES].rstrip(b"\0")), data, meta)


def _id(values: dict[bytes, bytes], key: bytes, header_field: bytes) -> int:
    return _number(values[key], 10) if key in values else _number(header_field, 8)


def _number(digits: bytes, base: int) -> int:
    # int() would take signs, blanks and underscores too; a negative size never ends.
    if not digits.isdigit():
        raise ValueError(digits)
    return int(digits, base)


def _parse_records(records: bytes) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    at = 0
    while at < len(records):
        length = _number(records[at : records.index(b" ", at)], 10)
        if length == 0:
            raise ValueError(length)
        key, value = records[at : at + length - 1].split(b" ", 1)[1].split(b"=", 1)
        values[key] = value
        at += length
    return values
