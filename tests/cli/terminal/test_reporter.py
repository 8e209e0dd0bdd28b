"""What the engine says while it works."""

import pytest

from vmsnap.cli.terminal.output import Printer
from vmsnap.cli.terminal.reporter import StderrReporter


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
    bar = "[======>             ] 33%, 1 B of 3 B  merging"
    assert bar in screen.shown
    assert f"\r{' ' * len(bar + '^C')}\rwarning: the disk is nearly full" in screen.shown


def test_the_moving_line_never_wraps(terminal):
    with terminal("stderr") as screen:
        StderrReporter(Printer(), is_quiet=False, is_verbose=False).step("网" * 100)
    assert len(screen.shown) == 38


def test_quiet_moves_nothing_on_a_terminal(terminal):
    with terminal("stderr") as screen:
        reporter = StderrReporter(Printer(), is_quiet=True, is_verbose=False)
        reporter.step("copying")
        reporter.progress("merging", 1, 3)
    assert screen.shown == ""


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self):
        return self.now


def follow(reporter, clock):
    """Tell of a merge of 64 MiB that takes 32 s, and then of the next one."""
    for second in range(33):
        clock.now = 100.0 + second
        reporter.progress("merging", second * 2 << 20, 64 << 20)
    reporter.progress("merging the next", 0, 1 << 20)


def test_without_a_terminal_a_line_is_said_every_ten_seconds(capsys):
    clock = Clock()
    follow(StderrReporter(Printer(), is_quiet=False, is_verbose=False, clock=clock), clock)
    assert capsys.readouterr().err.splitlines() == [
        "merging: 31%, 20 MiB of 64 MiB, 2 MiB/s, 22 s left",
        "merging: 62%, 40 MiB of 64 MiB, 2 MiB/s, 12 s left",
        "merging: 93%, 60 MiB of 64 MiB, 2 MiB/s, 2.0 s left",
    ]


@pytest.mark.parametrize(("is_quiet", "is_json"), [(True, False), (False, True)])
def test_quiet_and_json_say_no_progress(is_quiet, is_json, capsys):
    clock, printer = Clock(), Printer()
    printer.is_json = is_json
    follow(StderrReporter(printer, is_quiet=is_quiet, is_verbose=False, clock=clock), clock)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_moves(terminal):
    clock = Clock()
    with terminal("stderr") as screen:
        follow(StderrReporter(Printer(), is_quiet=False, is_verbose=False, clock=clock), clock)
    assert "[==========>         ] 50%, 32 MiB of 64 MiB, 2 MiB/s, 16 s left" in screen.shown
    assert "[====================] 100%, 64 MiB of 64 MiB, 2 MiB/s, 0.0 s left" in screen.shown
