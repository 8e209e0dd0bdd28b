"""What the verbs are asked: their options as frozen values."""

from dataclasses import dataclass

from vmsnap.model import HostFileType


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Options of `snapshot create` (and, without the disks' ones, of `backup create`)."""

    name: str | None = None
    description: str = ""
    exclude: tuple[str, ...] = ()
    without: frozenset[HostFileType] = frozenset()
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RevertRequest:
    """Options of `group revert`."""

    with_safety: bool = True
    keep_definition: bool = False
    allow_disk_changes: bool = False
    drop_managed_save: bool = False
    leave: frozenset[HostFileType] = frozenset()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Options of `backup restore`; `only` empty means every type that the backup has."""

    only: frozenset[HostFileType] = frozenset()
    with_safety: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Options of `undo`."""

    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """Options of `group delete`."""

    with_children: bool = False
    dry_run: bool = False
