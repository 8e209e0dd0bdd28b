"""The real vmsnap command, run as an administrator runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What one run of vmsnap gave: its status, both streams, and its JSON document if it is one."""

    status: int
    stdout: str
    stderr: str
    document: Mapping[str, Any] | None

    @property
    def data(self) -> Any:
        """Return the document's data."""
        assert self.document is not None, f"no JSON document: {self.stdout}{self.stderr}"
        return self.document["data"]

    @property
    def code(self) -> str | None:
        """Return the code word of the first error, or None."""
        assert self.document is not None, f"no JSON document: {self.stdout}{self.stderr}"
        errors = self.document["errors"]
        return errors[0]["code"] if errors else None


class Vmsnap:
    """Vmsnap with one database; call it with the words of a command line.

    `python` is an interpreter that can import vmsnap.
    """

    def __init__(self, database: Path, python: str = sys.executable) -> None:
        self.database = f"sqlite:///{database}"
        self.python = python

    def command(self, *arguments: str) -> list[str]:
        """Return the command line for a process of the test's own."""
        return [self.python, "-m", "vmsnap", *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment for a process of the test's own."""
        return {**os.environ, "VMSNAP_DATABASE": self.database, "NO_COLOR": "1"}

    def __call__(self, *arguments: str, status: int | None = 0, as_json: bool = True) -> Answer:
        """Run a command without a terminal; fail unless it ends with `status` (None: any)."""
        options = ("--json",) if as_json else ()
        done = subprocess.run(
            self.command(*arguments, *options),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            env=self.environment(),
            check=False,
        )
        line = f"vmsnap {' '.join(arguments)}"
        assert status is None or done.returncode == status, (
            f"{line} ended with {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
        )
        document = json.loads(done.stdout) if as_json and done.stdout else None
        return Answer(done.returncode, done.stdout, done.stderr, document)
