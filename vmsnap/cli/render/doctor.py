"""What doctor finds and mends as a table, and one block for each finding, for people."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.cli.terminal.text import NOTHING

if TYPE_CHECKING:
    from vmsnap.engine.doctor import Mended
    from vmsnap.engine.findings.finding import Finding, Kind

_COLUMNS = (
    Column("SEVERITY"),
    Column("DOMAIN", "bold", folds=True),
    Column("WHAT"),
    Column("WHERE", spare=1, folds=True),
)
_STYLES = {"danger": "bold red", "warning": "yellow", "note": ""}
_FIXES = {
    "surely": "'--fix' mends it",
    "asks": "'--fix' mends it after a question",
    "by hand": "'--fix' leaves it",
}
_COLUMNS_OF_TEXT = 76


def worst_first(findings: "Sequence[Finding]") -> "list[Finding]":
    """Sort findings by how bad they are, and else leave them as they stand."""
    order = list(_STYLES)
    return sorted(findings, key=lambda item: order.index(item.kind.severity.value))


def found(findings: "Sequence[Finding]", *, can_fix: bool = True) -> tuple[Block, ...]:
    """List findings, worst first; below the table those of a kind with its meaning and its cure.

    Without `can_fix` nothing can be mended before the database can be opened.
    """
    if not findings:
        return ()
    ordered = worst_first(findings)
    rows = tuple(
        (item.kind.severity.value, item.domain_name or NOTHING, _what(item), _where(item))
        for item in ordered
    )
    alike: dict[tuple[Kind, str | None], list[Finding]] = {}
    for item in ordered:
        alike.setdefault((item.kind, item.domain_name), []).append(item)
    blocks = (block for items in alike.values() for block in _block(items, can_fix=can_fix))
    return (Table(_COLUMNS, rows), *blocks)


def attempted(results: "Sequence[Mended]") -> tuple[Block, ...]:
    """Say what was mended, and of the rest why not."""
    return tuple(
        Line(f"mended: {_named(item.finding)}", "green")
        if item.problem is None
        else Line(f"not mended: {_named(item.finding)}: {item.problem.message}", "bold red")
        for item in results
    )


def planned(surely: "Sequence[Finding]", asking: "Sequence[Finding]") -> tuple[Block, ...]:
    """Say what --fix would do, and what it would ask."""
    return (
        *(Line(f"would mend: {_named(item)}", "bold") for item in surely),
        *(Line(f"would ask: {question(item)}", "bold") for item in asking),
    )


def question(item: "Finding") -> str:
    """Ask whether a finding is to be mended."""
    what = {
        "orphan_overlay": f"remove '{item.subject}' for ever?",
        "host_file_left": f"remove '{item.subject}' for ever?",
        "fence_without_journal": f"lift the fence of domain '{item.domain_name}'?",
        "pending_without_journal": "strike the operation off, with what it reserved?",
        "pending_on_other_host": "is that host gone for good, and its operation to be struck off?",
        "guest_perhaps_suspended": f"let the guest of domain '{item.domain_name}' go on?",
    }
    return what.get(item.kind.code, f"mend this: {item.message}?")


def losses(item: "Finding") -> tuple[str, ...]:
    """Say before the question what is known."""
    return (item.message, *_wrapped(item.kind.meaning))


def _block(items: "Sequence[Finding]", *, can_fix: bool) -> tuple[Block, ...]:
    """Tell of findings of one kind and domain: what is wrong with each, then what it means."""
    kind, name = items[0].kind, items[0].domain_name
    severity, cure = kind.severity.value, kind.cure.value
    of = f" of domain '{name}'" if name else ""
    fix = _FIXES[cure]
    if not can_fix and cure != "by hand":
        fix = "'--fix' mends it once the database can be opened"
    return (
        Line(),
        Line(f"{severity}: {_what(items[0])}{of}", _STYLES[severity]),
        *(Line(f"  {item.message}") for item in items),
        *(Line(line) for line in _wrapped(kind.meaning)),
        # Each on a line of its own, to be pasted as it stands.
        *(Line(f"  {command}") for command in dict.fromkeys(item.command for item in items)),
        Line(f"  ({fix})"),
    )


def _named(item: "Finding") -> str:
    return f"{_what(item)}: {item.message}"


def _what(item: "Finding") -> str:
    return item.kind.code.replace("_", " ")


def _where(item: "Finding") -> str:
    """Name a file by its last part, and all else as it is; the whole path is below the table."""
    return item.subject.rpartition("/")[2] if "/" in item.subject else item.subject


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS_OF_TEXT, initial_indent="  ", subsequent_indent="  ")
