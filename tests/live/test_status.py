"""How domains stand on a real libvirt: at work, interrupted, and recovered; and its metrics."""

import subprocess
import sys
from pathlib import Path

import pytest
from livebed.killing import Runner
from livebed.world import STATE, World
from prometheus_client.parser import text_string_to_metric_families

from vmsnap.host.locks import FileLocks
from vmsnap.model import DomainId

pytestmark = pytest.mark.live


def level(run: Runner, world: World, status: int) -> tuple[str | None, list[str]]:
    ended = run("status", world.name, "--max-age", "1h", status=status)
    (domain,) = ended.document["data"]["domains"]
    return domain["level"], [trouble["code"] for trouble in domain["troubles"]]


def metrics(path: Path) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_killed_operation_is_critical_until_it_is_recovered(world: World, tmp_path: Path) -> None:
    path = tmp_path / "vmsnap.prom"
    with Runner(world.rows.url) as run:
        run("snapshot", "create", world.name, "--name", "monday", status=0)
        assert level(run, world, 0) == ("fine", [])
        world.change(1)
        killed = run("group", "revert", world.name, "monday", at=3)
        assert killed.was_killed
        assert world.journals()
        assert level(run, world, 3) == ("critical", ["interrupted"])
        run("--metrics-file", str(path), "status", status=3)
        assert metrics(path)["vmsnap_interrupted", world.name] == 1
        # While somebody sees to it, it is no alarm.
        with FileLocks(STATE).hold(DomainId(world.machine.id), "recover", 0):
            assert level(run, world, 0) == ("fine", [])
        run("--metrics-file", str(path), "recover", status=0)
        assert level(run, world, 0) == ("fine", [])
    found = metrics(path)
    assert found["vmsnap_interrupted", world.name] == 0
    assert found["vmsnap_last_run_exit_status", "recover"] == 0
    assert found["vmsnap_newest_group_complete", world.name] == 1


def test_a_group_whose_layer_is_gone_does_not_count(world: World) -> None:
    with Runner(world.rows.url) as run:
        run("snapshot", "create", world.name, "--name", "monday", status=0)
        frozen = world.machine.folder / "vda.qcow2"
        frozen.rename(frozen.with_suffix(".away"))
        assert level(run, world, 3) == ("critical", ["no_complete_group"])
        frozen.with_suffix(".away").rename(frozen)
        assert level(run, world, 0) == ("fine", [])


def test_a_plugin_of_a_user_who_may_not_look_is_unknown_and_never_green(world: World) -> None:
    with Runner(world.rows.url) as run:
        run("snapshot", "create", world.name, "--name", "monday", status=0)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "vmsnap", "status", "--nagios", "--max-age", "26h"],
        capture_output=True,
        text=True,
        user="nobody",
        group="nogroup",
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.startswith("UNKNOWN - ")
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
