"""Doctor on a real machine: nothing when it is healthy, and what was done to it by hand or kill."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.killing import Runner
from livebed.machine import Machine, VirshError, virsh

pytestmark = pytest.mark.live


@pytest.fixture
def patient(machine: Callable[..., Machine], vmsnap: Vmsnap) -> Machine:
    """Return a machine, off, with host files that libvirt made and one group."""
    made = machine(disks=("qcow2", "raw"), disk_mib=4)
    made.make_host_files()
    vmsnap("snapshot", "create", made.name, "--name", "monday")
    return made


def codes(vmsnap: Vmsnap, *words: str, status: int) -> list[str]:
    """Return the code words of what doctor finds."""
    found = vmsnap("doctor", *words, status=status).data["findings"]
    return sorted(item["code"] for item in found)


def test_a_healthy_machine_has_no_findings_off_or_running(patient: Machine, vmsnap: Vmsnap):
    assert codes(vmsnap, status=0) == []
    virsh("start", patient.name)
    assert codes(vmsnap, status=0) == []
    vmsnap("snapshot", "create", patient.name, "--name", "tuesday")
    assert codes(vmsnap, patient.name, status=0) == []
    virsh("suspend", patient.name)
    assert codes(vmsnap, status=0) == ["guest_paused"]
    virsh("destroy", patient.name)
    vmsnap("group", "revert", patient.name, "monday")
    vmsnap("group", "delete", patient.name, "tuesday", "--yes")
    assert codes(vmsnap, status=0) == []


def test_a_killed_revert_is_found_and_mended(patient: Machine, vmsnap: Vmsnap):
    """H55."""
    before = patient.host_files()
    with Runner(vmsnap.database) as run:
        revert = ("group", "revert", patient.name, "monday")
        calls = run(*revert, status=0).calls
        fenced = calls.index("LibvirtHypervisor.define") + 1
        assert run(*revert, at=fenced + 2).was_killed
    assert codes(vmsnap, status=3) == ["fence_left", "journal_left"]
    with pytest.raises(VirshError, match="interrupted-run-vmsnap-recover"):
        virsh("start", patient.name)
    mended = vmsnap("doctor", "--fix")
    assert [item["is_mended"] for item in mended.data["mended"]] == [True, True]
    assert codes(vmsnap, status=0) == []
    assert patient.host_files() == before
    virsh("start", patient.name)


def test_an_orphan_is_removed_when_a_person_says_so(patient: Machine, vmsnap: Vmsnap):
    base = patient.original("vda")
    path = base.with_name("vda.vmsnap-0123456789ab.qcow2")
    backing = ("-F", "qcow2", "-b", str(base))
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path)]
    subprocess.run(command, check=True)
    path.chmod(0o600)
    assert codes(vmsnap, "--fix", status=3) == ["orphan_overlay"]
    assert path.exists()
    assert codes(vmsnap, "--fix", "--yes", status=0) == []
    assert not path.exists()
    assert set(patient.disks.values()) <= set(path.parent.iterdir())
    virsh("start", patient.name)


def test_tpm_state_and_overlays_that_others_can_read_are_closed(patient: Machine, vmsnap: Vmsnap):
    """H25, H39."""
    owner = patient.tpm.stat().st_uid
    overlay: Path = patient.disks["vda"]
    patient.tpm.chmod(0o755)
    overlay.chmod(0o644)
    assert codes(vmsnap, status=3) == ["overlay_readable", "tpm_readable"]
    assert codes(vmsnap, "--fix", status=0) == []
    assert (patient.tpm.stat().st_mode & 0o777, patient.tpm.stat().st_uid) == (0o750, owner)
    assert overlay.stat().st_mode & 0o777 == 0o600
    virsh("start", patient.name)
