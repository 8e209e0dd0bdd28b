"""Image files, and the layers that they are in the tree of a disk."""

from dataclasses import dataclass, replace
from pathlib import Path

from vmsnap.model.ids import Digest, DomainId, HostId, LayerId


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What qemu-img says of one image file; paths are absolute and resolved, sizes in bytes.

    `cluster_bytes` is None for formats without clusters. Names below /dev stay as they are: where
    they lead to is called otherwise after the next boot. A block device is allocated as a whole.
    """

    path: Path
    format: str
    virtual_size_bytes: int
    allocated_bytes: int
    backing_path: Path | None = None
    backing_format: str | None = None
    is_encrypted: bool = False
    has_data_file: bool = False
    internal_snapshots: int = 0
    cluster_bytes: int | None = None
    is_block_device: bool = False


NO_DIGEST = Digest("0" * 64)
"""The header digest that no file has."""


@dataclass(frozen=True, slots=True)
class FrozenFacts:
    """What is recorded of a layer's file when it is frozen, so that a later change is seen.

    A block device has no time of its last change: `mtime_ns` is 0, and what is written behind its
    first 64 KiB is not seen unless its size changes too.

    Facts that are damaged hold of no file: a merge took in what was written after a freeze.
    """

    size_bytes: int
    mtime_ns: int
    header_digest: Digest
    """SHA-256 of the first 64 KiB; NO_DIGEST if they are damaged."""

    @property
    def is_damaged(self) -> bool:
        """Whether the file is known not to hold what was frozen."""
        return self.header_digest == NO_DIGEST

    def as_damaged(self) -> "FrozenFacts":
        """Return facts that hold of no file, so that no later look takes it for whole."""
        return replace(self, header_digest=NO_DIGEST)

    def is_untouched(self, found: "FrozenFacts | None") -> bool:
        """Tell whether a file, as it is found, was not written to since these were recorded."""
        if found is None:
            return False
        return self == (found.as_damaged() if self.is_damaged else found)


@dataclass(frozen=True, slots=True)
class Layer:
    """One image file in the tree of a disk, at or above the first snapshot.

    What lies below the first snapshot (templates) is no layer of vmsnap's and has no row.
    `facts` is None while the layer is active or has never been frozen.
    """

    id: LayerId
    host_id: HostId
    domain_id: DomainId
    target: str
    path: Path
    format: str
    parent_id: LayerId | None
    is_made_by_vmsnap: bool
    is_active: bool
    facts: FrozenFacts | None = None
