"""The one printer: results to stdout as text or as one JSON document, all else to stderr."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from vmsnap.cli.terminal.answer import Answer, Block, Branch, Graph, Problem, Table
from vmsnap.cli.terminal.drawing import ASCII, branch_lines, line_lines, table_of
from vmsnap.cli.terminal.folding import wrapped
from vmsnap.cli.terminal.layout import GAP
from vmsnap.cli.terminal.text import clean, width
from vmsnap.errors import OutputError

_INCOMPLETE = 3
_RED = "1;31"
_YELLOW = "1;33"


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
        self.is_plugin = False
        """One line on stdout is all that may be said."""
        self.warnings: list[str] = []
        """All that was warned of, for the document."""

    def answer(self, command: str, answer: Answer) -> int:
        """Print a verb's answer and return the exit status.

        A reader that has gone (`| head`) ends the output quietly. If stdout cannot be written for
        another reason, for instance a full disk, the status is not 0 any more: OutputError's where
        nothing was changed, else that of what is incomplete, for what was done is done.
        """
        try:
            if self.is_json and not self.is_plugin:
                _write(sys.stdout, _envelope(command, answer, self.warnings))
            elif not (self.is_quiet and answer.is_news):
                _print_blocks(answer.blocks)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            forget_stdout()
        except OSError as error:
            forget_stdout()
            return self._unwritten(answer, f"the result cannot be written: {error.strerror}")
        if not self.is_json:
            self._say_the_rest(answer)
        return answer.exit_code

    def _unwritten(self, answer: Answer, message: str) -> int:
        """Say on stderr what stdout did not take: what failed, and that the rest is done."""
        for problem in answer.errors:
            self.problem(problem)
        is_done = answer.changed is not False
        if is_done and not answer.exit_code:
            message += "; the operation itself is done"
        self.problem(Problem.of(OutputError(message)))
        return answer.exit_code or (_INCOMPLETE if is_done else OutputError.exit_code)

    def _say_the_rest(self, answer: Answer) -> None:
        is_shown = not (self.is_quiet and answer.is_news)
        for problem in answer.errors:
            if problem.is_aside or not (answer.is_told and is_shown):
                self.problem(problem)
        if self.is_quiet:
            return
        if answer.note is not None:
            self.say(clean(answer.note))
        if answer.hint is not None:
            self.remark("hint", answer.hint)

    def problem(self, problem: Problem) -> None:
        """Print `error: ...` and, unless it is to be quiet, `hint: ...` on stderr."""
        if problem.is_aside:
            self.remark("warning", problem.message, _YELLOW)
        else:
            self.remark("error", problem.message, _RED)
        if problem.hint is not None and not self.is_quiet:
            self.remark("hint", problem.hint)

    def warning(self, text: str) -> None:
        """Print `warning: ...` on stderr, and keep it for the document."""
        self.warnings.append(text)
        self.remark("warning", text, _YELLOW)

    def remark(self, label: str, text: str, colour: str = "1") -> None:
        """Print one labelled line on stderr; a hint is left as it is, to be copied."""
        shown = f"\x1b[{colour}m{label}:\x1b[0m" if has_colour(sys.stderr) else f"{label}:"
        if label == "hint":
            self.say(f"{shown} {clean(text)}")
            return
        indent = len(label) + len(": ")
        first, *others = _broken(text, indent)
        self.say("\n".join([f"{shown} {first}", *(" " * indent + line for line in others)]))

    def sentence(self, text: str) -> None:
        """Print a sentence on stderr; on a terminal its further lines hang below its beginning."""
        indent = len(text) - len(text.lstrip(" "))
        for line in _broken(text[indent:], indent):
            self.say(" " * indent + line)

    def say(self, text: str, *, end: str = "\n") -> None:
        """Print text on stderr as it is; a stderr that has gone is no reason to fail."""
        try:
            _write(sys.stderr, text + end)
        except OSError:
            return

    def trace(self, text: str) -> None:
        """Print the traceback of a bug on stderr, line by line and escaped."""
        for line in () if self.is_plugin else text.splitlines():
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


def _broken(text: str, indent: int) -> tuple[str, ...]:
    """Break a text for stderr between words if that is a terminal, behind so many blanks."""
    shown = clean(text)
    if not is_terminal(sys.stderr):
        return (shown,)
    columns = shutil.get_terminal_size().columns
    return wrapped(shown, max(columns - indent, 1))


def forget_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit does not fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _envelope(command: str, answer: Answer, warnings: Sequence[str]) -> str:
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
        "warnings": list(warnings),
    }
    return json.dumps(document) + "\n"


def _print_blocks(blocks: Sequence[Block]) -> None:
    if is_terminal(sys.stdout):
        from vmsnap.cli.terminal.screen import draw

        draw(blocks)
        return
    _write(sys.stdout, "".join(f"{line}\n" for line in _plain_lines(blocks)))


def _plain_lines(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Table):
            yield from _plain_table(block)
        elif isinstance(block, Graph):
            yield from _plain_table(table_of(block, ASCII))
        elif isinstance(block, Branch):
            yield from (line.text for line in branch_lines(block, ASCII, None))
        else:
            yield from (line.text for line in line_lines(block, None))


def _plain_table(table: Table) -> Iterator[str]:
    titles = tuple(column.title for column in table.columns)
    rows = [tuple(clean(cell) for cell in row) for row in table.rows]
    rows = [titles, *rows] if any(titles) else rows
    widths = [max((width(row[index]) for row in rows), default=0) for index in range(len(titles))]
    for row in rows:
        cells = [
            _padded(cell, widths[index], is_right=table.columns[index].is_number)
            for index, cell in enumerate(row)
        ]
        yield (" " * GAP).join(cells).rstrip()


def _padded(cell: str, columns: int, *, is_right: bool) -> str:
    space = " " * (columns - width(cell))
    return space + cell if is_right else cell + space
