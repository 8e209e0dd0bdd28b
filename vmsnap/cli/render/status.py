"""How domains stand as a table, and below it what is not fine, for people."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.answer import Block, Column, Line, Table
from vmsnap.cli.terminal.text import NOTHING, duration, size

if TYPE_CHECKING:
    from datetime import timedelta

    from vmsnap.engine.status import DomainStatus

_COLUMNS = (
    Column("DOMAIN", folds=True),
    Column("STATUS", "bold"),
    Column("AGE", is_number=True),
    Column("LIMIT", is_number=True, spare=2),
    Column("NEWEST COMPLETE GROUP", folds=True),
    Column("SIZE", is_number=True, spare=3),
)
_AT_WORK = Column("AT WORK", spare=1)
_STYLES = {"warning": "yellow", "critical": "bold red"}


def status_table(found: "Sequence[DomainStatus]") -> tuple[Block, ...]:
    """List domains, one per row; what is not fine is told below, each with its command."""
    if not found:
        return ()
    is_busy = any(item.holder is not None for item in found)
    columns = (*_COLUMNS, _AT_WORK) if is_busy else _COLUMNS
    rows = tuple(_row(item)[: len(columns)] for item in found)
    return (Table(columns, rows), *_troubles(found))


def _row(item: "DomainStatus") -> tuple[str, ...]:
    complete, expectation = item.complete, item.expectation
    limit = expectation.max_age if expectation.max_age is not None else expectation.warn_age
    return (
        item.domain_name,
        _word(item),
        _span(complete.age) if complete is not None else NOTHING,
        _span(limit),
        complete.group.name if complete is not None else NOTHING,
        size(complete.size_bytes) if complete is not None else NOTHING,
        (item.holder.verb or NOTHING) if item.holder is not None else NOTHING,
    )


def _word(item: "DomainStatus") -> str:
    if item.level is not None:
        return item.level.value
    return "fine" if item.expectation.is_judging else "not judged"


def _span(span: "timedelta | None") -> str:
    return NOTHING if span is None else duration(span.total_seconds())


def _troubles(found: "Sequence[DomainStatus]") -> Iterator[Line]:
    for item in found:
        for trouble in item.troubles:
            word = trouble.level.value
            text = f"{word}: domain '{item.domain_name}': {trouble.message}"
            yield Line(text, _STYLES[word])
            # On a line of its own, to be pasted as it stands.
            yield Line(f"  {trouble.command}")
