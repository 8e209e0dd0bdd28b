"""The difference between a domain and a group for people."""

from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.cli.terminal.text import NOTHING, age, local_time, size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from vmsnap.engine.diff import DiskDifference, GroupDiff, HostFileDifference

_COLUMNS = (
    Column("PART", "bold"),
    Column("SINCE THEN"),
    Column("LOSES", is_number=True),
    Column("FILE", spare=1, folds=True),
)
_DISKS = {
    "written": "written to",
    "on_branch": "on another branch",
    "replaced": "replaced",
    "detached": "detached",
    "added": "added",
}
_HOST_FILES = {
    "same": "the same",
    "differs": "differs",
    "gone": "gone",
    "added": "added",
    "not_kept": "not in the group",
    "lost": "lost with its database",
    "unknown": "unknown",
}


def difference(found: "GroupDiff", now: "datetime") -> tuple[Block, ...]:
    """Say what a revert would change: parts in a table, then the definition line by line."""
    created_at = found.group.resource.created_at
    rows = (
        *(_disk(disk) for disk in found.disks),
        *(_host_file(file) for file in found.host_files),
    )
    name = f"group '{found.group.name}' of domain '{found.domain_name}'"
    return (
        Line(f"{name}, {local_time(created_at)} ({age(created_at, now)})", "bold"),
        Table(_COLUMNS, rows),
        *_definition(found.definition),
        *_remarks(found.host_files),
        *(Line(f"no revert now: {reason}", "yellow", hanging=2) for reason in found.reasons),
    )


def _disk(disk: "DiskDifference") -> tuple[str, ...]:
    path = str(disk.path) if disk.path is not None else NOTHING
    words = _DISKS[disk.state]
    if disk.lost_bytes == 0:
        words = "the same"
    return (disk.target, words, size(disk.lost_bytes), path)


def _host_file(file: "HostFileDifference") -> tuple[str, ...]:
    words = {"nvram": "NVRAM", "tpm": "TPM"}
    path = str(file.path) if file.path is not None else NOTHING
    return (words[file.type.value], _HOST_FILES[file.state], NOTHING, path)


def _remarks(files: "Sequence[HostFileDifference]") -> tuple[Line, ...]:
    return tuple(
        Line(f"{file.type.value}: {file.remark}", "yellow")
        for file in files
        if file.remark is not None
    )


def _definition(lines: "Sequence[str] | None") -> tuple[Block, ...]:
    if lines is None:
        return (Line("definition: the group's is damaged", "red"),)
    if not lines:
        return (Line("definition: the same"),)
    return (Line("definition:"), *(Line(f"  {line}", _style(line)) for line in lines))


def _style(line: str) -> str:
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
