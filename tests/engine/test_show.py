"""Looking at machines: their parts, and what a snapshot would take."""

import os

import pytest

from vmsnap.engine.show import list_domains, show_domain
from vmsnap.errors import DomainNotFoundError, HostFileError
from vmsnap.model import DomainState, HostFileType, Job

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM


def files_of(view):
    return {item.type: item for item in view.host_files}


def test_a_machine_is_shown_with_chains_sizes_and_verdicts(world):
    world.create("monday")
    view = show_domain(world.ports, world.name)
    disks = {disk.target: disk for disk in view.disks}
    assert [image.path for image in disks["vda"].chain] == [
        world.active("vda"),
        world.disks["vda"],
    ]
    assert disks["vdb"].chain[1].format == "raw"
    assert disks["vda"].verdict.is_taken
    assert disks["sda"].verdict.is_taken is False
    assert disks["sda"].verdict.must_be_excluded is False
    files = files_of(view)
    assert (files[NVRAM].path, files[NVRAM].size_bytes) == (world.nvram, 4096)
    assert files[TPM].path == world.tpm
    assert view.domain.definition.firmware == "uefi"


def test_showing_changes_nothing(world):
    before = world.everything()
    show_domain(world.ports, world.name)
    list_domains(world.ports)
    assert world.everything() == before


def test_what_is_not_created_yet_has_no_size(world):
    """H18."""
    world.nvram.unlink()
    nvram = files_of(show_domain(world.ports, world.name))[NVRAM]
    assert (nvram.size_bytes, nvram.verdict.is_taken) == (None, True)


def test_what_cannot_be_taken_says_why(world):
    """H21, H22."""
    world.disks["vdb"].unlink()
    world.nvram.unlink()
    world.nvram.symlink_to("/etc/hostname")
    view = show_domain(world.ports, world.name)
    vdb = next(disk for disk in view.disks if disk.target == "vdb")
    nvram = files_of(view)[NVRAM]
    for verdict in (vdb.verdict, nvram.verdict):
        assert verdict.is_taken is False
        assert verdict.must_be_excluded
        assert verdict.reason


def test_what_would_be_unsafe_is_noted(world):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    machine = world.hypervisor.machines[world.uuid]
    machine.block_jobs = (Job("block copy", "vda"),)
    machine.checkpoints = ("c1",)
    notes = " ".join(show_domain(world.ports, world.name).notes)
    for word in ("managed-save", "block copy on vda", "checkpoints (c1)"):
        assert word in notes


def test_why_no_snapshot_can_be_taken_now_is_noted_as_create_refuses_it(world):
    """The parts' own verdicts say what a snapshot would take once it can be taken."""
    machine = world.hypervisor.machines[world.uuid]
    for state in (DomainState.SHUT_OFF, DomainState.RUNNING, DomainState.PAUSED):
        machine.state = state
        assert show_domain(world.ports, world.name).notes == ()
    machine.state = DomainState.OTHER
    (note,) = show_domain(world.ports, world.name).notes
    assert "no snapshot before that is done" in note
    machine.state = DomainState.SHUT_OFF
    machine.is_persistent = False
    assert "transient: no snapshot" in show_domain(world.ports, world.name).notes[0]


def test_a_fence_is_noted_with_its_cure(world):
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_fence(machine.xml)
    assert any("vmsnap recover" in note for note in show_domain(world.ports, world.name).notes)


def test_an_unknown_domain_is_refused(world):
    with pytest.raises(DomainNotFoundError):
        show_domain(world.ports, "nobody")


def test_the_list_reads_neither_images_nor_host_files(world):
    for path in world.disks.values():
        path.unlink()
    files = world.ports.host_files

    class Unreadable:
        def read(self, spec):
            raise HostFileError(f"cannot read '{spec.path}'")

    (view,) = list_domains(world.with_ports(host_files=Unreadable()).ports)
    assert files is not None
    assert view.domain.name == world.name
    assert [disk.target for disk in view.disks] == ["vda", "vdb", "sda"]


def test_a_domain_that_goes_away_meanwhile_is_left_out(world):
    world.hypervisor.on("domain", lambda: world.hypervisor.undefine(world.uuid))
    assert list_domains(world.ports) == ()


def test_no_view_shows_the_definition(world):
    """H50."""
    assert "hush" not in repr(show_domain(world.ports, world.name))


def test_a_disk_that_a_start_would_not_use_is_not_taken_while_the_domain_runs(world):
    """As create refuses it: one attached to the running domain alone, or another image."""
    world.hypervisor.start(world.uuid)
    machine = world.hypervisor.machines[world.uuid]
    other = world.disks["vda"].with_name("other.qcow2")
    machine.xml = machine.xml.replace(str(world.disks["vda"]), str(other))
    disks = {disk.target: disk for disk in show_domain(world.ports, world.name).disks}
    verdict = disks["vda"].verdict
    assert (verdict.is_taken, verdict.must_be_excluded) == (False, True)
    assert f"runs with '{world.disks['vda']}'" in verdict.reason
    assert disks["vdb"].verdict.is_taken


def test_who_is_at_work_on_a_machine_is_shown_without_waiting(world):
    """H48: verb and process, in the list and on the page."""
    assert show_domain(world.ports, world.name).holder is None
    with world.ports.locks.hold(world.uuid, "group revert", 0):
        for view in (show_domain(world.ports, world.name), *list_domains(world.ports)):
            assert view.holder is not None
            assert (view.holder.verb, view.holder.pid) == ("group revert", os.getpid())
