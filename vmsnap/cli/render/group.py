"""Groups as tables, a drawn tree and verdicts for people."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from vmsnap.cli.render.domain import verdict
from vmsnap.cli.terminal.answer import (
    Block,
    Branch,
    Column,
    Graph,
    Line,
    Mark,
    Point,
    Table,
    spared_first,
)
from vmsnap.cli.terminal.text import NOTHING, age, host, joined, local_time, size

if TYPE_CHECKING:
    from vmsnap.engine.results import CreateResult, GroupTree, GroupView, TreeNode
    from vmsnap.model import Capture, Group, HostFileType, Instant

_LIST = (
    Column("DOMAIN", folds=True),
    Column("GROUP", "bold", folds=True),
    Column("HERE", "green", spare=4),
    Column("KIND", spare=6),
    Column("STATE", spare=2),
    Column("CREATED", spare=1),
    Column("SIZE", is_number=True, spare=3),
    Column("DISKS", spare=5, folds=True),
    Column("NVRAM", spare=7),
    Column("TPM", spare=8),
)
_SNAPSHOTS = (
    Column("DOMAIN", folds=True),
    Column("SNAPSHOT", "bold", folds=True),
    Column("OF", spare=5),
    Column("CREATED", spare=2),
    Column("SIZE", is_number=True, spare=1),
    Column("FORMAT", spare=4),
    Column("FROZEN FILE", spare=3, folds=True),
)
_HOST = Column("HOST", "dim")
_EXPECTED = frozenset({"captured", "absent", "not_created"})
_HERE = "you are here"
_PINNED = "pinned"
_READY = "ready"


def group_table(
    views: "Sequence[GroupView]", *, of_one: bool = False, this_host: str | None = None
) -> tuple[Block, ...]:
    """List groups, one per row; `of_one` says that all are of one domain, which was named."""
    if not views:
        return ()
    lacking = {title for view in views for title in _lacking(view.group)}
    # A group that lacks a host file, or that is not ready, is no way back: those columns stay.
    lacking |= {"STATE" for view in views if view.group.state.value != _READY}
    known = tuple(replace(item, spare=0) if item.title in lacking else item for item in _LIST)
    columns = (*known, _HOST) if this_host else known
    columns = spared_first(columns, "DOMAIN") if of_one else columns
    return (Table(columns, tuple(_row(view, this_host=this_host) for view in views)),)


def _lacking(group: "Group") -> tuple[str, ...]:
    words = zip(("NVRAM", "TPM"), _captures(group), strict=True)
    return tuple(title for title, word in words if word not in _EXPECTED)


def _row(view: "GroupView", *, this_host: str | None) -> tuple[str, ...]:
    group = view.group
    return (
        _domain(view),
        group.name,
        "*" if view.is_current else "",
        group.kind.value,
        _state(group),
        local_time(group.resource.created_at),
        size(view.size_bytes),
        joined(disk.target for disk in view.disks),
        *_captures(group),
        *([host(group.resource.host_id, this_host)] if this_host else []),
    )


def _state(group: "Group") -> str:
    """Word the state of a group; only one that is ready can be pinned."""
    is_ready = group.state.value == _READY
    return _PINNED if group.is_pinned and is_ready else group.state.value


def _domain(view: "GroupView") -> str:
    return _named(view.group.resource.domain_name, view.domain_state)


def _named(domain_name: str, state: str | None) -> str:
    """Name a domain, and say so if it is gone."""
    return f"{domain_name} (gone)" if state == "gone" else domain_name


def _captures(group: "Group") -> tuple[str, str]:
    words = {backup.type.value: backup.capture.value for backup in group.resource.backups}
    return words.get("nvram", NOTHING), words.get("tpm", NOTHING)


def snapshot_table(
    views: "Sequence[GroupView]", *, of_one: bool = False, this_host: str | None = None
) -> tuple[Block, ...]:
    """List snapshots: one row per disk of each group, and one for each that is single."""
    rows = tuple(
        (
            _domain(view),
            view.snapshot_name(disk.target),
            "single" if view.group.kind.value == "single" else "group",
            local_time(view.group.resource.created_at),
            size(disk.size_bytes),
            disk.format,
            str(disk.frozen_path),
            *([host(view.group.resource.host_id, this_host)] if this_host else []),
        )
        for view in views
        for disk in view.disks
    )
    columns: tuple[Column, ...] = (*_SNAPSHOTS, _HOST) if this_host else _SNAPSHOTS
    columns = spared_first(columns, "DOMAIN") if of_one else columns
    return (Table(columns, rows),) if rows else ()


def group_page(view: "GroupView") -> tuple[Block, ...]:
    """Show all that is known of a group."""
    group = view.group
    resource = group.resource
    nvram, tpm = _captures(group)
    here = f", {_HERE}" if view.is_current else ""
    pinned = f", {_PINNED}" if group.is_pinned else ""
    disks = tuple(
        Branch(
            f"disk {disk.target}:  {disk.format}, {size(disk.size_bytes)} on disk",
            children=(
                Branch(f"frozen: {disk.frozen_path}"),
                Branch(f"put on it: {disk.active_path}"),
            ),
        )
        for disk in view.disks
    )
    remark = (
        (Line(f"description:  {resource.description}", hanging=14),) if resource.description else ()
    )
    return (
        Line(f"{group.name}  ({group.id})", "bold"),
        Line(f"domain:       {_domain(view)}"),
        Line(f"state:        {group.state.value}, {group.kind.value}{pinned}{here}"),
        Line(f"created:      {local_time(resource.created_at)}"),
        *([Line(f"instant:      {instant(group.instant)}", hanging=14)] if group.instant else []),
        *remark,
        Line(f"size on disk: {size(view.size_bytes)}"),
        Line(f"NVRAM:        {nvram}"),
        Line(f"TPM:          {tpm}"),
        *disks,
        *(
            Line(f"disk {item.target}:  left out: {item.reason}", hanging=4)
            for item in group.left_out
        ),
    )


def instant(found: "Instant") -> str:
    """Say how the instant was proven, and what it cost the guest."""
    words = {
        "offline": "the machine was shut off",
        "unchanged": "the host files were the same before and after",
        "suspended": "the guest stood still meanwhile",
    }
    said = [f"{found.proof.value} ({words[found.proof.value]})"]
    if found.domain_state.value == "paused":
        said = ["suspended (the guest was paused)"]
    elif found.proof.value != "offline":
        said.append(
            f"{found.domain_state.value}, stood still {found.stood_still_ms:.1f} ms at most"
        )
    if found.frozen_ms is not None:
        said.append(f"file systems frozen for {found.frozen_ms:.0f} ms")
    return "; ".join(said)


def tree(found: "GroupTree", now: datetime) -> tuple[Block, ...]:
    """Draw which group stands on which, and where the machine is now, oldest first.

    The way to where the machine is goes straight down; all else leads away from it.
    """
    here = Point(
        _HERE, Mark.HERE, ("", size(found.current_size_bytes), "written since"), "bold green"
    )
    points = [_point(node, now, here) for node in found.roots]
    if found.stands_on_nothing:
        points.append(here)
    return (Graph(_on(_title(found), points, here), _BESIDE),)


def _title(found: "GroupTree") -> Point:
    return Point(_named(found.domain_name, found.domain_state), Mark.TITLE, style="bold")


def _point(node: "TreeNode", now: datetime, here: Point) -> Point:
    group = node.view.group
    words: tuple[str, ...] = (group.kind.value, _state(group))
    remarks = [word for word in words if word in _MARKED]
    remarks += [group.resource.description] if group.resource.description else []
    point = Point(
        group.name,
        Mark.SAFETY if group.kind.value == "safety" else Mark.GROUP,
        (age(group.resource.created_at, now), size(node.view.size_bytes), ", ".join(remarks)),
    )
    above = [_point(child, now, here) for child in node.children]
    return _on(point, [*above, here] if node.view.is_current else above, here)


def _on(point: Point, above: list[Point], here: Point) -> Point:
    """Put points on another: the one that leads to where the machine is, else the last, goes on."""
    if not above:
        return point
    onward = next((item for item in above if _leads_to(item, here)), above[-1])
    away = tuple(item for item in above if item is not onward)
    return replace(point, away=away, next=onward)


def _leads_to(point: Point, here: Point) -> bool:
    last = point
    while last.next is not None:
        last = last.next
    return last is here


_BESIDE = (Column("", spare=2), Column("", is_number=True, spare=1), Column("", folds=True))
_MARKED = frozenset({"safety", "deleting", "creating", _PINNED})


def created(result: "CreateResult") -> tuple[Block, ...]:
    """Say what was taken, or after a dry run what would be."""
    if result.group is None:
        return (
            Line(f"would create group '{result.name}' of domain '{result.domain_name}'", "bold"),
            *(Line(f"  {part.name}: {verdict(part)}", hanging=4) for part in result.disks),
            *_host_files(result.captures),
            *_notes(result.notes),
        )
    view = result.group
    left_out = (
        Line(f"  {item.target}: left out: {item.reason}", hanging=4) for item in result.left_out
    )
    return (
        Line(f"created group '{result.name}' of domain '{result.domain_name}'", "bold green"),
        Line(f"  disks: {joined(disk.target for disk in view.disks)}"),
        *_host_files(result.captures),
        *(
            [Line(f"  instant: {instant(view.group.instant)}", hanging=4)]
            if view.group.instant
            else []
        ),
        *left_out,
        *_notes(result.notes),
    )


def _host_files(captures: "Sequence[tuple[HostFileType, Capture]]") -> tuple[Line, ...]:
    words = {"nvram": "NVRAM", "tpm": "TPM"}
    return tuple(
        Line(f"  {words.get(type_.value, type_.value)}: {capture.value.replace('_', ' ')}")
        for type_, capture in captures
    )


def _notes(notes: Sequence[str]) -> tuple[Line, ...]:
    return tuple(Line(f"note: {note}", "yellow", hanging=6) for note in notes)
