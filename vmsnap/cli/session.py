"""One run of vmsnap: its settings, its ports, its log; what all verbs get from Typer's context."""

import gc
import logging
import os
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from vmsnap.cli.need import Need
from vmsnap.cli.terminal.output import Printer
from vmsnap.cli.terminal.reporter import StderrReporter
from vmsnap.errors import ConfigError, LeftChangedError, VmsnapError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import typer

    from vmsnap.cli.wiring import Wiring
    from vmsnap.config import Settings
    from vmsnap.ports import Ports

log = logging.getLogger(__name__)
_NOTHING_TO_LOOK_AT = frozenset({10, 20, 22, 130, 143})
"""After such an end domains are not looked at: it would only be waited for again, or not wanted."""
# Without a handler Python would print warnings to stderr, beside the reporter's.
logging.getLogger("vmsnap").addHandler(logging.NullHandler())


class Session:
    """What was asked for globally, and what is made of it when a verb first needs it."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.command_line: dict[str, object] = {}
        """Global options that were typed, by their key in config.toml."""
        self.config_file: Path | None = None
        self.is_upgrading = False
        self._tolerates_faults = False
        self._wirings: list[Wiring] = []
        self._log: logging.Handler | None = None
        self._verb = ""
        self._started = time.monotonic()

    @cached_property
    def settings(self) -> "Settings":
        """The settings of this run. Raises ConfigError if they cannot be used."""
        from vmsnap.config import load_settings

        settings = load_settings(
            self.command_line,
            os.environ,
            self.config_file,
            tolerates_faults=self._tolerates_faults,
        )
        self.printer.is_json = settings.json
        self.printer.is_quiet = settings.quiet
        return settings

    def tolerate_faults(self) -> None:
        """Only warn of faults in config files that a verb which mends can do without.

        To be called before the settings are used. Raises ConfigError for all other faults.
        """
        self._tolerates_faults = True
        for fault in self.settings.faults:
            meant = f" ({fault.hint})" if fault.hint is not None else ""
            self.reporter.warn(f"{fault.message}{meant}; other verbs refuse until it is mended")

    @cached_property
    def reporter(self) -> StderrReporter:
        """Where the engine says what it does."""
        settings = self.settings
        return StderrReporter(self.printer, is_quiet=settings.quiet, is_verbose=settings.verbose)

    def ports(self) -> "Ports":
        """Build what a reading verb or a dry run uses; a missing database counts as empty."""
        return self._wire(Need.READ)

    def ports_without_database(self) -> "Ports":
        """Build what can be used while the database cannot be opened; it counts as empty."""
        return self._wire(Need.NOTHING)

    def require_access(self, *, is_changing: bool = False) -> None:
        """Refuse who may not use what is kept of the system's libvirt. Raises AccessError."""
        from vmsnap.cli.access import require_access

        require_access(self.settings, is_changing=is_changing)

    def changing_ports(self, context: "typer.Context", *, create: bool = False) -> "Ports":
        """Open the log and build what a changing verb uses; `create` makes a missing database."""
        self.begin_change(context)
        return self._wire(Need.MAKE if create else Need.WRITE)

    def _wire(self, need: Need) -> "Ports":
        from vmsnap.cli.deferred import defer

        self.require_access()
        # SQLAlchemy looks for drivers of others with it, and 13 ms pass before it can.
        defer("importlib.metadata")
        try:
            from vmsnap.cli.wiring import Wiring
        except ModuleNotFoundError as error:
            if error.name != "libvirt":
                raise
            message = "libvirt's binding for Python is not installed"
            raise ConfigError(message, hint="apt install python3-libvirt") from error
        self._wirings.append(Wiring(self.settings, self.reporter, need))
        if not gc.isenabled():
            # All that is large was imported by now, and stays: see entry.py.
            gc.freeze()
            gc.enable()
        return self._wirings[-1].ports

    @contextmanager
    def more_ports(self) -> "Iterator[Ports]":
        """Build ports for one of several domains, beside those that were built last for the verb.

        For the length of a `with` block, in a thread of its own.
        """
        wiring = next(item for item in reversed(self._wirings) if not item.is_beside).beside()
        self._wirings.append(wiring)
        try:
            yield wiring.ports
        finally:
            wiring.close()

    @property
    def has_ports(self) -> bool:
        """Whether a verb has begun to look at the host."""
        return bool(self._wirings)

    def changed_at(self, error: BaseException) -> bool | None:
        """Tell whether a run that ended by `error` changed anything; None if nobody knows."""
        for name in ("changed", "vmsnap_changed"):
            said = getattr(error, name, None)
            if isinstance(said, bool):
                return said
        if isinstance(error, VmsnapError):
            return isinstance(error, LeftChangedError)
        has_begun = any(wiring.has_begun for wiring in self._wirings)
        if has_begun and not isinstance(error, Exception):
            # A signal that broke into an operation says itself what became of it; this one came
            # when one was done, or broke into the settlement of an earlier one.
            return True
        return None if has_begun or self.is_upgrading else False

    def begin_change(self, context: "typer.Context") -> None:
        """Append to the log file that a changing verb begins; without the file only warn."""
        from vmsnap.cli.log_file import open_log

        if self._log is not None:
            return
        self.require_access(is_changing=True)
        self._verb = context.command_path.removeprefix("vmsnap ")
        path = self.settings.log_file
        try:
            self._log = open_log(path)
        except OSError as error:
            self.reporter.warn(f"this run is not logged: '{path}': {error.strerror}")
        # A verb's own options hold no secrets; the global ones, with the database URL, are not
        # among them.
        asked = " ".join(f"{key}={value!r}" for key, value in context.params.items() if value)
        log.info("start: %s uid=%d %s", self._verb, os.getuid(), asked)

    def settle_output(self) -> None:
        """Find out, after a failure, whether JSON is wanted: the settings may not be loaded yet."""
        if os.environ.get("VMSNAP_JSON", "").lower() in {"1", "true", "yes", "on"}:
            self.printer.is_json = True
        was_json = self.printer.is_json
        with suppress(VmsnapError):
            _ = self.settings
        self.printer.is_json = self.printer.is_json or was_json

    def log_bug(self, text: str) -> None:
        """Append a traceback to the log file, also for a verb that changes nothing."""
        from vmsnap.cli.log_file import open_log

        if self._log is None and "settings" in self.__dict__:
            with suppress(OSError):
                self._log = open_log(self.settings.log_file)
        for line in text.splitlines():
            log.error("%s", line)

    def end(self, exit_code: int, what: str) -> None:
        """Clear the terminal's moving line, and append to the log file how the run ended."""
        if "reporter" in self.__dict__:
            self.reporter.clear()
        while self._wirings:
            with suppress(VmsnapError):
                self._wirings.pop().close()
        if self._log is None:
            return
        seconds = time.monotonic() - self._started
        log.info("end: %s status=%d seconds=%.1f %s", self._verb, exit_code, seconds, what)

    def write_metrics(self, exit_code: int) -> None:
        """Tell Prometheus how a changing run ended, and how all domains stand now.

        Raises ConfigError if the file cannot be written. Where the figures cannot be had, or the
        run failed to get them itself, those in the file stay, and the run is told all the same.
        """
        if not self._verb or self.settings.metrics_file is None:
            return
        from vmsnap.cli.monitoring import metrics
        from vmsnap.cli.monitoring.metric_families import EndedRun

        run = EndedRun(self._verb, exit_code, datetime.now(UTC))
        collected, failure = None, None
        # With faulty settings domains would be judged by other limits.
        if exit_code not in _NOTHING_TO_LOOK_AT and not self.settings.faults:
            try:
                collected = metrics.collect_all(self.ports(), self.settings.for_domain)
            except VmsnapError as error:
                failure = error
        metrics.write(
            self.settings.metrics_file, collected, run=run, has_failed=failure is not None
        )
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Close what is still open: the database and the log file."""
        from vmsnap.cli.log_file import close_log

        while self._wirings:
            with suppress(VmsnapError):
                self._wirings.pop().close()
        if self._log is not None:
            close_log(self._log)
            self._log = None
