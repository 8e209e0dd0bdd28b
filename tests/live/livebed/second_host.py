"""A second private host beside the test's own, and a machine on it; driven line by line.

Run as a program, this file is what runs there: each line on its standard input is an order, each
on its standard output the answer. The two hosts share the file system's /tmp, and so a database
server's socket, but neither libvirtd nor vmsnap's folders.
"""

import contextlib
import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.append(str(Path(__file__).parents[1]))

from livebed.killing import Runner
from livebed.machine import Hardware, Machine

PRIVATE_HOST = Path(__file__).parents[1] / "private-host.sh"
JOURNALS = Path("/var/lib/vmsnap/journal")


def small_machine(name: str | None = None, id_: str | None = None) -> Machine:
    """Make a machine that is off and has NVRAM and TPM state."""
    machine = Machine(Hardware(disks=("qcow2",), disk_mib=1), name)
    machine.id = id_ or machine.id
    machine.create()
    machine.make_host_files()
    return machine


def state_of(machine: Machine) -> dict[str, str]:
    """Return all that is the machine's on its host, by what it is."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*machine.folder.iterdir(), *JOURNALS.glob("*")]
        if path.is_file() and path != machine.console
    }
    return {**files, **machine.host_files(), "definition": machine.definition()}


class SecondHost:
    """The second host, up until the end of a `with` block."""

    def __init__(self, database: str) -> None:
        self._database = database

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [str(PRIVATE_HOST), sys.executable, "-P", __file__, self._database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def make(self, like: Machine) -> None:
        """Make a machine of the same name and UUID there."""
        self._ask({"make": [like.name, like.id]})

    def state(self) -> dict[str, str]:
        """Return what `state_of` says of it."""
        found: dict[str, str] = self._ask({"state": None})
        return found

    def __call__(self, *arguments: str, status: int = 0) -> Any:
        """Run vmsnap there; return its JSON document. Fail unless it ends with `status`."""
        ended = self._ask({"run": arguments, "at": None})
        assert ended["status"] == status, f"vmsnap {' '.join(arguments)}: {ended}"
        return json.loads(ended["stdout"])

    def kill(self, call: str, *arguments: str) -> None:
        """Run vmsnap there twice: to its end, and until it is killed behind a call of its own."""
        calls = self._ask({"run": arguments, "at": None})["calls"]
        ended = self._ask({"run": arguments, "at": calls.index(call) + 1})
        assert ended["status"] == -signal.SIGKILL, ended

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the second host is gone; what it said is on stderr"
        return json.loads(answer)


def serve(database: str) -> None:
    """Carry out orders until there are no more."""
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(Runner(database))
        machine = None
        for line in sys.stdin:
            order = json.loads(line)
            if "make" in order:
                machine = small_machine(*order["make"])
                stack.callback(machine.remove)
                answer: Any = None
            elif "state" in order:
                assert machine is not None
                answer = state_of(machine)
            else:
                answer = dataclasses.asdict(run(*order["run"], at=order["at"]))
            sys.stdout.write(f"{json.dumps(answer)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
