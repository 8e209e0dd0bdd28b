"""Measure how long a running guest stands still for a group, beside libvirt's bare call.

`bare` is one snapshotCreateXML over prepared overlays,
timed around the call; `unchanged` and `suspended` are what vmsnap records of its groups. All three
take turns on the same guest, so that the machine's load and the depth of the chains hit them alike.
"""

import math
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchbed.pairs import BenchError
from livebed.killing import Runner
from livebed.machine import Hardware, Machine, virsh

AIMS = {"bare": None, "unchanged": 1.1, "suspended": 1.5}
WAYS = tuple(AIMS)
OPTIONS = {"unchanged": "--no-suspend", "suspended": "--suspend"}


class Bed:
    """A guest that runs and writes nothing, and the ways to freeze its disks."""

    def __init__(self, machine: Machine, run: Runner, database: Path) -> None:
        self._machine = machine
        self._run = run
        self._database = database
        self._count = 0

    def take(self, way: str) -> float:
        """Freeze the disks once; return for how many milliseconds the guest stood still."""
        return self._bare() if way == "bare" else self._group(way)

    def flatten(self) -> None:
        """Let the guest use its original images again, and forget all groups."""
        for target in self._machine.targets:
            words = ("--active", "--pivot", "--wait")
            virsh("blockcommit", self._machine.id, target, *words, timeout_seconds=120)
        for path in set(self._machine.folder.glob("*.qcow2")) - self._originals():
            path.unlink()
        for path in self._database.parent.glob(f"{self._database.name}*"):
            path.unlink()

    def _originals(self) -> set[Path]:
        return set(self._machine.originals.values())

    def _bare(self) -> float:
        disks = ""
        self._count += 1
        for target, base in self._machine.disks.items():
            overlay = self._machine.folder / f"{target}.bare-{self._count}.qcow2"
            options = ("-f", "qcow2", "-F", "qcow2", "-b", str(base))
            subprocess.run(["qemu-img", "create", "-q", *options, str(overlay)], check=True)
            disks += (
                f"<disk name='{target}' snapshot='external' type='file'>"
                f"<driver type='qcow2'/><source file='{overlay}'/></disk>"
            )
        xml = f"<domainsnapshot><disks>{disks}</disks></domainsnapshot>"
        # In a process of its own, with a connection of its own, as each run of vmsnap is.
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.apply(call_libvirt, (self._machine.id, xml))

    def _group(self, way: str) -> float:
        ended = self._run("snapshot", "create", self._machine.name, OPTIONS[way], status=0)
        (group,) = ended.document["data"]["groups"]
        instant = group["instant"]
        if instant["proof"] != way:
            message = f"a group was proven as '{instant['proof']}', not as '{way}'"
            raise BenchError(message)
        return float(instant["stood_still_ms"])


def call_libvirt(domain_id: str, xml: str) -> float:
    """Take a snapshot of disks with libvirt alone; return the call's milliseconds."""
    import libvirt

    flags = (
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
    )
    domain = libvirt.open("qemu:///system").lookupByUUIDString(domain_id)
    began = time.monotonic()
    domain.snapshotCreateXML(xml, flags)
    return (time.monotonic() - began) * 1000


@contextmanager
def made_bed(disks: int) -> Iterator[Bed]:
    """Boot a guest with NVRAM and TPM and so many disks; remove it at the end."""
    machine = Machine(Hardware(boots_guest=True, disks=("qcow2",) * disks))
    with tempfile.TemporaryDirectory(prefix="vmsnap-test-") as folder:
        database = Path(folder) / "vmsnap.db"
        try:
            machine.create()
            machine.boot_and_stay()
            with Runner(f"sqlite:///{database}") as run:
                yield Bed(machine, run, database)
        finally:
            machine.remove()


def measure(disks: int, rounds: int) -> Mapping[str, Sequence[float]]:
    """Take each way so many times, in turns; return the milliseconds."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with made_bed(disks) as bed:
        for number in range(rounds):
            # Another way is the first in each round, and the chains grow with each.
            first = number % len(WAYS)
            for way in WAYS[first:] + WAYS[:first]:
                found[way].append(bed.take(way))
            if first == len(WAYS) - 1:
                bed.flatten()
    return found


def table(found: Mapping[int, Mapping[str, Sequence[float]]]) -> str:
    """Lay out the figures: median and 99th percentile, and the median beside the bare call's."""
    lines = ["disks  way        rounds  median ms   p99 ms  x bare   aim"]
    for disks, ways in found.items():
        bare = statistics.median(ways["bare"])
        for way, times in ways.items():
            median = statistics.median(times)
            aim = f"{AIMS[way]:.1f}" if AIMS[way] else ""
            lines.append(
                f"{disks:5}  {way:9}  {len(times):6}  {median:9.1f}  {_p99(times):7.1f}"
                f"  {median / bare:6.2f}  {aim:>4}"
            )
    return "\n".join(line.rstrip() for line in lines)


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]
