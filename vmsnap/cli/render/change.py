"""What changing verbs did, or would do, as lines for people."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.cli.terminal.text import NOTHING, joined, local_time

if TYPE_CHECKING:
    from vmsnap.engine.results import DeleteResult, MergeResult, RecoverResult
    from vmsnap.model import LeftOutDisk, Resource

_RECOVERED = (
    Column("DOMAIN", "bold", folds=True),
    Column("INTERRUPTED", spare=1),
    Column("STARTED", spare=2),
    Column("OUTCOME"),
    Column("MESSAGE", folds=True),
)


def change(
    done: str,
    would: str,
    changes: Iterable[str],
    *,
    is_done: bool,
    safety: "Resource | None" = None,
    not_kept: "Sequence[LeftOutDisk]" = (),
    notes: Iterable[str] = (),
) -> tuple[Block, ...]:
    """Say what was done (`done`) or would be (`would`), its changes, and what was kept, or not."""
    what = "the rest of the state" if not_kept else "the state"
    kept = f"kept {what} before it as {safety.kind.value} '{safety.name}'" if safety else ""
    cannot = "could not" if is_done else "cannot"
    lost = (f"disk {item.target} {cannot} be kept: {item.reason}" for item in not_kept)
    return (
        Line(done, "bold green") if is_done else Line(would, "bold"),
        *(Line(f"  {text}", hanging=4) for text in changes),
        *(Line(f"  {text}", "yellow", hanging=4) for text in lost),
        *([Line(f"  {kept}")] if kept and is_done else []),
        *(Line(f"note: {note}", "yellow", hanging=6) for note in notes),
    )


def deleted(result: "DeleteResult") -> tuple[Block, ...]:
    """Say which groups are gone or would go, disk by disk where something failed."""
    word = "snapshot" if all("/" in name for name in result.groups) else "group"
    names = named(word, result.groups)
    of = f"of domain '{result.domain_name}'"
    done = f"deleted {names} {of}" if result.is_complete else f"not all of {names} {of} is deleted"
    unmerged = [merge for merge in result.results if result.is_done and not merge.merged]
    return change(
        done,
        f"would delete {names} {of}",
        (*result.changes, *(_unmerged(merge) for merge in unmerged)),
        is_done=result.is_done,
        notes=result.notes,
    )


def named(word: str, names: Sequence[str]) -> str:
    """Quote names behind the word for what they name, in the singular or plural."""
    quoted = joined(f"'{name}'" for name in names)
    return f"{word} {quoted}" if len(names) == 1 else f"{word}s {quoted}"


def _unmerged(merge: "MergeResult") -> str:
    return f"{merge.snapshot_name}: not merged: {merge.message or merge.code or NOTHING}"


def recovered(results: "Sequence[RecoverResult]") -> tuple[Block, ...]:
    """List what became of each interrupted operation."""
    if not results:
        return ()
    rows = tuple(
        (
            result.domain_name or result.domain_id,
            result.verb or NOTHING,
            local_time(result.started_at),
            result.outcome.replace("_", " "),
            result.message,
        )
        for result in results
    )
    return (Table(_RECOVERED, rows),)
