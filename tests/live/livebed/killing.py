"""Runs of vmsnap that are ended by a signal, at a chosen call or at any time."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FORKING = Path(__file__).with_name("forking.py")


@dataclass(frozen=True)
class At:
    """Where a run is ended: behind its `number`-th call or step, or before its fsync.

    `with_children`: what it has started is ended too, as when a service is stopped.
    """

    kind: str
    number: int
    with_children: bool = False


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status (negative: by that signal), its streams, its changing calls.

    `steps` are what it did and undid of its journal's steps, and the journal's own changes;
    `fsyncs` those of its own and of its children, if they were to be seen.
    """

    status: int
    stdout: str
    stderr: str
    calls: tuple[str, ...]
    seconds: float
    steps: tuple[str, ...] = ()
    fsyncs: tuple[str, ...] = ()

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by SIGKILL."""
        return self.status == -signal.SIGKILL

    @property
    def document(self) -> Mapping[str, Any]:
        """Return its JSON document."""
        found: Mapping[str, Any] = json.loads(self.stdout)
        return found


class Runner:
    """Runs vmsnap's command line in processes forked from one that has imported it.

    A run is a process of its own with vmsnap's real `main`, so a signal ends it as it would end
    any; only Python's start is saved. `without` names a step, as in "undo switch_disks", that then
    does nothing: a fault to be found.
    """

    def __init__(self, database: str, *, without: str = "") -> None:
        self.database = database
        self._without = without
        self._pid = 0
        self._begin = 0.0
        self._environment = {"VMSNAP_DATABASE": database, "NO_COLOR": "1"}
        self._folder = Path(tempfile.mkdtemp(prefix="vmsnap-test-"))
        self._server = subprocess.Popen(
            # -P: a module of this folder must not be taken for one of Python's own.
            [sys.executable, "-P", str(FORKING)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)
        shutil.rmtree(self._folder)

    def __call__(
        self,
        *arguments: str,
        at: int | At | None = None,
        number: int = signal.SIGKILL,
        after_seconds: float | None = None,
        status: int | None = None,
        sees_fsyncs: bool = False,
    ) -> Ended:
        """Run a command with `--json`; fail unless it ends with `status` (None: any).

        The signal `number` is sent to it after its `at`-th changing call, or at another moment, or
        after so many seconds. Before an fsync it is SIGKILL always.
        """
        self.start(*arguments, at=at, number=number, sees_fsyncs=sees_fsyncs)
        timer = None
        if after_seconds is not None:
            timer = threading.Timer(after_seconds, self.kill, (number,))
            timer.start()
        result = self.end()
        if timer is not None:
            timer.cancel()
            timer.join()
        assert status is None or result.status == status, (
            f"vmsnap {' '.join(arguments)} ended with {result.status}, not {status}\n"
            f"{result.stdout}{result.stderr}"
        )
        return result

    def start(
        self,
        *arguments: str,
        at: int | At | None = None,
        number: int = signal.SIGKILL,
        sees_fsyncs: bool = False,
    ) -> None:
        """Start a command; `end` waits for it."""
        where = At("call", at) if isinstance(at, int) else at
        order = {
            "arguments": [*arguments, "--json"],
            "environment": self._environment,
            "folder": str(self._folder),
            "at": where.number if where else None,
            "kind": where.kind if where else "",
            "with_children": where is not None and where.with_children,
            "sees_fsyncs": sees_fsyncs or (where is not None and where.kind == "fsync"),
            "signal": number,
            "without": self._without,
        }
        for name in ("calls", "steps", "fsyncs"):
            (self._folder / name).write_bytes(b"")
        self._begin = time.monotonic()
        assert self._server.stdin is not None
        self._server.stdin.write(f"{json.dumps(order)}\n")
        self._server.stdin.flush()
        self._pid = self._answer()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the command that was started; nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def state(self) -> str:
        """Return the letter of the started command's state, as in /proc; "" if it has ended."""
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0]
        return ""

    def end(self) -> Ended:
        """Wait for the command that was started."""
        return Ended(
            self._answer(),
            self._read("stdout"),
            self._read("stderr"),
            tuple(self._read("calls").splitlines()),
            time.monotonic() - self._begin,
            tuple(self._read("steps").splitlines()),
            tuple(self._read("fsyncs").splitlines()),
        )

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text()
