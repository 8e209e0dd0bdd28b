"""A frozen layer that somebody wrote to, through the real libvirt: no merge makes it look whole."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.machine import Machine

pytestmark = pytest.mark.live

DAMAGED = {"g1", "g2"}


@pytest.fixture
def written(machine: Callable[..., Machine], vmsnap: Vmsnap) -> Machine:
    """Return a machine, off, with three groups; the layer of the second was written to since."""
    made = machine(disks=("qcow2",), disk_mib=4)
    made.make_host_files()
    for name in ("g0", "g1", "g2"):
        vmsnap("snapshot", "create", made.name, "--name", name)
    shown = vmsnap("group", "show", made.name, "g1").data["group"]
    layer = Path(shown["disks"][0]["frozen_path"])
    order = "write -q -P 0x77 0 64k"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", order, str(layer)], check=True)
    assert damaged(vmsnap, made) == DAMAGED
    return made


def damaged(vmsnap: Vmsnap, machine: Machine) -> set[str]:
    """Name the groups of which a check says that a layer was changed."""
    checked = vmsnap("group", "check", machine.name, "--intact", status=15)
    return {
        group["name"]
        for group in checked.data["groups"]
        if "layer_changed" in {reason["code"] for reason in group["reasons"]}
    }


def codes(vmsnap: Vmsnap, machine: Machine) -> set[str]:
    """Return what doctor finds amiss with a machine."""
    found = vmsnap("doctor", machine.name, status=None).data["findings"]
    return {finding["code"] for finding in found}


def test_a_delete_of_a_healthy_group_leaves_the_others_damaged(
    written: Machine, vmsnap: Vmsnap
) -> None:
    done = vmsnap("group", "delete", written.name, "g0", "--yes")
    assert [note for note in done.data["notes"] if "stays damaged" in note]
    assert damaged(vmsnap, written) == DAMAGED
    assert "layer_changed" in codes(vmsnap, written)
    vmsnap("group", "delete", written.name, "g1", "--yes")
    assert damaged(vmsnap, written) == {"g2"}


def test_a_prune_leaves_what_it_kept_as_damaged_so(written: Machine, vmsnap: Vmsnap) -> None:
    rules = ("--keep-name", "zzz", "--allow-empty", written.name)
    done = vmsnap("prune", written.name, *rules)
    assert {point["name"] for point in done.data["points"] if point["is_kept"]} == DAMAGED
    assert damaged(vmsnap, written) == DAMAGED
    again = vmsnap("prune", written.name, *rules)
    assert {point["name"] for point in again.data["points"] if point["is_kept"]} == DAMAGED


def test_a_recover_that_merges_what_waited_leaves_the_others_damaged(
    written: Machine, vmsnap: Vmsnap
) -> None:
    written.start("--paused")
    vmsnap("group", "delete", written.name, "g0", "--yes", status=3)
    written.destroy()
    vmsnap("recover")
    assert damaged(vmsnap, written) == DAMAGED


def test_a_status_names_the_damage_and_advises_no_group_that_would_be_damaged_too(
    written: Machine, vmsnap: Vmsnap
) -> None:
    (domain,) = vmsnap("status", written.name, "--max-age", "1h", status=3).data["domains"]
    assert domain["newest_complete"]["name"] == "g0"
    (trouble,) = domain["troubles"]
    assert (trouble["level"], trouble["code"]) == ("warning", "damaged")
    assert trouble["message"].startswith("groups 'g1', 'g2' are damaged, ")
    vmsnap("group", "delete", written.name, "g0", "--yes")
    (domain,) = vmsnap("status", written.name, "--max-age", "1h", status=3).data["domains"]
    (trouble,) = domain["troubles"]
    assert (trouble["level"], trouble["code"]) == ("critical", "no_complete_group")
    assert trouble["command"] == f"vmsnap doctor {written.name}"
