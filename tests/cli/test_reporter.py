"""What the engine says while it works."""

import pytest

from vmsnap.cli.output import Printer
from vmsnap.cli.reporter import StderrReporter


def report(reporter):
    reporter.step("copying \x1b the disk")
    reporter.progress("merging", 1, 3)
    reporter.warn("the disk is nearly full")
    reporter.clear()


@pytest.mark.parametrize(
    ("is_quiet", "is_verbose", "shown"),
    [
        (False, False, "warning: the disk is nearly full\n"),
        (True, False, "warning: the disk is nearly full\n"),
        (True, True, "warning: the disk is nearly full\n"),
        (False, True, "copying \\x1b the disk\nwarning: the disk is nearly full\n"),
    ],
)
def test_without_a_terminal_there_is_no_progress(is_quiet, is_verbose, shown, capsys):
    report(StderrReporter(Printer(), is_quiet=is_quiet, is_verbose=is_verbose))
    assert capsys.readouterr() == ("", shown)


def test_on_a_terminal_the_moving_line_is_cleared_before_anything_else(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal("stderr") as screen:
        report(StderrReporter(Printer(), is_quiet=False, is_verbose=False))
    assert "merging 33%\r" in screen.shown
    assert "\r           \rwarning: the disk is nearly full" in screen.shown


def test_the_moving_line_never_wraps(terminal):
    with terminal("stderr") as screen:
        StderrReporter(Printer(), is_quiet=False, is_verbose=False).step("网" * 100)
    assert len(screen.shown) == 39


def test_quiet_moves_nothing_on_a_terminal(terminal):
    with terminal("stderr") as screen:
        reporter = StderrReporter(Printer(), is_quiet=True, is_verbose=False)
        reporter.step("copying")
        reporter.progress("merging", 1, 3)
    assert screen.shown == ""
