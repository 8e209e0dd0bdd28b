"""Many runs of vmsnap at once on a few machines, and guests that write in between.

Read as JSON from standard input: what to run. Written to a file: a line for each run. Each worker
is a process, and each of its runs another one with vmsnap's real `main`, forked from this program.
"""

import dataclasses
import gc
import importlib
import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from livebed import forking

WAIT_SECONDS = "300"
NAMES = ("monday", "tuesday", "friday")
# How often each is drawn. %g is the name of a group, %b of a backup.
VERBS = {
    "snapshot create %d --name %g": 6,
    "group revert %d %g": 3,
    "group delete %d %g --yes": 3,
    "undo %d": 2,
    "backup create %d --name %b": 2,
    "backup delete %d %b --yes": 1,
    "group list": 1,
    "group check %d": 1,
    "vm show %d": 1,
    "recover": 1,
}
READING = ("group list", "group check", "vm show")


@dataclass(frozen=True)
class Place:
    """What a guest of a machine writes to, and by what its lock is known."""

    name: str
    id: str
    nvram: str
    tpm: str


@dataclass(frozen=True)
class Load:
    """How many processes run how many verbs on which machines."""

    database: str
    places: list[Place]
    results: str
    folder: str
    processes: int = 20
    runs: int = 7
    seed: int = 1

    def json(self) -> str:
        """Write it for the program."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def parse(text: str) -> "Load":
        """Read what `json` wrote."""
        fields = json.loads(text)
        return Load(**{**fields, "places": [Place(**item) for item in fields["places"]]})


def command(dice: random.Random, load: Load) -> list[str]:
    """Draw a command line; some do not wait for a domain that is busy."""
    verb = dice.choices(list(VERBS), list(VERBS.values()))[0]
    words = {"%d": dice.choice(load.places).name, "%g": dice.choice(NAMES), "%b": "nightly"}
    line = [words.get(word, word) for word in verb.split()]
    waits = ["--wait", WAIT_SECONDS] if dice.random() < 0.85 else []
    return [*line, *waits, "--json"]


def work(load: Load, number: int) -> None:
    """Run one command after the other, and write down how each ended."""
    dice = random.Random(f"{load.seed}/{number}")  # noqa: S311 - to be repeated
    folder = Path(load.folder) / str(number)
    folder.mkdir()
    environment = {"VMSNAP_DATABASE": load.database, "NO_COLOR": "1"}
    for _ in range(load.runs):
        order = {
            "folder": str(folder),
            "environment": environment,
            "arguments": command(dice, load),
        }
        begin = time.monotonic()
        pid = forking.forked(lambda order=order: forking.call(order))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ended = {
            "arguments": order["arguments"],
            "status": status,
            "seconds": time.monotonic() - begin,
            "stdout": (folder / "stdout").read_text(),
            "stderr": (folder / "stderr").read_text(),
        }
        note(load, ended)


def note(load: Load, ended: dict[str, Any]) -> None:
    """Append one line, whole: others append at the same time."""
    descriptor = os.open(load.results, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{json.dumps(ended)}\n".encode())
    os.close(descriptor)


def be_guest(load: Load, place: Place) -> None:
    """Write the next number to all that the machine is made of, now and then, under its lock."""
    from vmsnap.host.locks import FileLocks
    from vmsnap.model import DomainId

    locks = FileLocks(Path("/var/lib/vmsnap"))
    dice = random.Random(f"{load.seed}/{place.name}")  # noqa: S311 - to be repeated
    for number in range(1, 2 * load.runs):
        time.sleep(dice.random() * 2)
        with locks.hold(DomainId(place.id), "a guest", 300):
            write(place, number)


def write(place: Place, number: int) -> None:
    """Write a number to disks, NVRAM and TPM state of a machine that is off."""
    for path in active_paths(place):
        qemu_io(path, f"write -q -P {number} 0 64k")
    with Path(place.nvram).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([number]))
    (Path(place.tpm) / "number").write_bytes(bytes([number]))


def active_paths(place: Place) -> list[Path]:
    """Return the images that the next start would use."""
    listed = ("virsh", "-q", "-c", "qemu:///system", "domblklist", place.id, "--inactive")
    lines = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    return [Path(line.split(None, 1)[1]) for line in lines if line.strip()]


def number_on(path: Path) -> int:
    """Return the number that was written to an image."""
    return int(qemu_io(path, "read -v 0 512").split(":", 1)[1].split()[0], 16)


def qemu_io(path: Path, order: str) -> str:
    """Have qemu-io do something with an image."""
    format_ = "raw" if path.suffix == ".raw" else "qcow2"
    argv = ["qemu-io", "-f", format_, "-c", order, str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def main() -> int:
    """Start all at once and wait for them; return how many failed."""
    load = Load.parse(sys.stdin.read())
    for name in forking.IMPORTED:
        importlib.import_module(name)
    if load.database.startswith("mysql"):
        importlib.import_module("pymysql")
    gc.freeze()
    works: list[Callable[[], None]] = [
        *(lambda number=number: work(load, number) for number in range(load.processes)),
        *(lambda place=place: be_guest(load, place) for place in load.places),
    ]
    pids = [forking.forked(lambda work=each: _status_of(work)) for each in works]
    failed = 0
    for pid in pids:
        with suppress(ChildProcessError):
            failed += os.waitpid(pid, 0)[1] != 0
    return failed


def _status_of(work: Callable[[], None]) -> int:
    try:
        work()
    except BaseException:  # noqa: BLE001 - the fork ends without a word otherwise
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
