"""Backups as tables and lines for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Branch, Column, Line, Table, spared_first
from vmsnap.cli.terminal.text import NOTHING, host, local_time, size

if TYPE_CHECKING:
    from vmsnap.engine.results import BackupView, VerifyResult

_LIST = (
    Column("DOMAIN", folds=True),
    Column("BACKUP", "bold", folds=True),
    Column("OF", spare=4),
    Column("TYPE"),
    Column("CAPTURE", spare=1),
    Column("SIZE", is_number=True, spare=3),
    Column("CAPTURED", spare=2),
)
_VERIFIED = (
    Column("DOMAIN", folds=True),
    Column("BACKUP", "bold", folds=True),
    Column("TYPE"),
    Column("VERDICT", folds=True),
)


def backup_table(
    views: "Sequence[BackupView]", *, of_one: bool = False, this_host: str | None = None
) -> tuple[Block, ...]:
    """List backups, one row per type of host file; `of_one` says that one domain was named."""
    if not views:
        return ()
    columns: tuple[Column, ...] = (*_LIST, Column("HOST", "dim")) if this_host else _LIST
    columns = spared_first(columns, "DOMAIN") if of_one else columns
    return (Table(columns, tuple(_row(view, this_host=this_host) for view in views)),)


def _row(view: "BackupView", *, this_host: str | None) -> tuple[str, ...]:
    resource, backup = view.resource, view.backup
    return (
        resource.domain_name,
        resource.name,
        resource.kind.value,
        backup.type.value,
        backup.capture.value,
        size(backup.size_bytes),
        local_time(backup.captured_at),
        *([host(resource.host_id, this_host)] if this_host else []),
    )


def backup_page(views: "Sequence[BackupView]") -> tuple[Block, ...]:
    """Show all that is known of one backup."""
    if not views:
        return ()
    resource = views[0].resource
    remark = (
        (Line(f"description:  {resource.description}", hanging=14),) if resource.description else ()
    )
    return (
        Line(f"{resource.name}  ({resource.id})", "bold"),
        Line(f"domain:       {resource.domain_name}"),
        Line(f"of:           {resource.kind.value}"),
        Line(f"created:      {local_time(resource.created_at)}"),
        *remark,
        *(_type(view) for view in views),
    )


def _type(view: "BackupView") -> Block:
    backup = view.backup
    details = [f"captured at: {local_time(backup.captured_at)}"]
    if backup.digest is not None:
        details.append(f"sha256: {backup.digest}")
    if backup.path is not None:
        details.append(f"path: {backup.path}")
    if backup.secret_id is not None:
        details.append(f"encrypted with secret: {backup.secret_id}")
    amount = f", {size(backup.size_bytes)}" if backup.size_bytes is not None else ""
    return Branch(
        f"{backup.type.value}:  {backup.capture.value}{amount}",
        children=tuple(Branch(detail) for detail in details),
    )


def verified(results: "Sequence[VerifyResult]") -> tuple[Block, ...]:
    """List verified backups, whole or not."""
    rows = tuple(
        (
            result.view.resource.domain_name,
            result.view.resource.name,
            result.view.backup.type.value,
            _verdict(result),
        )
        for result in results
    )
    return (Table(_VERIFIED, rows),) if rows else ()


def _verdict(result: "VerifyResult") -> str:
    if result.problem is not None:
        return result.problem
    has_content = result.view.backup.digest is not None
    return "whole" if has_content else f"{NOTHING} ({result.view.backup.capture.value})"
