"""Answers drawn on a terminal by Rich: within its width, and in characters that it knows."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from vmsnap.cli.terminal.answer import Block, Branch, Graph, Line, Table
from vmsnap.cli.terminal.drawing import ASCII, UNICODE, Pen, branch_lines, line_lines, table_of
from vmsnap.cli.terminal.folding import folded
from vmsnap.cli.terminal.layout import GAP, laid_out
from vmsnap.cli.terminal.text import clean

# One line below the titles, and nothing else.
_ASCII_BOX = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def draw(blocks: Sequence[Block]) -> None:
    """Draw on the terminal that stdout is."""
    console = Console(markup=False, highlight=False, emoji=False)
    pen = UNICODE if knows_line_graphics(sys.stdout) else ASCII
    for block in blocks:
        if isinstance(block, Table):
            _draw_table(console, block, pen)
        elif isinstance(block, Graph):
            _draw_table(console, table_of(block, pen), pen)
        else:
            _draw_lines(console, block, pen)


def knows_line_graphics(stream: TextIO) -> bool:
    """Tell whether a terminal shows more than ASCII, as far as its locale says.

    In the locale C, Python writes UTF-8 all the same (PEP 540), which its terminal need not know.
    """
    if not stream.encoding.lower().startswith("utf"):
        return False
    named = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return not sys.flags.utf8_mode or "utf" in named.lower()


def _draw_lines(console: Console, block: Line | Branch, pen: Pen) -> None:
    if isinstance(block, Branch):
        lines = branch_lines(block, pen, console.width)
    else:
        lines = line_lines(block, console.width)
    for line in lines:
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def _draw_table(console: Console, table: Table, pen: Pen) -> None:
    shown = laid_out(table, console.width)
    drawn = _empty_table(table, shown, pen)
    for number, row in enumerate(table.rows):
        cells = (
            _cell(row[index], columns if table.columns[index].folds else None)
            for index, columns in shown.items()
        )
        drawn.add_row(*cells, style=table.row_styles[number] if table.row_styles else None)
    # Over the edge rather than cut: what is copied has to name the same thing.
    seen = console.width
    console.width = max(seen, sum(shown.values()) + GAP * len(shown))
    console.print(drawn)
    console.width = seen


def _cell(text: str, columns: int | None) -> Text:
    """Fold what is wider than its column; None for columns that do not fold."""
    shown = clean(text)
    return Text(shown if columns is None else "\n".join(folded(shown, columns)))


def _empty_table(table: Table, shown: dict[int, int], pen: Pen) -> RichTable:
    has_titles = any(column.title for column in table.columns)
    drawn = RichTable(
        box=_ASCII_BOX if pen is ASCII else box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_header=has_titles,
    )
    for index, columns in shown.items():
        column = table.columns[index]
        drawn.add_column(
            column.title,
            style=column.style,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            min_width=columns,
        )
    return drawn
