"""Questions before something is lost: asked on a terminal, answered by `--yes`, else refused."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.output import is_terminal
from vmsnap.cli.terminal.text import clean
from vmsnap.errors import QuestionError

if TYPE_CHECKING:
    from vmsnap.cli.terminal.output import Printer


def pasteable(verb: str, *names: str, options: Sequence[str] = ()) -> str:
    """Write a vmsnap command so that it can be pasted into a shell, whatever the names are."""
    if any(name.startswith("-") for name in names):
        return shlex.join(("vmsnap", *verb.split(), *options, "--", *names))
    return shlex.join(("vmsnap", *verb.split(), *names, *options))


def require_terminal(command_line: str) -> None:
    """Refuse, before anything is changed, if a question could not be asked.

    Raises QuestionError whose hint is `command_line`, the same command with `--yes`.
    """
    if not can_ask():
        raise QuestionError(
            "this needs a confirmation, and there is no terminal to ask on", hint=command_line
        )


def confirm(printer: "Printer", losses: Iterable[str], question: str) -> None:
    """Say on stderr what will be lost, and ask; anything but a yes raises QuestionError."""
    if not is_yes(printer, losses, question):
        raise QuestionError("not confirmed; nothing was changed")


def can_ask() -> bool:
    """Tell whether there is a terminal to ask on."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def is_yes(printer: "Printer", losses: Iterable[str], question: str) -> bool:
    """Say on stderr what will be lost, and ask; tell whether the answer was a yes."""
    for line in losses:
        printer.sentence(line)
    printer.say(f"{clean(question)} [y/N] ", end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        printer.say("")
    return answer.strip().lower() in {"y", "yes"}
