"""What stands on which, as lines of text: trees and histories, in line graphics or in ASCII."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from vmsnap.cli.terminal.answer import Branch, Column, Graph, Line, Mark, Point, Table
from vmsnap.cli.terminal.folding import wrapped
from vmsnap.cli.terminal.text import clean, width


@dataclass(frozen=True, slots=True)
class Pen:
    """The characters that something is drawn with."""

    middle: str
    last: str
    through: str
    away: str
    along: str
    marks: tuple[tuple[Mark, str], ...]

    def mark(self, mark: Mark) -> str:
        """Return what stands before a point's name, with a blank behind it."""
        return dict(self.marks).get(mark, "")


UNICODE = Pen(
    middle="├── ",
    last="└── ",
    through="│   ",
    away="├─",
    along="│ ",
    marks=((Mark.GROUP, "● "), (Mark.SAFETY, "○ "), (Mark.HERE, "▶ ")),
)
ASCII = Pen(
    middle="|-- ",
    last="`-- ",
    through="|   ",
    away="|-",
    along="| ",
    marks=((Mark.GROUP, "* "), (Mark.SAFETY, "o "), (Mark.HERE, "> ")),
)


def line_lines(line: Line, columns: int | None) -> Iterator[Line]:
    """Break a sentence for a terminal of so many columns; None has room for all."""
    text = clean(line.text)
    if columns is None or line.hanging is None or width(text) <= columns:
        yield Line(text, line.style)
        return
    # What it hangs below stays together, with its blanks.
    label, sentence = text[: line.hanging], text[line.hanging :]
    for part in wrapped(sentence, max(columns - line.hanging, 1)):
        yield Line(label + part, line.style)
        label = " " * line.hanging


def branch_lines(
    branch: Branch, pen: Pen, columns: int | None, lead: str = "", below: str = ""
) -> Iterator[Line]:
    """Draw what hangs on what; a text that is too wide goes on below its own beginning."""
    text = clean(branch.text)
    further = below + (pen.through if branch.children else " " * len(pen.through))
    room = max(columns - len(further), 1) if columns is not None else width(text)
    for part in wrapped(text, room):
        yield Line(lead + part, branch.style)
        lead = further
    for child in branch.children:
        is_last = child is branch.children[-1]
        yield from branch_lines(
            child,
            pen,
            columns,
            below + (pen.last if is_last else pen.middle),
            below + (" " * len(pen.through) if is_last else pen.through),
        )


def table_of(graph: Graph, pen: Pen) -> Table:
    """Draw a history as a table without titles: its lines and names, and what is said of each."""
    drawn = [(clean(text), point) for text, point in _points(graph.first, pen)]
    return Table(
        (Column("", folds=True), *(replace(column, title="") for column in graph.columns)),
        tuple((text, *_cells(point, len(graph.columns))) for text, point in drawn),
        tuple(point.style for _, point in drawn),
    )


def _cells(point: Point, count: int) -> tuple[str, ...]:
    return (*point.cells, *("" for _ in range(count - len(point.cells))))


def _points(first: Point, pen: Pen, lead: str = "", below: str = "") -> Iterator[tuple[str, Point]]:
    """Go down a line; what leads away from one of its points comes right behind that."""
    point: Point | None = first
    while point is not None:
        yield lead + pen.mark(point.mark) + point.text, point
        for away in point.away:
            yield from _points(away, pen, below + pen.away, below + pen.along)
        lead, point = below, point.next
