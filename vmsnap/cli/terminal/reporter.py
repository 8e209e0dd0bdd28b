"""What the engine says while it works: lines on stderr, and a moving line on a terminal."""

import logging
import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vmsnap.cli.terminal.output import is_terminal
from vmsnap.cli.terminal.progress import Meter
from vmsnap.cli.terminal.text import clean, width

if TYPE_CHECKING:
    from vmsnap.cli.terminal.output import Printer

log = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 10.0
_MOVE_EVERY_SECONDS = 0.1
_TYPED_COLUMNS = len("^C")
"""What a terminal shows of Ctrl-C behind the moving line; it must neither wrap it nor stay."""


class StderrReporter:
    """The Reporter of a run: steps with `-v`, progress, warnings always.

    Progress is a moving bar on a terminal, else a line now and then, but none with `--json`. Steps
    and warnings go to the log file as well. `--quiet` silences all but warnings: those tell of what
    a person has to look after, and cron should mail them.
    """

    def __init__(
        self,
        printer: "Printer",
        *,
        is_quiet: bool,
        is_verbose: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._printer = printer
        self._is_quiet = is_quiet
        self._clock = clock
        self._meters: dict[str, tuple[Meter, float]] = {}
        """For each long step its meter, and when it was shown last."""
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
        self._printer.warning(text)

    def progress(self, text: str, done: int, total: int) -> None:
        """Say how far a long step is, in bytes: at once on a terminal, else every 10 s."""
        now = self._clock()
        pause = _MOVE_EVERY_SECONDS if self._is_moving else _LINE_EVERY_SECONDS
        first_shown = -math.inf if self._is_moving else now
        meter, shown = self._meters.get(text, (Meter(), first_shown))
        meter.update(now, done, total)
        is_due = now - shown >= pause
        self._meters[text] = (meter, now if is_due else shown)
        if not is_due or self._is_quiet:
            return
        if self._is_moving:
            self._show(f"{meter.bar()} {meter.words()}  {text}")
        elif not self._printer.is_json:
            self._printer.say(clean(f"{text}: {meter.words()}"))

    def clear(self) -> None:
        """Take the moving line off the terminal."""
        if self._shown:
            blanks = " " * (self._shown + _TYPED_COLUMNS)
            self._printer.say(f"\r{blanks}\r", end="")
            self._shown = 0

    def _show(self, text: str) -> None:
        self.clear()
        columns = shutil.get_terminal_size().columns - 1 - _TYPED_COLUMNS
        shown = clean(text)
        while shown and width(shown) > columns:
            shown = shown[:-1]
        self._printer.say(shown, end="")
        self._shown = width(shown)
