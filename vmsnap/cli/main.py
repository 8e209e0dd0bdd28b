"""The entry of the program: its arguments in, its exit status out, and the error boundary."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vmsnap import __version__
from vmsnap.cli.global_options import command_words, moved_to_front
from vmsnap.cli.monitoring import nagios
from vmsnap.cli.signals import Terminated, die_on_signals, raise_on_signals
from vmsnap.cli.terminal.answer import Answer, Line, Problem
from vmsnap.cli.terminal.output import Printer, forget_stdout, prepare_streams
from vmsnap.cli.usage import CLICK_ERROR, is_missing_verb, usage_error
from vmsnap.errors import (
    AccessError,
    OutputError,
    SignalError,
    TerminatedError,
    UsageError,
    VmsnapError,
)

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from vmsnap.cli.session import Session

_BUG = 1
_BUG_HINT = "report it with the lines above and with what the log file says of this run"

_PARTIAL_HINT = "run the command again; with the machine off, 'vmsnap recover' does the same"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one vmsnap command and return its exit status."""
    # Overlays, journals and the log are nobody else's business.
    os.umask(0o077)
    prepare_streams()
    raise_on_signals()
    return _run(sys.argv[1:] if arguments is None else arguments)


def _run(arguments: Sequence[str]) -> int:
    import typer

    from vmsnap.cli.session import Session as ThisSession

    printer = Printer()
    printer.is_json = "--json" in arguments
    session = ThisSession(printer)
    verb = ""
    try:
        root = _command_tree(arguments)
        verb = command_words(root, [word for word in arguments if not word.startswith("-")])
        front, rest = moved_to_front(root, arguments)
        verb = command_words(root, rest)
        printer.is_plugin = nagios.is_asked_for(verb, arguments)
        answer = _answer(root, front, rest, session)
    except typer.Exit as end:
        # `--help`: it was printed already.
        return end.exit_code
    except (Exception, KeyboardInterrupt, Terminated) as error:  # noqa: BLE001 - the boundary
        answer = _failure(_pasteable(error, arguments), session, verb)
        if nagios.is_asked_for(verb, arguments):
            printer.is_plugin, answer = True, nagios.unknown(answer)
    what = answer.errors[0].message if answer.errors else answer.status
    session.end(answer.exit_code, what)
    die_on_signals()
    return _finished(session, printer.answer(verb, answer))


def _finished(session: "Session", status: int) -> int:
    """Write the metrics, which never change how a run ends, and close all; return the status."""
    try:
        session.write_metrics(status)
    except Exception as error:  # noqa: BLE001 - what was done is done, whatever is told of it
        session.reporter.warn(getattr(error, "message", f"no metrics: {error!r}"))
    session.close()
    return status


def _command_tree(arguments: Sequence[str]) -> "TyperGroup":
    import typer.main
    from typer.core import TyperGroup

    from vmsnap.cli.app import app, branch

    part = branch(arguments[0]) if arguments else None
    root = typer.main.get_command(part or app)
    assert isinstance(root, TyperGroup)  # noqa: S101 - an app with verb groups is one
    if part is None and (not {"--help", "-h"}.isdisjoint(arguments) or not arguments):
        root.epilog = _root_epilog()
    return root


def _root_epilog() -> str:
    from vmsnap.cli.help_text import root_epilog
    from vmsnap.config import SYSTEM_LOG_FILE, load_settings

    try:
        path = load_settings({}, os.environ, None).log_file
    except VmsnapError:
        # Help is for those, too, whose settings are broken.
        path = SYSTEM_LOG_FILE
    return root_epilog(str(path))


def _answer(root: "TyperGroup", front: list[str], rest: list[str], session: "Session") -> Answer:
    if "--version" in front:
        return Answer({"version": __version__}, (Line(f"vmsnap {__version__}"),))
    # Not root.main(): it would end the program by itself, and hide which signal came.
    with root.make_context("vmsnap", [*front, *rest] if rest else [], obj=session) as context:
        answer = root.invoke(context)
    if not isinstance(answer, Answer):
        raise TypeError(f"the verb answered with {type(answer).__name__}")
    return answer


def _failure(error: BaseException, session: "Session", verb: str) -> Answer:
    session.settle_output()
    if is_missing_verb(error) and not session.printer.is_json:
        session.printer.page(str(error))
        return Answer({}, exit_code=UsageError.exit_code)
    if isinstance(error, BrokenPipeError) and not session.has_ports:
        # `vmsnap --help | head`: Typer prints help itself.
        forget_stdout()
        return Answer(None)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and not session.has_ports:
        forget_stdout()
        error = OutputError(f"the result cannot be written: {error.strerror}")
    found = _expected(error, session, verb)
    if found is None:
        return _bug(session)
    return Answer(
        None,
        changed=session.changed_at(error),
        exit_code=found.exit_code,
        errors=(Problem.of(found),),
    )


def _pasteable(error: BaseException, arguments: Sequence[str]) -> BaseException:
    """Give a refusal of who is not root the hint that can be pasted: the same command as root."""
    if isinstance(error, AccessError) and error.hint is None and os.geteuid() != 0:
        from vmsnap.cli.access import same_as_root

        error.hint = same_as_root(arguments)
    return error


def _expected(error: BaseException, session: "Session", verb: str) -> VmsnapError | None:
    if isinstance(error, VmsnapError):
        return error
    if isinstance(error, CLICK_ERROR):
        return usage_error(error, verb)
    if isinstance(error, KeyboardInterrupt):
        return _interrupted(SignalError, "interrupted", error, session)
    if isinstance(error, Terminated):
        return _interrupted(TerminatedError, "terminated", error, session)
    return None


def _interrupted(
    kind: type[SignalError], word: str, error: BaseException, session: "Session"
) -> SignalError:
    if getattr(error, "vmsnap_partial", False):
        return kind(f"{word}; what was begun is not finished", hint=_PARTIAL_HINT)
    changed = session.changed_at(error)
    if changed is None:
        return kind(word)
    return kind(f"{word}; {'what was begun is done' if changed else 'nothing was changed'}")


def _bug(session: "Session") -> Answer:
    import traceback

    error = sys.exception()
    assert error is not None  # noqa: S101 - called where one is handled
    text = traceback.format_exc()
    session.log_bug(text)
    session.printer.trace(text)
    message = f"this is a bug in vmsnap: {type(error).__name__}: {error}"
    return Answer(
        None,
        changed=session.changed_at(error),
        exit_code=_BUG,
        errors=(Problem("bug", message, _BUG_HINT),),
    )
