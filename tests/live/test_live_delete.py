"""Deleting groups of a machine that runs, through the real libvirt and QEMU."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.killing import Runner
from livebed.machine import Hardware, Machine, virsh
from livebed.reading import content
from livebed.world import World

pytestmark = pytest.mark.live

NAMES = ("one", "two", "three", "four", "five")
MIB = 16


class Bed:
    """A machine with its groups, and what they hold."""

    def __init__(self, world: World, run: Runner) -> None:
        self.world = world
        self.machine = world.machine
        self.run = run
        self.groups: dict[str, dict[str, str]] = {}
        self.before: dict[str, str] = {}
        self.slow = ""

    def create(self, name: str) -> None:
        self.run("snapshot", "create", self.world.name, "--name", name, status=0)

    def write(self, number: int, size_mib: int = 1) -> None:
        """Let QEMU write to both disks as if the guest had; off, write to the images."""
        order = f"write -P {number} {number}M {size_mib}M"
        for index, path in enumerate(self.world.disks().values()):
            if self.machine.state == "shut off":
                command = ["qemu-io", "-f", path.suffix[1:], "-c", order, str(path)]
                subprocess.run(command, check=True, capture_output=True)
                continue
            device = f"/machine/peripheral/virtio-disk{index}/virtio-backend"
            for words in (order, "flush"):
                virsh(
                    "qemu-monitor-command",
                    self.machine.id,
                    "--hmp",
                    f'qemu-io -d {device} "{words}"',
                )

    def held(self) -> dict[str, dict[str, str]]:
        """Return what each group that is whole reads as."""
        listed = self.run("group", "list", self.world.name, status=0).document["data"]["groups"]
        return {
            group["name"]: {
                disk["target"]: content(Path(disk["frozen_path"]))
                for disk in self.shown(group["name"])["disks"]
            }
            for group in listed
            if group["state"] == "ready"
        }

    def shown(self, name: str) -> dict:
        document = self.run("group", "show", self.world.name, name, status=0).document
        found: dict = document["data"]["group"]
        return found

    def ending(self) -> list[str]:
        listed = self.run("group", "list", self.world.name, status=0).document["data"]["groups"]
        return [group["name"] for group in listed if group["state"] == "deleting"]

    def active(self) -> dict[str, str]:
        """Return what the machine reads now."""
        return {target: content(path) for target, path in live_disks(self.machine).items()}

    def delete(self, *names: str, status: int = 0) -> dict:
        ended = self.run("group", "delete", self.world.name, *names, "--yes", status=status)
        return dict(ended.document)

    def overlays(self) -> int:
        return len(list(self.machine.folder.glob("*.vmsnap-*")))

    def jobs(self) -> list[str]:
        return [target for target in self.machine.targets if "No current" not in self.job(target)]

    def job(self, target: str) -> str:
        return virsh("blockjob", self.machine.id, target, "--info") or "No current block job"


def live_disks(machine: Machine) -> dict[str, Path]:
    """Return what the disks of a running machine use."""
    lines = virsh("domblklist", machine.id).splitlines()
    return {target: Path(path) for target, path in (line.split(None, 1) for line in lines)}


@pytest.fixture
def bed() -> Iterator[Bed]:
    """A paused machine with five groups on each other; QEMU has six layers of each disk open."""
    machine = Machine(Hardware(firmware="bios", tpm=None, disks=("qcow2", "raw"), disk_mib=MIB))
    world = World(machine)
    try:
        machine.create()
        with Runner(f"sqlite:///{world.database}") as run:
            made = Bed(world, run)
            for number, name in enumerate(NAMES):
                made.write(number)
                made.create(name)
                if name == "two":
                    machine.start("--paused")
            made.write(9, 4)
            made.groups = made.held()
            yield made
    finally:
        machine.remove()
        world.remove()


def rest(groups: dict[str, dict[str, str]], *gone: str) -> dict[str, dict[str, str]]:
    return {name: disks for name, disks in groups.items() if name not in gone}


def test_first_middle_and_last_go_while_the_machine_runs(bed):
    """H40, H53: every other group and the machine read as before; QEMU goes on with less."""
    groups, active = bed.groups, bed.active()
    gone: list[str] = []
    for name in ("three", "one", "five"):
        document = bed.delete(name)
        gone.append(name)
        assert document["status"] == "ok"
        assert bed.held() == rest(groups, *gone)
        assert bed.active() == active
        assert bed.overlays() == 2 * (len(NAMES) - len(gone))
        assert "backingStore" not in bed.world.definition()
        assert bed.world.disks() == live_disks(bed.machine)
        assert bed.world.leftovers() == []
    bed.write(11)
    bed.create("six")
    active = bed.active()
    virsh("resume", bed.machine.id)
    bed.delete("two", "four", "six")
    assert live_disks(bed.machine) == bed.machine.originals
    assert bed.machine.state == "running"
    bed.machine.destroy()
    assert bed.active() == active
    assert bed.world.damaged() == []
    assert bed.overlays() == 0
    bed.machine.start("--paused")


def test_the_groups_that_are_left_can_be_gone_back_to(bed):
    groups = bed.groups
    bed.delete("two", "five")
    bed.machine.destroy()
    for name in ("three", "one", "four"):
        bed.run("group", "revert", bed.world.name, name, "--no-safety", "--yes", status=0)
        read = {target: content(path) for target, path in bed.world.disks().items()}
        assert read == groups[name]
        bed.machine.start("--paused")
        bed.machine.destroy()


def test_a_branch_waits_until_the_machine_is_off(bed):
    """H40: QEMU knows nothing of branches."""
    bed.machine.destroy()
    bed.run("group", "revert", bed.world.name, "two", status=0)
    bed.machine.start("--paused")
    bed.write(12)
    groups, active = bed.held(), bed.active()

    document = bed.delete("three", status=3)

    assert document["errors"][0]["code"] == "domain_running"
    assert document["errors"][0]["hint"] == f"virsh shutdown {bed.world.name}"
    assert "on a branch" in document["errors"][0]["message"]
    assert bed.ending() == ["three"]
    assert bed.held() == rest(groups, "three")
    assert bed.active() == active
    (waiting,) = bed.run("recover", status=0).document["data"]["operations"]
    assert waiting["outcome"] == "waits_for_shutdown"
    # The layer that both branches stand on is merged by QEMU; the other branch follows.
    assert bed.delete("one", status=3)["data"]["groups"] == ["one", "three"]
    assert bed.ending() == ["three"]
    del groups["one"]
    assert bed.held() == rest(groups, "three")
    assert bed.active() == active
    bed.machine.destroy()
    (operation,) = bed.run("recover", status=0).document["data"]["operations"]
    assert (operation["outcome"], operation["verb"]) == ("finished", "group delete")
    assert bed.ending() == []
    assert bed.held() == rest(groups, "three")
    assert bed.active() == active
    assert bed.world.leftovers() == []
    assert bed.world.damaged() == []


def begin_slowly(bed: Bed, name: str) -> None:
    """Begin a delete that is so slow that it can be ended in its middle."""
    bed.run.start("group", "delete", bed.world.name, name, "--yes", "--bandwidth", "256K")
    until = time.monotonic() + 30
    while not bed.jobs():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(params=["five", "three"], ids=["active", "middle"])
def slow(bed, request):
    """A delete in its middle: the active layer is being committed, or one in the middle."""
    # While a job is on a middle layer, QEMU lets nobody read it.
    bed.before = bed.active()
    begin_slowly(bed, request.param)
    bed.slow = request.param
    return bed


def test_a_killed_delete_is_taken_over_by_recover(slow):
    """H44: QEMU's job goes on meanwhile; it is neither begun twice nor taken for finished."""
    slow.run.kill()
    assert slow.run.end().was_killed
    assert slow.machine.state == "paused"
    virsh("resume", slow.machine.id)
    (target,) = slow.jobs()
    virsh("blockjob", slow.machine.id, target, "--bandwidth", "0")
    (operation,) = slow.run("recover", status=0).document["data"]["operations"]
    assert operation["outcome"] == "finished"
    assert slow.machine.state == "running"
    assert slow.jobs() == []
    assert (slow.ending(), slow.overlays()) == ([], 2 * 4)
    assert slow.active() == slow.before
    assert slow.world.leftovers() == []
    slow.machine.destroy()
    assert slow.active() == slow.before
    assert slow.world.damaged() == []


