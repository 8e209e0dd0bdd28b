"""Creating groups of a machine that runs, or is started, stopped or switched in the middle."""

import pytest
from fakes.merging import merging_images

from vmsnap.errors import (
    HostFileChangedError,
    StateError,
    UnsupportedError,
    UsageError,
)
from vmsnap.model import DomainState, HostFileType, Proof


@pytest.fixture
def running(world):
    """Let the machine run."""
    world.hypervisor.on_merge = merging_images(world.hypervisor)
    world.hypervisor.start(world.uuid)
    return world


def moving(world, times):
    """Let the guest write its NVRAM at the very moment of the next switches."""
    for number in range(times):
        data = bytes([number + 1]) * 4096
        world.hypervisor.on(
            "switch_disks", lambda data=data: world.nvram.write_bytes(data), skip=number
        )


def kept(world, group):
    """The NVRAM that a group holds."""
    return world.ports.catalog.content(group.group.resource.backup(HostFileType.NVRAM).digest)


def test_a_running_machine_gives_a_group_that_it_can_be_brought_back_to(running):
    before = running.machine()
    group = running.create("monday").group
    assert group.group.instant.proof is Proof.UNCHANGED
    assert group.group.instant.domain_state is DomainState.RUNNING
    assert running.machine() == before
    running.fill(7)
    running.hypervisor.stop(running.uuid)
    running.revert("monday")
    assert running.machine() == before


def test_what_the_guest_writes_until_the_switch_is_in_the_group(running):
    """The facts of a frozen layer are those after the switch, not those of the plan."""

    def write():
        for target in running.disks:
            running.write(target, 42)

    running.hypervisor.on("switch_disks", write)
    group = running.create("monday").group
    running.hypervisor.stop(running.uuid)
    assert running.group_disks(group) == {
        target: running.machine()[target] for target in running.disks
    }
    running.revert("monday")


def test_host_files_that_moved_are_read_again_with_the_guest_suspended(running):
    """H16: what is kept is what was there at the switch."""
    moving(running, 1)
    group = running.create("monday").group
    assert group.group.instant.proof is Proof.SUSPENDED
    assert group.group.instant.stood_still_ms > 0
    assert kept(running, group) == b"\x01" * 4096
    assert running.hypervisor.domain(running.uuid).state is DomainState.RUNNING
    assert len(running.rows()[0]) == 1


def test_host_files_that_move_for_ever_end_it_and_change_nothing(running):
    """H4, H17: every wait has a limit."""
    before = (running.rows(), running.files(), running.definition())
    moving(running, 9)
    with pytest.raises(HostFileChangedError, match="changed"):
        running.create("monday")
    assert (running.rows(), running.files(), running.definition()) == before
    assert running.journals() == ()
    assert running.hypervisor.domain(running.uuid).state is DomainState.RUNNING


def test_a_guest_that_must_not_be_suspended_is_not(running):
    moving(running, 1)
    with pytest.raises(HostFileChangedError) as caught:
        running.create("monday", no_suspend=True)
    assert "--no-suspend" in caught.value.hint
    assert "suspend" not in {call[0] for call in running.hypervisor.calls}


def test_suspending_can_be_demanded_and_not_both_demanded_and_forbidden(running):
    group = running.create("monday", suspend=True).group
    assert group.group.instant.proof is Proof.SUSPENDED
    with pytest.raises(UsageError):
        running.create("tuesday", suspend=True, no_suspend=True)
    with pytest.raises(UsageError):
        running.create("tuesday", quiesce=True, try_quiesce=True)


def test_a_paused_machine_stays_paused(running):
    running.hypervisor.suspend(running.uuid)
    group = running.create("monday", suspend=True).group
    assert group.group.instant.domain_state is DomainState.PAUSED
    assert running.hypervisor.domain(running.uuid).state is DomainState.PAUSED


def test_a_machine_that_is_neither_on_nor_off_is_refused(running):
    running.hypervisor.machines[running.uuid].state = DomainState.OTHER
    with pytest.raises(StateError, match="saved or migrated"):
        running.create("monday")


