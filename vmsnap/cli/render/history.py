"""The history of operations as a table for people."""

from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table, spared_first
from vmsnap.cli.terminal.text import NOTHING, duration, host, local_time

if TYPE_CHECKING:
    from vmsnap.engine.history import HistoryLine, HistoryList
    from vmsnap.model import HistoryEntry

_COLUMNS = (
    Column("STARTED"),
    Column("DOMAIN", folds=True),
    Column("VERB", "bold"),
    Column("NAME", folds=True),
    Column("USER", spare=1),
    Column("TOOK", is_number=True, spare=2),
    Column("RESULT"),
)


def history_table(
    found: "HistoryList", *, of_one: bool = False, this_host: str | None = None
) -> tuple[Block, ...]:
    """List operations, one per row, and below them how some are taken back or settled.

    `of_one` says that all are of one domain, which was named.
    """
    if not found.lines:
        return ()
    columns: tuple[Column, ...] = (*_COLUMNS, Column("HOST", "dim")) if this_host else _COLUMNS
    columns = spared_first(columns, "DOMAIN") if of_one else columns
    rows = tuple(_row(line, this_host=this_host) for line in found.lines)
    undo = tuple(Line(_undo(line), "green") for line in found.lines if line.undo is not None)
    is_left = any(line.entry.outcome.value == "left" for line in found.lines)
    recover = (Line("vmsnap recover  settles what was left", "yellow"),) if is_left else ()
    return (Table(columns, rows), *undo, *recover)


def _row(line: "HistoryLine", *, this_host: str | None) -> tuple[str, ...]:
    entry = line.entry
    operation = entry.operation
    return (
        local_time(operation.started_at),
        operation.domain_name,
        operation.verb,
        operation.subject or NOTHING,
        operation.user or NOTHING,
        duration((entry.ended_at - operation.started_at).total_seconds()),
        _result(entry),
        *([host(operation.host_id, this_host)] if this_host else []),
    )


def _result(entry: "HistoryEntry") -> str:
    words = entry.outcome.value
    if entry.is_recovered:
        words += " by recover"
    return f"{words}: {entry.code}" if entry.code is not None else words


def _undo(line: "HistoryLine") -> str:
    operation = line.entry.operation
    what = f"{operation.verb} {operation.subject}".rstrip()
    return f"{line.undo}  takes back: {what}, {local_time(operation.started_at)}"