def test_a_machine_that_is_off_by_then_is_finished_without_qemu(slow):
    """H44, H55: its job died with it."""
    slow.run.kill()
    slow.run.end()
    slow.machine.destroy()
    (operation,) = slow.run("recover", status=0).document["data"]["operations"]
    assert operation["outcome"] == "finished"
    assert slow.active() == slow.before
    assert slow.held() == rest(slow.groups, slow.slow)
    assert slow.world.leftovers() == []
    assert slow.world.damaged() == []


def test_a_machine_that_dies_in_the_middle_is_gone_on_with(slow):
    """H26, H44: QEMU is killed; the same run goes on behind a fence."""
    pid = Path(f"/run/libvirt/qemu/{slow.world.name}.pid").read_text().strip()
    os.kill(int(pid), signal.SIGKILL)
    ended = slow.run.end()
    assert ended.status == 0, ended.stderr
    assert slow.machine.state == "shut off"
    assert slow.active() == slow.before
    assert (slow.ending(), slow.overlays()) == ([], 2 * 4)
    assert slow.world.leftovers() == []
    slow.machine.start("--paused")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_job_and_a_second_run_goes_on(slow, number, status):
    """H44."""
    slow.run.kill(number)
    ended = slow.run.end()
    assert ended.status == status
    assert ended.document["changed"] is True
    assert slow.jobs() == []
    assert slow.ending() == [slow.slow]
    assert slow.world.journals() == []
    assert slow.active() == slow.before
    slow.delete(slow.slow)
    assert (slow.ending(), slow.overlays()) == ([], 2 * 4)
    assert slow.active() == slow.before
    assert slow.world.leftovers() == []


