"""What the verbs answer: frozen values for `cli` to print."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from vmsnap.engine.names import is_snapshot_name, snapshot_name
from vmsnap.engine.retention import Verdict
from vmsnap.errors import VmsnapError
from vmsnap.model import (
    Backup,
    Capture,
    Domain,
    Group,
    GroupKind,
    HostFileType,
    ImageInfo,
    LeftOutDisk,
    Resource,
)
from vmsnap.ports import Holder


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """Whether a snapshot would take one part of the machine, and if not, why not.

    `name` is a disk's target, "nvram" or "tpm". `must_be_excluded` says that the create is refused
    unless the part is left out by name; without it a part that is not taken is left out in peace.
    """

    name: str
    is_taken: bool
    reason: str | None = None
    must_be_excluded: bool = False


@dataclass(frozen=True, slots=True)
class DiskView:
    """A disk of `vm show`: its chain, topmost first; `problem` if the chain cannot be read."""

    target: str
    device: str
    source_type: str
    path: Path | None
    format: str | None
    chain: tuple[ImageInfo, ...]
    verdict: PartVerdict
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class HostFileView:
    """An NVRAM or TPM of `vm show`; sizes in bytes, None if the file does not exist yet."""

    type: HostFileType
    path: Path | None
    size_bytes: int | None
    verdict: PartVerdict


@dataclass(frozen=True, slots=True)
class DomainView:
    """All of `vm show`, and a line of `vm list` (there without chains and sizes)."""

    domain: Domain
    disks: tuple[DiskView, ...]
    host_files: tuple[HostFileView, ...]
    notes: tuple[str, ...] = ()
    """What would make a change unsafe: a managed-save image, foreign snapshots, checkpoints, ..."""
    holder: Holder | None = None
    """Who is at work on it with vmsnap."""


@dataclass(frozen=True, slots=True)
class SnapshotDisk:
    """A disk of a group as it is shown."""

    target: str
    frozen_path: Path
    active_path: Path
    format: str
    size_bytes: int
    """Space that the frozen layer takes on disk."""


GONE = "gone"
"""Where a domain is that is not defined on its host any more."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it is shown; its resource has the domain's name of today."""

    group: Group
    is_current: bool
    disks: tuple[SnapshotDisk, ...]
    size_bytes: int
    """Space on disk: the frozen layers' allocated bytes and the captured host files."""
    domain_state: str | None = None
    """The state of the domain as libvirt has it now, GONE, or None for another host's."""

    def snapshot_name(self, target: str) -> str:
        """Return what the snapshot of one disk is called."""
        if self.group.kind is GroupKind.SINGLE:
            return self.group.name
        return snapshot_name(self.group.name, target)


@dataclass(frozen=True, slots=True)
class GroupList:
    """Groups of one domain or of several, oldest first; those of other hosts when asked."""

    groups: tuple[GroupView, ...]


