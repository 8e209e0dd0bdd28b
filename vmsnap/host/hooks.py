"""Hooks as processes: a clean environment, no shell, no descriptor of vmsnap's, a time limit."""

import logging
import os
import select
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import IO

from vmsnap.errors import HookError
from vmsnap.host.processes import has_ended_by_kill, start
from vmsnap.ports import Hook

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.1
"""How long it may take until a cancellation, or the end of the program, is seen."""
KEPT_BYTES = 64 * 1024
"""How much of the end of what a hook writes is logged."""
SHOWN_LINES = 3
_KEPT_VARIABLES = ("PATH", "HOME", "LANG")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UMASK = 0o022


class ProcessHooks:
    """The Hooks port: each hook is a process in a session of its own."""

    def __init__(self, configured: tuple[Hook, ...]) -> None:
        self.configured = configured

    def run(
        self, hook: Hook, variables: Mapping[str, str], is_cancelled: Callable[[], bool]
    ) -> None:
        """Run a hook to its end; what it writes goes to the log, the last lines to the error too.

        What it leaves running in the background is not waited for. Raises HookError;
        KeyboardInterrupt if this is cancelled.
        """
        log.info("running hook: %s", shlex.join(hook.command))
        output = _Output()
        process = _start(hook, variables)
        try:
            is_in_time = _follow(process, output, hook.timeout_seconds, is_cancelled)
        except BaseException:  # a signal, too, must not leave it running
            has_ended_by_kill(process)
            raise
        finally:
            output.log()
        if not is_in_time:
            has_ended_by_kill(process)
            message = f"did not end within {hook.timeout_seconds:g} seconds, and was killed"
            raise _failure(hook, message + output.ending())
        if process.returncode:
            raise _failure(hook, _how_it_ended(process.returncode) + output.ending())


class _Output:
    """The end of what a hook writes."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes) -> None:
        self._kept = (self._kept + data)[-KEPT_BYTES:]

    def log(self) -> None:
        for line in self._lines():
            log.info("hook: %s", line)

    def ending(self) -> str:
        """Return the last lines as the end of a sentence."""
        lines = [line.strip() for line in self._lines() if line.strip()]
        return f": {' / '.join(lines[-SHOWN_LINES:])}" if lines else ""

    def _lines(self) -> list[str]:
        return self._kept.decode(errors="backslashreplace").splitlines()


def _start(hook: Hook, variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    home = os.path.expanduser("~")  # noqa: PTH111 - it never fails
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        return start(
            hook.command,
            {"PATH": _PATH, "HOME": home, **kept, **variables},
            stderr=subprocess.STDOUT,
            umask=_UMASK,
            cwd="/",
        )
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the command.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _failure(hook, f"cannot be started: {reason}") from error


def _follow(
    process: "subprocess.Popen[bytes]",
    output: _Output,
    timeout_seconds: float,
    is_cancelled: Callable[[], bool],
) -> bool:
    """Wait for a hook to end; False if it has not when its time is up."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    until = time.monotonic() + timeout_seconds
    with process.stdout as pipe:
        while True:
            if is_cancelled():
                raise KeyboardInterrupt
            # Looked at before the pipe is read, so that nothing it wrote is missed.
            has_ended = process.poll() is not None
            is_open = _read(pipe, output, 0 if has_ended else SLICE_SECONDS)
            if has_ended:
                return True
            if time.monotonic() >= until:
                return False
            if not is_open:
                _wait(process)


def _read(pipe: IO[bytes], output: _Output, seconds: float) -> bool:
    """Read what there is, or comes within some time; False if no more can come."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    if not poller.poll(seconds * 1000):
        return True
    data = os.read(pipe.fileno(), KEPT_BYTES)
    output.add(data)
    return bool(data)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(SLICE_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _how_it_ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"


def _failure(hook: Hook, what: str) -> HookError:
    return HookError(f"hook '{hook.command[0]}' {what}")