@pytest.mark.parametrize("is_middle", [False, True], ids=["active", "middle"])
def test_layers_of_other_sizes_read_the_same(bed, is_middle):
    """H54: a disk that was made smaller and larger again reads zeros there, not old bytes."""
    bed.machine.destroy()
    bed.run("group", "revert", bed.world.name, "five", "--no-safety", "--yes", status=0)
    bed.delete(*NAMES[:4])
    for path in bed.world.disks().values():
        resize(path, "3M")  # of five MiB with something in them
    bed.create("small")
    for path in bed.world.disks().values():
        resize(path, "12M")
    bed.machine.start("--paused")
    if is_middle:
        bed.create("top")
    virsh("blockresize", bed.machine.id, "vda", "20M")
    groups, active = bed.held(), bed.active()
    bed.delete("small")
    assert bed.held() == rest(groups, "small")
    assert bed.active() == active
    # A layer that is smaller than the original can only be pulled into.
    errors = bed.delete("five", status=3)["errors"]
    assert all("pulled into" in error["message"] for error in errors)
    assert bed.active() == active
    bed.machine.destroy()
    bed.run("recover", status=0)
    assert bed.ending() == []
    assert bed.held() == rest(groups, "small", "five")
    assert {target: content(path) for target, path in bed.world.disks().items()} == active
    assert bed.world.damaged() == []


def resize(path: Path, size: str) -> None:
    command = ["qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", str(path), size]
    subprocess.run(command, check=True, capture_output=True)
