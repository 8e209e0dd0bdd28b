"""A machine to torture beside one that must stay as it is, and the database of both."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from livebed.databases import WorldDatabase
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.world import World
from torture.scenarios import OFF, PAUSED, RUNNING

ORPHAN_SECONDS = 30.0
PROGRAMS = frozenset({"qemu-img"})


class Bed:
    """Two machines, off, with their groups; `remove` takes all of it away again.

    `running`: the machine has a BIOS, so that its processors can run without writing anything.
    """

    def __init__(self, rows: WorldDatabase | None, *, running: bool, planted: str = "") -> None:
        firmware = {"firmware": "bios", "tpm": None} if running else {}
        machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=4, **firmware))
        self.world = World(machine, rows)
        self.other = World(Machine(Hardware(disks=("qcow2",), disk_mib=1)), self.world.rows)
        self.world.source = self.other.name
        self.run = Runner(self.world.rows.url, without=planted)
        try:
            self._make(running=running)
        except BaseException:
            self.remove()
            raise

    def _make(self, *, running: bool) -> None:
        for world in (self.world, self.other):
            world.machine.create()
        if not running:
            self.world.make_variants()
        self.other.machine.make_host_files()
        self.other.write("vda", self.other.machine.original("vda"), 1)
        self.run("snapshot", "create", self.other.name, "--name", "untouched", status=0)
        self.pristine = self.world.save("pristine")
        self.untouched = self.seen_other()

    def seen_other(self) -> tuple[Any, ...]:
        """Return all there is to the machine that nothing is done to."""
        return (self.other.files(), self.other.seen_machine(), self.other.journals())

    def start(self, state: str) -> None:
        """Start the machine, unless it is to be off."""
        if state == PAUSED:
            self.world.machine.start("--paused")
        elif state == RUNNING:
            self.world.machine.start()

    def stop(self) -> None:
        """Let the machine be off."""
        if self.world.state not in {"", "shut off"}:
            self.world.machine.destroy()

    def remove(self) -> None:
        """Remove both machines and what they kept."""
        self.run.__exit__(None, None, None)
        for world in (self.world, self.other):
            world.machine.remove()
            world.remove()


def wait_for_programs() -> None:
    """Wait until what killed runs have started has ended."""
    until = time.monotonic() + ORPHAN_SECONDS
    while _programs():
        assert time.monotonic() < until, "a program of a killed run does not end"
        time.sleep(0.01)


def kill_programs() -> None:
    """Kill all that vmsnap has started, its watchers too."""
    for pid in _programs(watchers=True):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _programs(*, watchers: bool = False) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (place / "cmdline").read_bytes().split(b"\0")
            name = Path(os.fsdecode(line[0])).name
            if name in PROGRAMS or (watchers and b"vmsnap.host.guest_watcher" in line):
                found.append(int(place.name))
    return found


STATE_WORDS = {OFF: "shut off", RUNNING: "running", PAUSED: "paused"}
"""How virsh words a machine's state."""
