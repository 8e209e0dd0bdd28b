"""The one printer: results to stdout as text or as one JSON document, all else to stderr."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from vmsnap.cli.answer import Answer, Block, Branch, Line, Problem, Table
from vmsnap.cli.text import clean, width
from vmsnap.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

_TERMINAL_GUIDES = ("├── ", "└── ", "│   ", "    ")
# Rich draws a blank, a place for a line and a blank between two columns.
_GAP = 3
_PLAIN_GUIDES = ("|-- ", "`-- ", "|   ", "    ")


def prepare_streams() -> None:
    """Let every text be printed under every locale: what it cannot encode is escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class Printer:
    """Print answers, errors and remarks, for people or for scripts."""

    def __init__(self) -> None:
        self.is_json = False
        self.is_quiet = False

    def answer(self, command: str, answer: Answer) -> int:
        """Print a verb's answer and return the exit status.

        A reader that has gone (`| head`) ends the output quietly. OutputError's status if stdout
        cannot be written for another reason, for instance a full disk.
        """
        try:
            if self.is_json:
                _write(sys.stdout, _envelope(command, answer))
            elif not (self.is_quiet and answer.is_news):
                _print_blocks(answer.blocks)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            forget_stdout()
        except OSError as error:
            forget_stdout()
            failure = OutputError(f"the result cannot be written: {error.strerror}")
            self.problem(Problem.of(failure))
            return answer.exit_code or failure.exit_code
        if not self.is_json:
            self._say_the_rest(answer)
        return answer.exit_code

    def _say_the_rest(self, answer: Answer) -> None:
        for problem in () if answer.is_told else answer.errors:
            self.problem(problem)
        if self.is_quiet:
            return
        if answer.note is not None:
            self.say(clean(answer.note))
        if answer.hint is not None:
            self.remark("hint", answer.hint)

    def problem(self, problem: Problem) -> None:
        """Print `error: ...` and, if there is one, `hint: ...` on stderr."""
        self.remark("error", problem.message, "1;31")
        if problem.hint is not None:
            self.remark("hint", problem.hint)

    def remark(self, label: str, text: str, colour: str = "1") -> None:
        """Print one labelled line on stderr."""
        shown = f"\x1b[{colour}m{label}:\x1b[0m" if has_colour(sys.stderr) else f"{label}:"
        self.say(f"{shown} {clean(text)}")

    def say(self, text: str, *, end: str = "\n") -> None:
        """Print text on stderr as it is; a stderr that has gone is no reason to fail."""
        try:
            _write(sys.stderr, text + end)
        except OSError:
            return

    def trace(self, text: str) -> None:
        """Print the traceback of a bug on stderr, line by line and escaped."""
        for line in text.splitlines():
            self.say(clean(line))

    def page(self, text: str) -> None:
        """Print a text that stands alone, such as the version, on stdout."""
        try:
            _write(sys.stdout, text + "\n")
        except BrokenPipeError:
            forget_stdout()


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a standard stream is a terminal; one that was closed is none."""
    return stream is not None and not stream.closed and stream.isatty()


def has_colour(stream: TextIO | None) -> bool:
    """Tell whether colours are wanted on a stream: a terminal, and no NO_COLOR."""
    is_dumb = os.environ.get("TERM", "") in {"dumb", "unknown"}
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and not is_dumb


def _write(stream: TextIO | None, text: str) -> None:
    # None: the caller closed it (`>&-`).
    if stream is not None:
        stream.write(text)
        stream.flush()


def forget_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit does not fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _envelope(command: str, answer: Answer) -> str:
    import json

    document = {
        "vmsnap": 1,
        "command": command,
        "status": answer.status,
        "exit_code": answer.exit_code,
        "changed": answer.changed,
        "data": answer.data,
        "errors": [
            {"code": problem.code, "message": problem.message, "hint": problem.hint}
            for problem in answer.errors
        ],
    }
    return json.dumps(document) + "\n"


def _print_blocks(blocks: Sequence[Block]) -> None:
    if not is_terminal(sys.stdout):
        _write(sys.stdout, "".join(f"{line}\n" for line in _plain_lines(blocks)))
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for block in blocks:
        _draw(console, block)


def _plain_lines(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Table):
            yield from _plain_table(block)
        elif isinstance(block, Branch):
            yield from (line.text for line in _tree_lines(block, _PLAIN_GUIDES))
        else:
            yield clean(block.text)


def _plain_table(table: Table) -> Iterator[str]:
    titles = tuple(column.title for column in table.columns)
    rows = [titles, *(tuple(clean(cell) for cell in row) for row in table.rows)]
    widths = [max(width(row[index]) for row in rows) for index in range(len(titles))]
    for row in rows:
        cells = [
            _padded(cell, widths[index], is_right=table.columns[index].is_number)
            for index, cell in enumerate(row)
        ]
        yield "  ".join(cells).rstrip()


def _padded(cell: str, columns: int, *, is_right: bool) -> str:
    space = " " * (columns - width(cell))
    return space + cell if is_right else cell + space


def _tree_lines(
    branch: Branch, guides: tuple[str, str, str, str], lead: str = "", below: str = ""
) -> Iterator[Line]:
    middle, last, through, blank = guides
    yield Line(lead + clean(branch.text), branch.style)
    for child in branch.children:
        is_last = child is branch.children[-1]
        yield from _tree_lines(
            child,
            guides,
            below + (last if is_last else middle),
            below + (blank if is_last else through),
        )


def _draw(console: "Console", block: Block) -> None:
    from rich.text import Text

    if isinstance(block, Table):
        _draw_table(console, block)
        return
    lines = [Line(clean(block.text), block.style)] if isinstance(block, Line) else []
    if isinstance(block, Branch):
        is_ascii = console.options.ascii_only
        lines = list(_tree_lines(block, _PLAIN_GUIDES if is_ascii else _TERMINAL_GUIDES))
    for line in lines:
        console.print(Text(line.text, style=line.style), soft_wrap=True)


def _draw_table(console: "Console", table: Table) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = _shown_columns(table, console.width)
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index in shown:
        column = table.columns[index]
        drawn.add_column(
            column.title,
            style=column.style,
            justify="right" if column.is_number else "left",
            no_wrap=True,
        )
    for row in table.rows:
        drawn.add_row(*(Text(clean(row[index])) for index in shown))
    # Over the edge rather than folded or cut: what is copied has to name the same thing.
    seen = console.width
    console.width = max(seen, sum(_column_width(table, index) + _GAP for index in shown))
    console.print(drawn)
    console.width = seen


def _shown_columns(table: Table, columns: int) -> list[int]:
    """Choose by their `spare` the columns that fit on a terminal, and those that must be shown."""
    shown = list(range(len(table.columns)))
    spare = sorted(shown, key=lambda index: -table.columns[index].spare)
    for index in spare:
        if sum(_column_width(table, kept) + _GAP for kept in shown) - _GAP <= columns:
            break
        if table.columns[index].spare:
            shown.remove(index)
    return shown


def _column_width(table: Table, index: int) -> int:
    cells = (table.columns[index].title, *(clean(row[index]) for row in table.rows))
    return max(width(cell) for cell in cells)
