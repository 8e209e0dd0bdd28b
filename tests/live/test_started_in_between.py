"""Interrupted runs whose machine or libvirtd was started again before recover."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.killing import Runner
from livebed.machine import Hardware, Machine, VirshError, virsh
from livebed.slow_qemu_img import SlowQemuImg
from livebed.world import FENCE, Saved, World, refusal

pytestmark = pytest.mark.live

PID_FILE = Path("/run/libvirtd.pid")
PATTERN = 0x77


@pytest.fixture(scope="module")
def start() -> Iterator[Saved]:
    """A machine with a group; its host files and disks have changed since."""
    machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=4))
    world = World(machine)
    try:
        machine.create()
        world.make_variants()
        with Runner(f"sqlite:///{world.database}") as runner:
            runner("snapshot", "create", world.name, "--name", "monday", status=0)
        world.change(1)
        yield world.save("start")
    finally:
        machine.remove()
        world.remove()


@pytest.fixture
def world(start: Saved) -> Iterator[World]:
    yield start.put_back()
    if start.world.machine.state != "shut off":
        start.world.machine.destroy()


@pytest.fixture(scope="module")
def run(start: Saved) -> Iterator[Runner]:
    with Runner(f"sqlite:///{start.world.database}") as runner:
        yield runner


def interrupt(world: World, run: Runner, words: tuple[str, ...], last: str) -> None:
    """Kill a verb right behind the last of its calls of a name."""
    saved = world.save("reference")
    calls = run(*words, status=0).calls
    saved.put_back()
    saved.remove()
    at = max(number for number, call in enumerate(calls, start=1) if call.endswith(last))
    assert run(*words, at=at).was_killed


def live_disks(machine: Machine) -> dict[str, Path]:
    """Return what the disks of a running machine use."""
    lines = virsh("domblklist", machine.id).splitlines()
    return {target: Path(path) for target, path in (line.split(None, 1) for line in lines)}


def write_as_the_guest(machine: Machine) -> None:
    """Let QEMU write to both disks as if the guest had."""
    for number in range(2):
        device = f"/machine/peripheral/virtio-disk{number}/virtio-backend"
        for order in (f"write -P {PATTERN} 3M 128k", "flush"):
            virsh("qemu-monitor-command", machine.id, "--hmp", f'qemu-io -d {device} "{order}"')
    assert all(guest_data_in(path) for path in live_disks(machine).values())


def guest_data_in(path: Path) -> bool:
    """Return whether an image holds what `write_as_the_guest` wrote."""
    command = ["qemu-io", "-U", "-r", "-f", path.suffix[1:], "-c", f"read -P {PATTERN} 3M 128k"]
    done = subprocess.run([*command, str(path)], check=False, capture_output=True, text=True)
    return done.returncode == 0 and "verification failed" not in done.stdout


@pytest.mark.parametrize("state", ["running", "paused", "shut off"])
def test_a_create_is_taken_back_although_the_machine_was_started_on_its_overlays(
    world: World, run: Runner, state: str
):
    """H26, H53, H55: what the guest wrote since is kept; the disks are the former ones again."""
    machine = world.machine
    disks = world.disks()
    groups = world.seen().groups
    words = ("snapshot", "create", world.name, "--name", "tuesday")
    interrupt(world, run, words, "switch_disks")
    assert not set(world.disks().values()) & set(disks.values())
    machine.start("--paused")
    write_as_the_guest(machine)
    if state == "running":
        virsh("resume", machine.id)
    elif state == "shut off":
        machine.destroy()

    done = run("recover", status=0)

    assert done.document["data"]["operations"][0]["outcome"] == "undone"
    assert machine.state == state
    assert live_disks(machine) == disks
    assert world.disks() == disks
    assert "<backingStore" not in world.definition()
    assert world.leftovers() == []
    if state != "shut off":
        machine.destroy()
    assert all(guest_data_in(path) for path in disks.values())
    assert world.damaged() == []
    records = dict(world.seen().groups)
    assert records["groups"] == dict(groups)["groups"]
    assert records["layers"] == dict(groups)["layers"]
    assert run("recover", status=0).document["data"]["operations"] == []
    assert refusal(machine) is None


def test_a_machine_that_runs_keeps_a_committed_create(world: World, run: Runner):
    """H55: behind the commit the start was as good as any."""
    words = ("snapshot", "create", world.name, "--name", "tuesday")
    interrupt(world, run, words, "SqlCatalog.commit")
    world.machine.start("--paused")
    write_as_the_guest(world.machine)
    done = run("recover", status=0)
    assert done.document["data"]["operations"][0]["outcome"] == "finished"
    assert live_disks(world.machine) == world.disks()
    world.machine.destroy()
    assert all(guest_data_in(path) for path in world.disks().values())
    assert world.leftovers() == []


def libvirtd_pid() -> int:
    """Return the process id of the private host's libvirtd."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == "libvirtd":
            return int(path.parent.name)
    raise AssertionError("no libvirtd")


def stop_libvirtd() -> None:
    pid = libvirtd_pid()
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def start_libvirtd() -> None:
    subprocess.run(["libvirtd", "-d"], check=True, timeout=30)
    until = time.monotonic() + 30
    while True:
        try:
            virsh("version")
        except VirshError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def test_an_interrupted_revert_stays_fenced_over_a_restart_of_libvirtd(world: World, run: Runner):
    """H36, H55: the fence is on stable storage, as is all that takes the revert back."""
    before = world.seen()
    interrupt(world, run, ("group", "revert", world.name, "monday"), "exchange")
    stop_libvirtd()
    try:
        down = run("recover", status=20).document
        assert down["changed"] is False
        assert down["errors"][0]["hint"] == "systemctl status libvirtd"
        assert world.journals()
    finally:
        start_libvirtd()
        world.reconnect()
    reason = refusal(world.machine)
    assert reason is not None
    assert str(FENCE) in reason
    run("recover", status=0)
    assert world.leftovers() == []
    assert world.seen() == before
    assert refusal(world.machine) is None


def test_no_verb_changes_anything_while_libvirtd_is_down(world: World, run: Runner):
    before = world.seen()
    stop_libvirtd()
    try:
        for words in (("snapshot", "create", world.name), ("vm", "list"), ("undo", world.name)):
            ended = run(*words, status=20)
            (error,) = ended.document["errors"]
            assert error["code"] == "libvirt"
            assert re.match(r"cannot connect to libvirt at 'qemu:///system': \S", error["message"])
            assert "Traceback" not in ended.stderr
    finally:
        start_libvirtd()
        world.reconnect()
    assert world.seen() == before
    assert world.leftovers() == []


def test_a_libvirtd_that_dies_in_the_middle_is_no_reason_to_lose_anything(
    world: World, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """H24: the run says that it could not be settled, and recover settles it."""
    before = world.seen()
    slow = SlowQemuImg(tmp_path, "create")
    monkeypatch.setenv("PATH", slow.path)
    with Runner(run.database) as slowed:
        slowed.start("group", "revert", world.name, "monday")
        slow.wait_until_begun()
        stop_libvirtd()
        try:
            slow.go_on()
            ended = slowed.end()
        finally:
            start_libvirtd()
            world.reconnect()
    assert ended.status == 30
    assert ended.document["changed"] is True
    assert ended.document["errors"][0]["hint"] == "vmsnap recover"
    assert "Traceback" not in ended.stderr
    run("recover", status=0)
    assert world.leftovers() == []
    assert world.seen() == before
