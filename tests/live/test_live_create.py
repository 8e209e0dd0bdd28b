"""Groups of running machines: one instant, whatever the guest writes, and never left standing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from livebed.killing import Runner
from livebed.machine import Hardware, Machine
from livebed.numbers import disagreement, in_nvram, on_disks
from livebed.world import World

from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.hypervisor import LibvirtHypervisor

pytestmark = pytest.mark.live

GROUPS = 30
BOOTED = 3
GOES_ON_WITHIN_SECONDS = 1.0


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Look again and again, for so long at most."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    with Runner(f"sqlite:///{tmp_path}/vmsnap.db") as runner:
        yield runner


def instants(run: Runner, name: str) -> list[dict[str, Any]]:
    groups = run("group", "list", name, status=0).document["data"]["groups"]
    return [group["instant"] for group in groups if group["kind"] == "manual"]


def groups_that_fit() -> int:
    """How many groups this libvirt starts a machine with; 30, or as many as there can be."""
    uri = "qemu:///system"
    return min(GROUPS, LibvirtHypervisor(uri, XmlDefinitions.for_uri(uri)).max_chain_depth() - 1)


# --- a guest that writes all the time -------------------------------------------------------------


def test_groups_of_a_guest_that_writes_all_the_time_are_each_of_one_instant(machine, run):
    """H16, H26: disks, UEFI variable and TPM never disagree by more than the write in flight."""
    groups = groups_that_fit()
    web = machine(boots_guest=True)
    web.boot_and_stay("writer")
    for number in range(groups):
        words = ("--suspend",) if number % 5 == 4 else ()
        run("snapshot", "create", web.name, "--name", f"g{number}", *words, status=0)
        web.wait_for_steps(1)
    web.destroy()
    proofs = [found["proof"] for found in instants(run, web.name)]
    assert len(proofs) == groups
    assert set(proofs) <= {"unchanged", "suspended"}

    seen = []
    for number in range(groups):
        run("group", "revert", web.name, f"g{number}", "--no-safety", "--yes", status=0)
        found = {**on_disks(web.disks), "variable": in_nvram(web.nvram.read_bytes())}
        assert disagreement(found) is None, f"g{number}"
        seen.append(int(found["vda"]))
    assert seen == sorted(set(seen)), "each group is of a later step than the one before"

    for number in range(0, groups, groups // BOOTED):
        run("group", "revert", web.name, f"g{number}", "--no-safety", "--yes", status=0)
        found = web.boot("numbers")
        assert disagreement(found) is None, f"g{number} with its TPM"
        assert int(found["vda"]) == seen[number]


# --- freezing through the real agent --------------------------------------------------------------


def is_frozen(web: Machine) -> bool:
    return web.ask_agent("guest-fsfreeze-status") == "frozen"


def test_file_systems_are_frozen_for_the_moment_and_thawed(agent_machine, run):
    """H30."""
    run("snapshot", "create", agent_machine.name, "--quiesce", "--suspend", status=0)
    (instant,) = instants(run, agent_machine.name)
    assert instant["is_quiesced"]
    assert instant["frozen_ms"] > instant["stood_still_ms"] > 0
    assert not is_frozen(agent_machine)


def test_an_agent_that_hangs_is_given_up_in_time_and_nothing_is_changed(agent_machine, run):
    """H30: the freeze that it may still carry out is thawed when it wakes up."""
    before = agent_machine.disks
    agent_machine.tell("agent-hang")
    try:
        words = ("snapshot", "create", agent_machine.name, "--quiesce", "--freeze-timeout", "2")
        ended = run(*words, status=20)
        assert ended.document["changed"] is False
        assert ended.seconds < 60
    finally:
        agent_machine.tell("agent-wake")
    assert agent_machine.disks == before
    assert wait_until(lambda: not is_frozen(agent_machine), 30)


def test_without_an_agent_it_is_refused_or_gone_without(agent_machine, run):
    """H30."""
    agent_machine.tell("agent-kill")
    try:
        refused = run("snapshot", "create", agent_machine.name, "--quiesce", status=14)
        assert "no guest agent runs" in refused.document["errors"][0]["message"]
        run("snapshot", "create", agent_machine.name, "--try-quiesce", status=0)
        assert not instants(run, agent_machine.name)[-1]["is_quiesced"]
    finally:
        agent_machine.tell("agent")


def test_a_kill_while_file_systems_are_frozen_thaws_them_within_a_second(agent_machine, run):
    """H29, H30: the watcher outlives vmsnap."""
    words = ("snapshot", "create", agent_machine.name, "--quiesce", "--suspend")
    calls = run(*words, status=0).calls
    window = range(calls.index("LibvirtHypervisor.freeze"), calls.index("LibvirtHypervisor.thaw"))
    for at in window:
        assert run(*words, at=at + 1).was_killed
        is_on = wait_until(lambda: agent_machine.state == "running", GOES_ON_WITHIN_SECONDS)
        assert is_on, calls[at]
        assert wait_until(lambda: not is_frozen(agent_machine), 5), calls[at]
        run("recover", status=0)
        assert agent_machine.state == "running"


# --- kills ----------------------------------------------------------------------------------------


class Running:
    """A machine that runs, put back and started anew for each kill."""

    def __init__(self, world: World, *start: str) -> None:
        self.world = world
        self.start = start
        self.saved = world.save("start")

    def again(self) -> None:
        """Make everything what it was, and start the machine."""
        if self.world.machine.state != "shut off":
            self.world.machine.destroy()
        self.saved.put_back()
        self.world.machine.start(*self.start)

    def seen(self) -> tuple[Any, ...]:
        """Stop the machine; return what it would start with."""
        self.world.machine.destroy()
        return self.world.seen_machine()[:2]


@pytest.fixture(
    params=[("uefi", "2.0", ("--paused",)), ("bios", None, ())], ids=["paused", "running"]
)
def bed(request: pytest.FixtureRequest) -> Iterator[Running]:
    firmware, tpm, start = request.param
    machine = Machine(Hardware(disks=("qcow2", "raw"), disk_mib=4, firmware=firmware, tpm=tpm))
    world = World(machine)
    try:
        machine.create()
        if tpm is not None:
            world.make_variants()
        yield Running(world, *start)
    finally:
        machine.remove()
        world.remove()


def test_a_kill_behind_any_change_leaves_a_guest_that_runs_and_recover_settles(bed):
    """H23, H29, H44: the suspended window too; its disks are whole afterwards."""
    world = bed.world
    words = ("snapshot", "create", world.name, "--name", "monday", "--suspend")
    with Runner(f"sqlite:///{world.database}") as run:
        run("db", "upgrade", status=0)
        bed.saved.remove()
        bed.saved = world.save("start")
        bed.again()
        state = world.machine.state
        calls = run(*words, status=0).calls
        outcomes = []
        for at, call in enumerate(calls, start=1):
            where = f"killed behind {at}: {call}"
            bed.again()
            before = (world.disks(), world.machine.host_files())
            assert run(*words, at=at).was_killed, where
            is_on = wait_until(lambda: world.machine.state == state, GOES_ON_WITHIN_SECONDS)
            assert is_on, where
            run("recover", status=0)
            assert run("recover", status=0).document["data"]["operations"] == [], where
            assert world.machine.state == state, where
            assert world.leftovers() == [], where
            is_taken = world.disks() != before[0]
            outcomes.append(is_taken)
            disks, host_files = bed.seen()
            assert host_files == before[1], where
            assert world.damaged() == [], where
            if is_taken:
                run("group", "check", world.name, status=0)
                run("group", "revert", world.name, "monday", status=0)
                assert world.seen_machine()[0] == disks, where
        assert outcomes == sorted(outcomes), outcomes
        assert outcomes[-1]
        if state == "running":
            assert "LibvirtHypervisor.suspend" in calls


def test_a_kill_at_any_time_leaves_a_guest_that_runs(bed):
    """H29."""
    world = bed.world
    words = ("snapshot", "create", world.name, "--suspend")
    with Runner(f"sqlite:///{world.database}") as run:
        bed.again()
        state = world.machine.state
        seconds = run(*words, status=0).seconds
        for number in range(1, 9):
            run(*words, after_seconds=seconds * number / 9)
            is_on = wait_until(lambda: world.machine.state == state, GOES_ON_WITHIN_SECONDS)
            assert is_on, number
            run("recover", status=0)
            assert world.leftovers() == [], number
        world.machine.destroy()
        assert world.damaged() == []


def test_several_machines_are_taken_at_once(machine, run):
    names = []
    for _ in range(3):
        made = machine(disks=("qcow2",), firmware="bios", tpm=None)
        made.start("--paused")
        names.append(made.name)
    made.destroy()
    ended = run("snapshot", "create", "--all", "--name", "monday", status=0)
    found = {group["domain"]: group["instant"] for group in ended.document["data"]["groups"]}
    states = [found[name]["domain_state"] for name in names]
    assert states == ["paused", "paused", "shut off"]
    partial = run("snapshot", "create", *names, "nobody", status=3)
    assert [error["code"] for error in partial.document["errors"]] == ["domain_not_found"]
