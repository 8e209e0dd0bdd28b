"""What the engine says while it works: lines on stderr, and a moving line on a terminal."""

import logging
import shutil
import sys
from typing import TYPE_CHECKING

from vmsnap.cli.output import is_terminal
from vmsnap.cli.text import clean, width

if TYPE_CHECKING:
    from vmsnap.cli.output import Printer

log = logging.getLogger(__name__)


class StderrReporter:
    """The Reporter of a run: steps with `-v`, progress on a terminal, warnings always.

    Steps and warnings go to the log file as well. `--quiet` silences all but warnings: those tell
    of what a person has to look after, and cron should mail them.
    """

    def __init__(self, printer: "Printer", *, is_quiet: bool, is_verbose: bool) -> None:
        self._printer = printer
        self._is_verbose = is_verbose and not is_quiet
        self._is_moving = is_terminal(sys.stderr) and not is_quiet
        self._shown = 0

    def step(self, text: str) -> None:
        """Say a step that a person would name."""
        log.info("%s", text)
        self.clear()
        if self._is_verbose:
            self._printer.say(clean(text))
        elif self._is_moving:
            self._show(f"{text} ...")

    def warn(self, text: str) -> None:
        """Say something that a person should read although the work goes on."""
        log.warning("%s", text)
        self.clear()
        self._printer.remark("warning", text, "1;33")

    def progress(self, text: str, done: int, total: int) -> None:
        """Say how far a long step is; nothing without a terminal."""
        if self._is_moving:
            share = 100 * done // total if total > 0 else 100
            self._show(f"{text} {share}%")

    def clear(self) -> None:
        """Take the moving line off the terminal."""
        if self._shown:
            self._printer.say("\r" + " " * self._shown + "\r", end="")
            self._shown = 0

    def _show(self, text: str) -> None:
        self.clear()
        columns = shutil.get_terminal_size().columns - 1
        shown = clean(text)
        while shown and width(shown) > columns:
            shown = shown[:-1]
        self._printer.say(shown, end="")
        self._shown = width(shown)
