"""A qemu-img that waits before it does one of its commands, until it is told to go on."""

import os
import shutil
import time
from pathlib import Path

SCRIPT = """#!/bin/sh
if [ "$1" = {command} ]; then
    touch {begun}
    read -r go <{gate}
fi
exec {real} "$@"
"""


class SlowQemuImg:
    """Put `path` into the environment of a process, and each `command` waits for `go_on`."""

    def __init__(self, folder: Path, command: str) -> None:
        self._begun, self._gate = folder / "begun", folder / "gate"
        os.mkfifo(self._gate)
        program = folder / "qemu-img"
        program.write_text(
            SCRIPT.format(
                command=command, begun=self._begun, gate=self._gate, real=shutil.which("qemu-img")
            )
        )
        program.chmod(0o755)
        self.path = f"{folder}:{os.environ['PATH']}"

    def wait_until_begun(self, limit_seconds: float = 60) -> None:
        """Return when the command has been called."""
        until = time.monotonic() + limit_seconds
        while not self._begun.exists():
            assert time.monotonic() < until
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let the command that waits, and all later ones, do their work."""
        gate = os.open(self._gate, os.O_RDWR)
        os.write(gate, b"go on\n" * 100)
        self._gate.rename(self._gate.with_name("open"))
        self._gate.write_text("go on\n")
        os.close(gate)