# --- freezing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "words"), [(None, "no channel"), ("disconnected", "no guest agent runs")]
)
def test_freezing_without_an_agent_is_refused_before_anything_changes(running, agent, words):
    """H30."""
    before = running.everything()
    running.hypervisor.machines[running.uuid].agent = agent
    with pytest.raises(UnsupportedError, match=words) as caught:
        running.create("monday", quiesce=True)
    assert "--try-quiesce" in caught.value.hint
    assert running.everything() == before
    result = running.create("monday", try_quiesce=True)
    assert words in result.notes[0]
    assert not result.group.group.instant.is_quiesced


def test_freezing_with_an_agent_is_recorded(running):
    running.hypervisor.machines[running.uuid].agent = "connected"
    group = running.create("monday", quiesce=True, freeze_seconds=5).group
    assert group.group.instant.is_quiesced
    assert group.group.instant.frozen_ms > 0
    assert ("freeze", running.uuid, "5") in running.hypervisor.calls


def test_freezing_a_paused_machine_is_refused(running):
    running.hypervisor.machines[running.uuid].agent = "connected"
    running.hypervisor.suspend(running.uuid)
    with pytest.raises(UnsupportedError, match="cannot answer"):
        running.create("monday", quiesce=True)


def test_a_machine_that_is_off_has_nothing_to_freeze(world):
    assert "nothing to freeze" in world.create("monday", quiesce=True).notes[0]


# --- others at the same time ----------------------------------------------------------------------


def test_a_machine_started_just_before_the_switch_gives_the_group_of_a_running_one(world):
    """H26: the recorded state is that after libvirt's call."""
    world.hypervisor.on("switch_disks", lambda: world.hypervisor.start(world.uuid))
    group = world.create("monday").group
    assert group.group.instant.domain_state is DomainState.RUNNING
    assert "backingStore" not in world.hypervisor.machines[world.uuid].xml


def test_a_machine_started_while_its_host_files_move_is_taken_again(world):
    """H26, H16: a start rewrites the TPM's state."""
    world.hypervisor.on_merge = merging_images(world.hypervisor)

    def start():
        world.hypervisor.start(world.uuid)
        world.nvram.write_bytes(b"s" * 4096)

    world.hypervisor.on("switch_disks", start, when="after")
    group = world.create("monday").group
    assert group.group.instant.proof is Proof.UNCHANGED
    assert kept(world, group) == b"s" * 4096
    assert len(world.rows()[0]) == 1


def test_a_machine_stopped_just_before_the_switch_gives_the_group_of_one_that_is_off(running):
    """H26."""
    running.hypervisor.on("switch_disks", lambda: running.hypervisor.stop(running.uuid))
    group = running.create("monday").group
    assert group.group.instant.proof is Proof.OFFLINE
    assert running.group_disks(group) == {
        target: running.machine()[target] for target in running.disks
    }


def test_a_machine_that_goes_away_meanwhile_leaves_nothing_behind(running):
    """H26: migrated to another host."""
    files = running.files()
    running.hypervisor.on("switch_disks", lambda: running.hypervisor.undefine(running.uuid))
    with pytest.raises(Exception, match="no domain"):
        running.create("monday")
    assert running.files() == files
    assert running.journals() == ()


# --- what the definition does not say -------------------------------------------------------------


def test_a_disk_attached_only_to_the_running_machine_has_to_be_excluded(running):
    machine = running.hypervisor.machines[running.uuid]
    other = running.stacked(running.disks["vda"], "hot")
    machine.live_xml = running.ports.definitions.with_sources(
        machine.live_xml, {"vda": (other, "qcow2")}
    )
    with pytest.raises(UnsupportedError, match="next start") as caught:
        running.create("monday")
    assert "--exclude vda" in caught.value.hint
    assert running.create("monday", exclude=("vda",)).left_out[0].target == "vda"


def test_a_disk_attached_only_for_the_next_start_is_left_out_and_said(running):
    machine = running.hypervisor.machines[running.uuid]
    extra = running.folder / "vdz.raw"
    extra.write_bytes(b"\0" * 4096)
    disk = (
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{extra}'/><target dev='vdz' bus='virtio'/></disk>"
    )
    machine.xml = machine.xml.replace("</devices>", f"{disk}</devices>")
    left_out = {item.target: item.reason for item in running.create("monday").left_out}
    assert left_out["vdz"] == "attached only at the next start"
