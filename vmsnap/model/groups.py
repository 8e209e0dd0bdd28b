"""Groups, backups and what they are made of: the rows of the catalog."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from vmsnap.model.ids import BackupId, Digest, DomainId, HostId, LayerId, ResourceId, SnapshotId
from vmsnap.model.machine import DomainState, HostFileType


class Capture(Enum):
    """What a backup says of one type of host file."""

    CAPTURED = "captured"
    ABSENT = "absent"
    NOT_CREATED = "not_created"
    SKIPPED = "skipped"
    LOST = "lost"
    """It was captured, and its content is gone with the database that held it."""


class GroupState(Enum):
    """Where a group is in its life."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"


class GroupKind(Enum):
    """Who asked for a group: a person, or a revert that keeps what it leaves."""

    MANUAL = "manual"
    SAFETY = "safety"
    SINGLE = "single"
    """One disk's snapshot that an ungroup left, named GROUP/TARGET; it holds no backup, and only
    the verbs of snapshots show it."""


class ResourceKind(Enum):
    """What owns a backup."""

    GROUP = "group"
    STANDALONE = "standalone"
    SAFETY = "safety"


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


class Proof(Enum):
    """How it is known that disks and host files of a group are of one instant."""

    OFFLINE = "offline"
    """The domain was shut off."""
    UNCHANGED = "unchanged"
    """The host files were the same before and after the disks were switched, in all that a file
    has: bytes, size, mtime, ctime."""
    SUSPENDED = "suspended"
    """The guest's processors stood still meanwhile, and the host files were the same."""


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant of a group: how it was proven, and what it cost the guest.

    `domain_state` is that after libvirt's call. `stood_still_ms` is how long the guest may have
    stood still at most, in milliseconds: the whole suspended window, else libvirt's own call; 0 for
    a domain that was off or paused. `frozen_ms` is how long its file systems were frozen by the
    guest agent, None unless `is_quiesced`.
    """

    proof: Proof
    domain_state: DomainState
    stood_still_ms: float = 0.0
    is_quiesced: bool = False
    frozen_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The snapshots of one domain at one instant, with its backup (a resource of kind GROUP).

    `instant` is None for groups that are older than its record. One that `is_pinned` is neither
    pruned nor deleted.
    """

    resource: Resource
    kind: GroupKind
    state: GroupState
    parent_id: ResourceId | None
    definition_digest: Digest
    snapshots: tuple[Snapshot, ...]
    left_out: tuple[LeftOutDisk, ...] = ()
    instant: Instant | None = None
    is_pinned: bool = False

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
    `safety_base_id` is the group that the active layers stood on right behind it: where they stand
    on another one now, groups were made since.
    """

    host_id: HostId
    id: DomainId
    name: str
    current_id: ResourceId | None = None
    safety_id: ResourceId | None = None
    safety_base_id: ResourceId | None = None
