"""What prune did, or would do, as a table for people: each point, and why it stays or goes."""

from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.cli.terminal.text import local_time

if TYPE_CHECKING:
    from vmsnap.engine.results import PruneResult
    from vmsnap.engine.retention import Verdict

_COLUMNS = (
    Column("POINT", "bold", folds=True),
    Column("KIND"),
    Column("CREATED", spare=1),
    Column("VERDICT"),
    Column("WHY", folds=True),
)


def pruned(result: "PruneResult") -> tuple[Block, ...]:
    """Show the verdict on each point of a domain, oldest first, below what it came to."""
    of = f"domain '{result.domain_name}'"
    notes = tuple(Line(f"note: {note}", "yellow", hanging=2) for note in result.notes)
    if not result.is_ruled:
        return (Line(f"{of} is left alone: no rule says what to keep of it"),)
    if not result.verdicts and result.deletion is None:
        return (Line(f"nothing to prune: {of} has no groups or backups"), *notes)
    rows = tuple(_row(verdict) for verdict in result.verdicts)
    styles = tuple("" if verdict.is_kept else "yellow" for verdict in result.verdicts)
    table = (Table(_COLUMNS, rows, styles),) if rows else ()
    return (_head(result, of), *table, *notes)


def _head(result: "PruneResult", of: str) -> Line:
    going, all_ = len(result.going), len(result.verdicts)
    if not going and result.deletion is not None:
        return _head_of_begun(result, of)
    if not going:
        return Line(f"nothing to prune: {of} keeps all of its {all_} points", "bold green")
    count = f"{going} of {all_} points"
    if not result.is_done:
        return Line(f"would prune {of}: {count} go", "bold")
    if result.unmerged:
        return Line(f"not all of {of} is pruned yet: {count} go", "bold")
    return Line(f"pruned {of}: {count} are gone", "bold green")


def _head_of_begun(result: "PruneResult", of: str) -> Line:
    what = f"what was begun on {of}"
    if not result.is_done:
        return Line(f"would go on with {what}", "bold")
    if result.unmerged:
        return Line(f"not all of {what} is finished yet", "bold")
    return Line(f"finished {what}", "bold green")


def _row(verdict: "Verdict") -> tuple[str, ...]:
    point = verdict.point
    return (
        point.name,
        point.kind.value,
        local_time(point.created_at),
        "stays" if verdict.is_kept else "goes",
        "; ".join(verdict.reasons),
    )