@dataclass(frozen=True, slots=True)
class CreateResult:
    """What `snapshot create` did, or with `--dry-run` would do (then `group` is None)."""

    domain_name: str
    name: str
    group: GroupView | None
    disks: tuple[PartVerdict, ...]
    captures: tuple[tuple[HostFileType, Capture], ...]
    left_out: tuple[LeftOutDisk, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a group cannot be reverted; `kind` is damage or state."""

    code: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """The verdict on one group."""

    group: Group
    reasons: tuple[Reason, ...]

    @property
    def is_available(self) -> bool:
        """Whether nothing stands against a revert."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class RevertResult:
    """What `group revert` or `undo` did or would do.

    `changes` are readable lines; `safety` is what was kept of the state that was left, and unless
    `can_undo`, `undo` could take nothing back with it. `not_kept` are disks that it lacks although
    they were replaced: `undo` then brings back but the rest, and only by force.
    """

    domain_name: str
    target_name: str
    safety: Resource | None
    changes: tuple[str, ...]
    is_done: bool
    notes: tuple[str, ...] = ()
    can_undo: bool = True
    not_kept: tuple[LeftOutDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The end of one disk of one deleted group; `code` and `message` say why it was not merged."""

    group: str
    target: str
    merged: bool
    code: str | None = None
    message: str | None = None

    @property
    def snapshot_name(self) -> str:
        """What the disk's snapshot was called; a single one is named so itself."""
        if is_snapshot_name(self.group):
            return self.group
        return snapshot_name(self.group, self.target)


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What `group delete` did or would do; `groups` are those asked for and taken along."""

    domain_name: str
    groups: tuple[str, ...]
    results: tuple[MergeResult, ...]
    changes: tuple[str, ...]
    is_done: bool
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every group is gone (a dry run is never complete)."""
        return self.is_done and all(result.merged for result in self.results)


@dataclass(frozen=True, slots=True)
class BackupView:
    """One row of `backup list`."""

    resource: Resource
    backup: Backup


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What `backup create`, `restore` or `delete` did or would do."""

    domain_name: str
    name: str
    rows: tuple[BackupView, ...]
    changes: tuple[str, ...]
    is_done: bool
    safety: Resource | None = None
    notes: tuple[str, ...] = ()
    can_undo: bool = False


@dataclass(frozen=True, slots=True)
class ClonedTarget:
    """What became of one target of `backup clone`; `name` is as typed if it was not reached.

    `is_done` says that it has the source's host files now, `is_changed` that it had not before,
    `can_undo` that `undo` can take some of that back.
    """

    name: str
    changes: tuple[str, ...] = ()
    is_done: bool = False
    is_changed: bool = False
    can_undo: bool = False
    safety: Resource | None = None
    error: VmsnapError | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CloneResult:
    """What `backup clone` did or would do; `backup` None: the source's present host files."""

    source_name: str
    backup: str | None
    targets: tuple[ClonedTarget, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """One verified backup row; `problem` is None if its content is whole."""

    view: BackupView
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RecoverResult:
    """What became of one interrupted operation.

    `outcome` is finished (it had committed), undone (it had not), journal_lost (a fence stays),
    fence_lifted (that was asked for all the same), busy, waiting, pending (a dry run), or
    waits_for_shutdown (a delete that goes on when the domain is off; no failure); `message` says
    why, or what was done.
    """

    domain_id: str
    domain_name: str | None
    verb: str | None
    started_at: datetime | None
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A group in `group tree`, with those that stand on it, oldest first."""

    view: GroupView
    children: tuple["TreeNode", ...] = ()


@dataclass(frozen=True, slots=True)
class GroupTree:
    """All of `group tree`: the roots, and whether the machine stands on no group at all."""

    domain_name: str
    roots: tuple[TreeNode, ...]
    stands_on_nothing: bool
    current_size_bytes: int = field(default=0)
    """Space that the active layers take."""
    domain_state: str | None = None
    """As in GroupView."""


@dataclass(frozen=True, slots=True)
class UngroupResult:
    """What `group ungroup` did or would do; `backup` is None if it was dropped."""

    domain_name: str
    name: str
    snapshots: tuple[str, ...]
    backup: Resource | None
    is_done: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PinResult:
    """What `group pin` or `group unpin` did or would do; `groups` are those that change."""

    domain_name: str
    groups: tuple[str, ...]
    is_pinned: bool
    is_done: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What `prune` did or would do with the points of one domain, oldest first.

    `deletion` tells of the groups that end, None if none does. `is_done` says that something was
    pruned: there may be nothing to do. `is_ruled` is False for a domain that was skipped.
    """

    domain_name: str
    verdicts: tuple[Verdict, ...] = ()
    deletion: DeleteResult | None = None
    is_done: bool = False
    notes: tuple[str, ...] = ()
    is_ruled: bool = True

    @property
    def going(self) -> tuple[Verdict, ...]:
        """The points that go."""
        return tuple(verdict for verdict in self.verdicts if not verdict.is_kept)

    @property
    def unmerged(self) -> tuple[MergeResult, ...]:
        """The disks of groups whose end was begun, and could not be finished."""
        merges = self.deletion.results if self.deletion is not None and self.is_done else ()
        return tuple(merge for merge in merges if not merge.merged)


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file that a purge removes, or (`reason` says why) leaves in place; sizes on disk."""

    path: Path
    size_bytes: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What `purge` did or would do; `problem` (code, message) is why files and rows are left."""

    domain_id: str
    domain_name: str
    groups: tuple[str, ...]
    snapshots: tuple[str, ...]
    backups: tuple[str, ...]
    removed: tuple[LeftFile, ...]
    kept: tuple[LeftFile, ...]
    is_done: bool
    problem: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    """Those of `groups` that are pinned."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left (a dry run is never complete)."""
        return self.is_done and self.problem is None
