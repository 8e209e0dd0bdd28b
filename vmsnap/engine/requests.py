"""What the verbs are asked: their options as frozen values."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from vmsnap.engine.retention import PointKind, Policy
from vmsnap.model import HostFileType


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Options of `snapshot create` (and, without the disks' ones, of `backup create`).

    `suspend` stops a running guest's processors at the first try, `no_suspend` forbids it.
    `quiesce` freezes its file systems through the agent, which has `freeze_seconds` to answer;
    `try_quiesce` goes on without if that cannot be done. New overlays go into `overlay_dir`, else
    beside what they stand on. `exclude_if_there` leaves disks out too, but the domain need not have
    them.
    """

    name: str | None = None
    description: str = ""
    exclude: tuple[str, ...] = ()
    exclude_if_there: tuple[str, ...] = ()
    without: frozenset[HostFileType] = frozenset()
    replace: bool = False
    suspend: bool = False
    no_suspend: bool = False
    quiesce: bool = False
    try_quiesce: bool = False
    freeze_seconds: int = 10
    overlay_dir: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """What is done with a machine that runs before it is changed, and with any machine after."""

    shut_down: bool = False
    timeout_seconds: int = 120
    start: bool = False


@dataclass(frozen=True, slots=True)
class RevertRequest:
    """Options of `group revert`."""

    with_safety: bool = True
    keep_definition: bool = False
    allow_disk_changes: bool = False
    drop_managed_save: bool = False
    leave: frozenset[HostFileType] = frozenset()
    power: Power = field(default_factory=Power)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Options of `backup restore`; `only` empty means every type that the backup has."""

    only: frozenset[HostFileType] = frozenset()
    with_safety: bool = True
    dry_run: bool = False


class TpmChoice(Enum):
    """What becomes of the TPM of a machine that is given another one's host files."""

    RESET = "reset"
    """It starts anew: libvirt makes a new state."""
    KEEP = "keep"
    """It becomes the same TPM as the source's."""


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """Options of `backup clone`; `backup` None means the source's present host files."""

    backup: str | None = None
    tpm: TpmChoice = TpmChoice.RESET
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Options of `undo`."""

    force: bool = False
    power: Power = field(default_factory=Power)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """Options of `group delete`; `singles` names single snapshots to delete, too.

    `bandwidth` limits the merges of a running machine, in bytes per second; 0 is no limit.
    """

    with_children: bool = False
    singles: tuple[str, ...] = ()
    bandwidth: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UngroupRequest:
    """Options of `group ungroup`."""

    drop_backup: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PinRequest:
    """Options of `group pin` and `group unpin`; `pinned` tells which of them it is."""

    pinned: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """Options of `prune`.

    `kinds` are the points that are judged at all. A domain without a rule is refused unless
    `skips_unruled`. `bandwidth` is that of a delete.
    """

    policy: Policy
    kinds: frozenset[PointKind] = frozenset(PointKind)
    may_be_empty: bool = False
    skips_unruled: bool = False
    bandwidth: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """Options of `purge`."""

    dry_run: bool = False
