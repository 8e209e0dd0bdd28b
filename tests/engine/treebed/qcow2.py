"""Read images as far as QEMU 7 makes them, without starting a process for each look.

Only what the tree test meets: raw, and qcow2 version 3 without compression, encryption, external
data or subclusters. What it says is held against qemu-img at the end of each sequence.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vmsnap.errors import ImageError
from vmsnap.model import ImageInfo

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_BACKING_FORMAT = 0xE2792ACA
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_ZERO = 1
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a qcow2 image says."""

    size: int
    cluster_bits: int
    l1_offset: int
    l1_size: int
    backing: Path | None
    backing_format: str | None


def read_image(path: Path, format_: str, known: dict[Path, bytes]) -> bytes:
    """Read all that an image gives; `known` keeps what was read, for the images on it."""
    if path not in known:
        known[path] = _read(path, format_, lambda *below: read_image(*below, known))
    return known[path]


def describe(path: Path, format_: str) -> ImageInfo:
    """Say what `qemu-img info` would say."""
    status = path.stat()
    allocated = status.st_blocks * SECTOR
    if format_ == "raw":
        size = -(-status.st_size // SECTOR) * SECTOR
        return ImageInfo(Path(os.path.realpath(path)), "raw", size, allocated)
    with path.open("rb") as file:
        header = _header(path, file.read(4096))
    backing = Path(os.path.realpath(header.backing)) if header.backing else None
    real = Path(os.path.realpath(path))
    return ImageInfo(
        path=real,
        format="qcow2",
        virtual_size_bytes=header.size,
        allocated_bytes=allocated,
        backing_path=backing,
        backing_format=header.backing_format,
        cluster_bytes=1 << header.cluster_bits,
    )


def chain(path: Path) -> tuple[ImageInfo, ...]:
    """Describe an image and all that it stands on; the topmost is told by its name."""
    found = [describe(path, "raw" if path.suffix == ".raw" else "qcow2")]
    while found[-1].backing_path is not None:
        found.append(describe(found[-1].backing_path, found[-1].backing_format))
    return tuple(found)


def _read(path: Path, format_: str, read_below: Callable[[Path, str], bytes]) -> bytes:
    data = path.read_bytes()
    if format_ == "raw":
        return data + bytes(-len(data) % SECTOR)
    header = _header(path, data)
    below = b""
    if header.backing is not None:
        assert header.backing_format, f"{path} does not say of what format its backing file is"
        below = read_below(header.backing, header.backing_format)
    found = bytearray(below[: header.size].ljust(header.size, b"\0"))
    cluster = 1 << header.cluster_bits
    per_table = cluster // 8
    for l1_index, l1_entry in enumerate(_table(data, header.l1_offset, header.l1_size)):
        if not l1_entry & _OFFSET:
            continue
        for l2_index, entry in enumerate(_table(data, l1_entry & _OFFSET, per_table)):
            if entry == 0:
                continue
            assert not entry & _COMPRESSED
            start = (l1_index * per_table + l2_index) * cluster
            length = min(cluster, header.size - start)
            if length <= 0:
                continue
            offset = entry & _OFFSET
            is_zero = entry & _ZERO or not offset
            part = b"" if is_zero else data[offset : offset + length]
            found[start : start + length] = part.ljust(length, b"\0")
    return bytes(found)


def _table(data: bytes, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{count}Q", data.ljust(offset + count * 8, b"\0"), offset)


def _header(path: Path, data: bytes) -> Header:
    if data[:4] != b"QFI\xfb":
        message = f"'{path}' is no qcow2 image"
        raise ImageError(message)
    (_, version, name_offset, name_size, cluster_bits, size, crypt, l1_size, l1_offset, *_) = (
        _HEADER.unpack_from(data)
    )
    incompatible = struct.unpack_from(">Q", data, 72)[0]
    assert (version, crypt, incompatible) == (3, 0, 0), (path, version, crypt, incompatible)
    name = data[name_offset : name_offset + name_size].decode() if name_offset else ""
    format_ = _extensions(data).get(_BACKING_FORMAT)
    return Header(
        size=size,
        cluster_bits=cluster_bits,
        l1_offset=l1_offset,
        l1_size=l1_size,
        backing=path.parent / name if name else None,
        backing_format=format_.decode() if format_ and name else None,
    )


def _extensions(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = struct.unpack_from(">I", data, 100)[0]
    while (kind := struct.unpack_from(">I", data, at)[0]) != 0:
        length = struct.unpack_from(">I", data, at + 4)[0]
        found[kind] = data[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8
    return found
