"""Hooks of a real vmsnap on a real libvirt: what they may do, and vmsnap ended while one runs."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.world import World

from vmsnap.host.births import birth_of

pytestmark = pytest.mark.live


class Hooked:
    """The real vmsnap with one hook of a shell script, as config.toml has it."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.name = world.name
        self.vmsnap = Vmsnap(Path(world.rows.url.removeprefix("sqlite:///")))
        self.pid = folder / "pid"

    def hook(self, when: str, script: str, *, on_failure: str = "warn") -> None:
        """Write the config file with this hook alone."""
        path = self.folder / "hook"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        (self.folder / "config.toml").write_text(
            f'[[hook]]\nwhen = "{when}"\nrun = ["{path}"]\non_failure = "{on_failure}"\n'
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command whose hooks are run."""
        return subprocess.Popen(
            self.vmsnap.command(*words, "--json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.vmsnap.environment() | {"VMSNAP_CONFIG": str(self.folder / "config.toml")},
        )

    def run(self, *words: str, status: int = 0) -> dict[str, object]:
        """Run a command with its hooks to its end; return its document."""
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, out + err
        return json.loads(out)

    def started_in_hook(self, *words: str) -> subprocess.Popen[str]:
        """Start a command, and wait until its hook, which notes its number, is at work."""
        process = self.start(*words)
        until = time.monotonic() + 60
        while not (self.pid.exists() and self.pid.read_text().strip()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        return process

    def hook_is_alive(self) -> bool:
        return birth_of(int(self.pid.read_text())) != ""

    def kill_hook(self) -> None:
        os.killpg(int(self.pid.read_text()), signal.SIGKILL)


@pytest.fixture
def hooked(tmp_path: Path, world: World) -> Iterator[Hooked]:
    made = Hooked(tmp_path, world)
    yield made
    if made.pid.exists() and made.hook_is_alive():
        made.kill_hook()


def waiting(hooked: Hooked) -> str:
    """Return a script that notes its number and goes on for a minute."""
    return f"echo $$ > {hooked.pid}\nsleep 60"


def groups(world: World) -> list[str]:
    found = world.rows.query("SELECT name FROM resource WHERE is_ready")
    return sorted(name for (name,) in found)


def test_a_hook_that_calls_vmsnap_on_the_same_domain_is_busy_and_nothing_hangs(
    world: World, hooked: Hooked, tmp_path: Path
) -> None:
    """H48: on another one, or to read, it may."""
    tool = shlex.join(hooked.vmsnap.command("--database", hooked.vmsnap.database))
    for when in ("before", "after"):
        seen = tmp_path / f"seen-{when}"
        hooked.hook(
            when,
            f"cd {os.getcwd()}\n{tool} -q snapshot create $VMSNAP_HOOK_DOMAIN; echo $? > {seen}\n"  # noqa: PTH109
            f"{tool} vm show $VMSNAP_HOOK_DOMAIN >/dev/null; echo $? >> {seen}\n"
            f"env >> {seen}; ls -l /proc/self/fd >> {seen}",
        )
        hooked.run("snapshot", "create", hooked.name, "--name", when)
        lines = seen.read_text().splitlines()
        assert lines[:2] == ["75", "0"]
        assert f"VMSNAP_HOOK_DOMAIN={hooked.name}" in lines
        assert not any(line.startswith(("VMSNAP_DATABASE", "VMSNAP_CONFIG")) for line in lines)
        assert "/locks/" not in seen.read_text()
    assert groups(world) == ["after", "before"]


def test_a_hook_that_refuses_leaves_all_as_it_was(world: World, hooked: Hooked) -> None:
    hooked.vmsnap("snapshot", "create", hooked.name, "--name", "monday")
    before = world.seen()
    hooked.hook("before", "echo not now; exit 1", on_failure="stop")
    document = hooked.run("snapshot", "create", hooked.name, status=17)
    assert document["changed"] is False
    assert document["errors"][0]["code"] == "hook"
    assert document["errors"][0]["message"].endswith("ended with status 1: not now")
    assert (world.seen(), world.leftovers()) == (before, [])


@pytest.mark.parametrize("verb", ["snapshot create", "group revert"])
def test_killed_while_a_hook_of_before_runs_nothing_was_changed(
    world: World, hooked: Hooked, verb: str
) -> None:
    hooked.vmsnap("snapshot", "create", hooked.name, "--name", "monday")
    world.change(1)
    before = world.seen()
    hooked.hook("before", waiting(hooked), on_failure="stop")
    words = (hooked.name, "monday") if verb == "group revert" else (hooked.name,)
    process = hooked.started_in_hook(*verb.split(), *words)
    process.kill()
    process.communicate()
    assert hooked.hook_is_alive()
    assert (world.seen(), world.leftovers()) == (before, [])
    # The hook that is left does not keep the domain busy.
    hooked.vmsnap("snapshot", "create", hooked.name, "--name", "tuesday")
    assert groups(world) == ["monday", "tuesday"]


def test_killed_while_a_hook_of_after_runs_all_is_done_and_recorded(
    world: World, hooked: Hooked
) -> None:
    hooked.hook("after", waiting(hooked))
    process = hooked.started_in_hook("snapshot", "create", hooked.name, "--name", "monday")
    process.kill()
    process.communicate()
    assert (groups(world), world.leftovers()) == (["monday"], [])
    (line,) = hooked.vmsnap("history", hooked.name).data["history"]
    assert (line["verb"], line["subject"], line["outcome"]) == ("snapshot create", "monday", "done")
    assert hooked.vmsnap("recover").data == {"operations": []}
    hooked.vmsnap("group", "delete", hooked.name, "monday", "--yes")
    assert world.leftovers() == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_hook_of_before_and_nothing_was_changed(
    world: World, hooked: Hooked, number: int, status: int
) -> None:
    hooked.vmsnap("snapshot", "create", hooked.name, "--name", "monday")
    hooked.hook("before", waiting(hooked))
    before = world.seen()
    process = hooked.started_in_hook("snapshot", "create", hooked.name)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["changed"]) == (status, False)
    assert not hooked.hook_is_alive()
    assert (world.seen(), world.leftovers()) == (before, [])


def test_a_signal_ends_a_hook_of_after_and_all_is_done(world: World, hooked: Hooked) -> None:
    hooked.hook("after", waiting(hooked))
    process = hooked.started_in_hook("snapshot", "create", hooked.name, "--name", "monday")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["changed"]) == (130, True)
    assert not hooked.hook_is_alive()
    assert (groups(world), world.leftovers()) == (["monday"], [])


def test_a_signal_ends_the_hooks_of_all_domains_side_by_side(
    world: World, hooked: Hooked, tmp_path: Path
) -> None:
    """The main thread alone sees the signal; the hooks run in others."""
    hooked.hook("before", f"echo $$ >> {tmp_path}/pids\n{waiting(hooked)}")
    process = hooked.started_in_hook("snapshot", "create", "--all")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["changed"]) == (130, False)
    pids = (tmp_path / "pids").read_text().split()
    assert pids
    assert [pid for pid in pids if birth_of(int(pid))] == []
