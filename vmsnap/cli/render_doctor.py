"""What doctor finds and mends as a table, and one block for each finding, for people."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.answer import Block, Column, Line, Table
from vmsnap.cli.text import NOTHING

if TYPE_CHECKING:
    from vmsnap.engine.doctor import Mended
    from vmsnap.engine.findings.finding import Finding

_COLUMNS = (Column("SEVERITY"), Column("DOMAIN", "bold"), Column("WHAT"))
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


def found(findings: "Sequence[Finding]") -> tuple[Block, ...]:
    """List findings, worst first; below the table each with its meaning and its cure."""
    if not findings:
        return ()
    ordered = worst_first(findings)
    rows = tuple(
        (item.kind.severity.value, item.domain_name or NOTHING, _what(item)) for item in ordered
    )
    return (Table(_COLUMNS, rows), *(block for item in ordered for block in _block(item)))


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


def _block(item: "Finding") -> tuple[Block, ...]:
    severity = item.kind.severity.value
    of = f" of domain '{item.domain_name}'" if item.domain_name else ""
    return (
        Line(),
        Line(f"{severity}: {_what(item)}{of}", _STYLES[severity]),
        Line(f"  {item.message}"),
        *(Line(line) for line in _wrapped(item.kind.meaning)),
        Line(f"  {item.command}  ({_FIXES[item.kind.cure.value]})"),
    )


def _named(item: "Finding") -> str:
    return f"{_what(item)}: {item.message}"


def _what(item: "Finding") -> str:
    return item.kind.code.replace("_", " ")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _COLUMNS_OF_TEXT, initial_indent="  ", subsequent_indent="  ")
