"""Pruning a chain of groups through the real libvirt: what is kept reads as it did, to the byte."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.machine import Machine
from livebed.reading import content, write

pytestmark = pytest.mark.live

NAMES = (
    *("before-install", "one", "two", "three", "four", "before-upgrade", "five", "six", "seven"),
    "eight",
)
RULES = ("--keep-last", "2", "--keep-name", "before-*")
KEPT = ("before-install", "four", "before-upgrade", "seven", "eight")


def groups(vmsnap: Vmsnap, machine: Machine) -> dict[str, dict[str, str]]:
    """Return what each group reads as, disk by disk."""
    listed = vmsnap("group", "list", machine.name).data["groups"]
    assert {group["state"] for group in listed} == {"ready"}
    return {
        group["name"]: {
            disk["target"]: content(Path(disk["frozen_path"])) for disk in group["disks"]
        }
        for group in listed
    }


@pytest.fixture
def chain(machine: Callable[..., Machine], vmsnap: Vmsnap) -> Machine:
    """Return a machine, off, with ten groups on each other, one of them pinned, and two backups."""
    made = machine(disks=("qcow2", "raw"), disk_mib=16)
    made.make_host_files()
    for value, name in enumerate(NAMES, start=1):
        write(made, value, at_mib=value)
        vmsnap("snapshot", "create", made.name, "--name", name)
    write(made, 99, at_mib=0)
    for name in ("monthly", "weekly"):
        vmsnap("backup", "create", made.name, "--name", name)
    vmsnap("group", "pin", made.name, "four")
    return made


@pytest.fixture(params=["off", "running"])
def pruned(request: pytest.FixtureRequest, chain: Machine, vmsnap: Vmsnap) -> Iterator[Machine]:
    """The machine while it is off, and while QEMU has the whole chain open."""
    if request.param == "running":
        chain.start("--paused")
    yield chain
    if request.param == "running":
        chain.destroy()


def test_a_chain_is_pruned_and_what_is_kept_reads_as_before(
    pruned: Machine, vmsnap: Vmsnap
) -> None:
    """H40, H42: ten groups, five of which go in one operation."""
    before = groups(vmsnap, pruned)
    reads = {target: content(path) for target, path in pruned.disks.items()}
    told = vmsnap("prune", pruned.name, *RULES, "--dry-run").data["points"]
    assert groups(vmsnap, pruned) == before
    done = vmsnap("prune", pruned.name, *RULES, "--keep-weekly", "0")
    assert done.data["points"] == told
    assert done.data["is_complete"]
    assert groups(vmsnap, pruned) == {name: before[name] for name in KEPT}
    assert {target: content(path) for target, path in pruned.disks.items()} == reads
    assert len(list(pruned.folder.glob("*.vmsnap-*"))) == len(KEPT) * len(pruned.targets)
    backups = vmsnap("backup", "list", pruned.name).data["backups"]
    assert {row["name"] for row in backups} == {*KEPT, "monthly", "weekly"}
    assert vmsnap("backup", "verify", pruned.name).status == 0
    found = {finding["code"] for finding in vmsnap("doctor").data["findings"]}
    assert found <= {"guest_paused"}, "that it was started so is no fault"
    again = vmsnap("prune", pruned.name, *RULES, "-q", as_json=False)
    assert (again.stdout, again.stderr) == ("", "")


def test_a_pruned_machine_goes_back_to_what_is_left(chain: Machine, vmsnap: Vmsnap) -> None:
    """H40."""
    held = groups(vmsnap, chain)["before-upgrade"]
    vmsnap("prune", chain.name, *RULES)
    vmsnap("group", "revert", chain.name, "before-upgrade")
    assert {target: content(path) for target, path in chain.disks.items()} == held
    chain.start()
    chain.destroy()
    vmsnap("undo", chain.name)
    vmsnap("group", "unpin", chain.name, "four")
    words = ("--keep-within", "0s", "--keep-name", "none", "--keep-safety", "0s")
    vmsnap("prune", chain.name, *words, "--allow-empty", chain.name)
    assert chain.disks == chain.originals
    assert vmsnap("group", "list", chain.name).data == {"groups": []}
    assert vmsnap("backup", "list", chain.name).data == {"backups": []}
