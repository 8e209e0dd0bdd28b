"""The nouns of vmsnap: frozen values that know nothing of libvirt, SQL or the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import NewType, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]

HostId = NewType("HostId", str)
"""The host's UUID from libvirt, or its machine id where libvirt makes up a UUID at each start."""
DomainId = NewType("DomainId", str)
"""The domain's UUID: lower case, with hyphens."""
ResourceId = NewType("ResourceId", str)
"""UUID of what owns a backup: a group, or a standalone or safety backup."""
BackupId = NewType("BackupId", str)
"""UUID of one backup row: one type of host file of one resource."""
SnapshotId = NewType("SnapshotId", str)
LayerId = NewType("LayerId", str)
OperationId = NewType("OperationId", str)
Digest = NewType("Digest", str)
"""SHA-256 of a content: 64 lower-case hex digits."""


class HostFileType(Enum):
    """A file on the host that is part of the machine but is no disk."""

    NVRAM = "nvram"
    TPM = "tpm"


class Capture(Enum):
    """What a backup says of one type of host file."""

    CAPTURED = "captured"
    ABSENT = "absent"
    NOT_CREATED = "not_created"
    SKIPPED = "skipped"


class DomainState(Enum):
    """The states that vmsnap tells apart; OTHER is anything that is neither off nor plainly on."""

    SHUT_OFF = "shut off"
    RUNNING = "running"
    PAUSED = "paused"
    OTHER = "other"


class GroupState(Enum):
    """Where a group is in its life."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"


class GroupKind(Enum):
    """Who asked for a group: a person, or a revert that keeps what it leaves."""

    MANUAL = "manual"
    SAFETY = "safety"


class ResourceKind(Enum):
    """What owns a backup."""

    GROUP = "group"
    STANDALONE = "standalone"
    SAFETY = "safety"


# --- the machine as its definition has it -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiskDefinition:
    """One `<disk>` of a domain's definition.

    `device` is disk, cdrom, floppy or lun; `source_type` is libvirt's disk type (file, block,
    network, volume, ...); `path` is None for an empty drive and for sources that are no path.
    `volume` names pool and volume of a disk whose path only libvirt knows, until it is looked up.
    """

    target: str
    device: str
    source_type: str
    path: Path | None
    format: str | None
    is_read_only: bool = False
    is_shareable: bool = False
    is_encrypted: bool = False
    is_transient: bool = False
    snapshot_mode: str | None = None
    volume: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class NvramDefinition:
    """Where the UEFI variable store is; `kind` is file, block, network or varstore.

    `is_derived` says that the definition names no path and libvirt's default was taken (libvirt 9
    with `<os firmware='efi'>`). `format` is raw or qcow2.
    """

    kind: str
    path: Path | None
    format: str = "raw"
    is_derived: bool = False


@dataclass(frozen=True, slots=True)
class TpmDefinition:
    """The virtual TPM; `backend` is emulator, passthrough or external.

    `path` is the directory that swtpm keeps its state in (for libvirt's default
    `.../swtpm/UUID/tpm2` or `tpm1.2`); None for backends without one. `source_type` is "dir" or
    "file" where the definition names a source of its own. `secret_id` is the UUID of the libvirt
    secret that encrypts the state.
    """

    backend: str
    version: str
    path: Path | None
    source_type: str | None = None
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """What vmsnap reads from a domain's XML."""

    id: DomainId
    name: str
    firmware: str
    """"uefi" or "bios"."""
    secure_boot: bool | None
    nvram: NvramDefinition | None
    tpm: TpmDefinition | None
    disks: tuple[DiskDefinition, ...]
    is_fenced: bool = False


@dataclass(frozen=True, slots=True)
class Domain:
    """One look at a domain of this host.

    `xml` is the inactive definition with its security info: a secret, never to be shown or logged.
    `definition` is that XML, read. `active_paths` is what each disk really uses now: from the live
    XML when it runs, else from the inactive one. `pending` names what makes changes unsafe
    (libvirt's block jobs, checkpoints and snapshots with metadata), as readable words.
    """

    id: DomainId
    name: str
    state: DomainState
    is_persistent: bool
    has_managed_save: bool
    xml: str = field(repr=False)
    definition: Definition
    active_paths: Mapping[str, Path]
    block_jobs: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    foreign_snapshots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DomainSummary:
    """A line of `vm list` before anything expensive was asked."""

    id: DomainId
    name: str
    state: DomainState


