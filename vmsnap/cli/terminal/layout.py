"""Which columns of a table a terminal has room for, and how wide each is."""

from vmsnap.cli.terminal.answer import Table
from vmsnap.cli.terminal.text import clean, width

GAP = 2
"""Blanks between two columns."""
_LEAST = 12
"""No column that folds gets narrower, nor than its title."""
_USUAL = 24
"""What a column that folds gets in any case before others make room for it."""
_SHARE_OF_USUAL_CELLS = 0.8


def laid_out(table: Table, columns: int) -> dict[int, int]:
    """Choose the columns of a table that a terminal shows, by their index, with their widths.

    Where not all fits, at first only the longest cells of columns that fold are folded, so that one
    odd name does not cost all others a column. Then columns go by their `spare`, the highest first.
    Then those that fold get narrower. What is too wide even so reaches over the edge.
    """
    natural = [_cell_widths(table, index) for index in range(len(table.columns))]
    widest = {index: cells[-1] for index, cells in enumerate(natural)}
    if _total(widest) <= columns:
        return widest
    shown = {
        index: _usual(cells) if table.columns[index].folds else cells[-1]
        for index, cells in enumerate(natural)
    }
    _leave_out(table, shown, columns)
    _narrow(table, shown, columns)
    _widen(widest, shown, columns)
    return shown


def _cell_widths(table: Table, index: int) -> list[int]:
    return sorted(
        (
            width(table.columns[index].title),
            *(width(clean(row[index])) for row in table.rows),
        )
    )


def _usual(widths: list[int]) -> int:
    """Return the width of all but the longest cells, or what a column gets in any case."""
    usual = widths[int((len(widths) - 1) * _SHARE_OF_USUAL_CELLS)]
    return min(widths[-1], max(usual, _USUAL))


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _leave_out(table: Table, shown: dict[int, int], columns: int) -> None:
    spare = sorted(shown, key=lambda index: -table.columns[index].spare)
    for index in spare:
        if _total(shown) <= columns:
            return
        if table.columns[index].spare:
            del shown[index]


def _narrow(table: Table, shown: dict[int, int], columns: int) -> None:
    """Take columns off the widest that fold, evenly, until all fits or none can give more."""
    least = {
        index: max(_LEAST, width(table.columns[index].title))
        for index in shown
        if table.columns[index].folds
    }
    for _ in range(_total(shown) - columns):
        giving = [index for index, floor in least.items() if shown[index] > floor]
        if not giving:
            return
        shown[max(giving, key=lambda index: shown[index])] -= 1


def _widen(widest: dict[int, int], shown: dict[int, int], columns: int) -> None:
    """Give what is left to columns whose longest cells would be folded."""
    for index, had in shown.items():
        left = max(columns - _total(shown), 0)
        shown[index] = min(widest[index], had + left)