# --- images and layers -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What qemu-img says of one image file; paths are absolute and resolved, sizes in bytes.

    `cluster_bytes` is None for formats without clusters.
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


@dataclass(frozen=True, slots=True)
class FrozenFacts:
    """What is recorded of a layer's file when it is frozen, so that a later change is seen."""

    size_bytes: int
    mtime_ns: int
    header_digest: Digest
    """SHA-256 of the first 64 KiB."""


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


# --- groups, backups, contents -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileMeta:
    """Owner, mode and extended attributes of a host file, as put back by a revert.

    `xattrs` holds names and values in hex, without libvirt's own `trusted.libvirt.*`; the SELinux
    label is the attribute `security.selinux`.
    """

    uid: int
    gid: int
    mode: int
    xattrs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Backup:
    """The captured host file of one type of one resource: one row.

    `digest`, `size_bytes` and `meta` are None unless the capture is CAPTURED. `size_bytes` is that
    of the content: NVRAM bytes, or the canonical archive of a TPM directory.
    """

    id: BackupId
    resource_id: ResourceId
    type: HostFileType
    capture: Capture
    captured_at: datetime
    digest: Digest | None = None
    size_bytes: int | None = None
    meta: FileMeta | None = None
    path: Path | None = None
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """What owns backups: the part that groups, standalone backups and safety backups share."""

    id: ResourceId
    kind: ResourceKind
    host_id: HostId
    domain_id: DomainId
    domain_name: str
    name: str
    created_at: datetime
    description: str = ""
    backups: tuple[Backup, ...] = ()

    def backup(self, type_: HostFileType) -> Backup | None:
        """Return the backup of one type, or None if there is no such row."""
        return next((backup for backup in self.backups if backup.type is type_), None)


@dataclass(frozen=True, slots=True)
class LeftOutDisk:
    """A disk that a group does not hold, and why, in words."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One disk's frozen layer in a group; `active_path` is what was put on it at that time."""

    id: SnapshotId
    group_id: ResourceId
    target: str
    layer_id: LayerId
    active_path: Path


@dataclass(frozen=True, slots=True)
class Group:
    """The snapshots of one domain at one instant, with its backup (a resource of kind GROUP)."""

    resource: Resource
    kind: GroupKind
    state: GroupState
    parent_id: ResourceId | None
    definition_digest: Digest
    snapshots: tuple[Snapshot, ...]
    left_out: tuple[LeftOutDisk, ...] = ()

    @property
    def id(self) -> ResourceId:
        """The group's UUID, which is its resource's."""
        return self.resource.id

    @property
    def name(self) -> str:
        """The group's name, which is its resource's."""
        return self.resource.name

    def snapshot(self, target: str) -> Snapshot | None:
        """Return the snapshot of one disk, or None if the group does not hold that disk."""
        return next((item for item in self.snapshots if item.target == target), None)


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """What the catalog knows of a domain as a whole.

    `current_id` is the group that the active layers stand on ("you are here"). `safety_id` is what
    the last revert, restore or undo kept, for `vmsnap undo`; None if it kept nothing.
    """

    host_id: HostId
    id: DomainId
    name: str
    current_id: ResourceId | None = None
    safety_id: ResourceId | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One run of a changing verb on one domain."""

    id: OperationId
    verb: str
    host_id: HostId
    domain_id: DomainId
    domain_name: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What one transaction of the catalog changes; an empty field changes nothing.

    Applied in the order of the fields; applying the same change again changes nothing more.
    """

    ready: tuple[ResourceId, ...] = ()
    """Reserved resources that become visible as done (groups: state READY)."""
    deleting: tuple[ResourceId, ...] = ()
    layers: tuple[Layer, ...] = ()
    """Layers to insert, or to replace by id. Parents stand before their children."""
    moved_snapshots: Mapping[LayerId, LayerId] = field(default_factory=dict)
    """Snapshots that name the key as their layer name the value from now on."""
    removed_resources: tuple[ResourceId, ...] = ()
    """Resources to remove with their groups, snapshots and backups. Groups that have a removed one
    as their parent get the nearest ancestor that stays."""
    removed_layers: tuple[LayerId, ...] = ()
    record: DomainRecord | None = None
    """The domain's record to insert or replace."""


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What `db status` shows: `url` has its password hidden, `revision` None means no schema.

    `identity` is a random UUID that the database got when it was made: one that was lost and made
    anew under the same URL is another.
    """

    url: str
    exists: bool
    revision: str | None
    expected: str
    identity: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that this program works with."""
        return self.revision == self.expected
