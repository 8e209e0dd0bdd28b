"""The test bed for running machines: its agent is real, and its writer shows what is torn.

If the writer's numbers always agreed, the tests of live snapshots with it would prove nothing.
"""

from collections.abc import Iterator

import pytest
from livebed.machine import GuestError, Machine, VirshError, virsh
from livebed.numbers import disagreement, in_nvram, needs_recovery, on_disks

pytestmark = pytest.mark.live


@pytest.fixture
def web(agent_machine: Machine) -> Iterator[Machine]:
    """Return the machine that was booted once; its agent answers and nothing is frozen."""
    assert agent_machine.ask_agent("guest-fsfreeze-status") == "thawed"
    yield agent_machine
    if agent_machine.state == "running":
        virsh("domfsthaw", agent_machine.id)


def numbers_on_host(machine: Machine) -> dict[str, str]:
    return {**on_disks(machine.disks), "variable": in_nvram(machine.nvram.read_bytes())}


# --- the agent ---


def test_words_and_file_systems_are_kept_side_by_side(web):
    web.tell("write monday")
    found = web.tell("read")
    assert found == dict.fromkeys(("secret", "variable", "vda", "vdb"), "monday")
    assert virsh("domfsinfo", web.id)


def test_libvirt_lists_the_file_systems_that_the_agent_sees(web):
    lines = virsh("domfsinfo", web.id).splitlines()
    assert [tuple(line.split()) for line in lines] == [
        ("/mnt/vda", "vda1", "ext4", "vda"),
        ("/mnt/vdb", "vdb1", "ext4", "vdb"),
    ]


def test_a_freeze_leaves_file_systems_on_the_disks_that_need_no_recovery(web):
    # What the guest has in its memory alone reaches the disks by the freeze.
    assert all(needs_recovery(path) for path in web.disks.values())
    virsh("domfsfreeze", web.id)
    assert web.ask_agent("guest-fsfreeze-status") == "frozen"
    assert not any(needs_recovery(path) for path in web.disks.values())
    virsh("domfsthaw", web.id)
    assert web.ask_agent("guest-fsfreeze-status") == "thawed"
    assert all(needs_recovery(path) for path in web.disks.values())


def test_the_writer_stands_still_while_file_systems_are_frozen(web):
    web.tell("writer-disks 1")
    virsh("domfsfreeze", web.id)
    before = on_disks(web.disks)
    with pytest.raises(GuestError, match="did not say"):
        web.tell("writer-disks 1", limit_seconds=2)
    assert on_disks(web.disks) == before
    done = web.count_lines("DONE writer-disks")
    virsh("domfsthaw", web.id)
    web.wait_for("DONE writer-disks", times=done + 1)


def test_an_agent_that_was_killed_is_not_connected_and_leaves_the_guest_frozen(web):
    virsh("domfsfreeze", web.id)
    web.tell("agent-kill")
    with pytest.raises(VirshError, match="QEMU guest agent is not connected"):
        virsh("domfsthaw", web.id)
    web.tell("agent")
    assert web.ask_agent("guest-fsfreeze-status") == "frozen"


def test_an_agent_that_hangs_is_connected_but_does_not_answer(web):
    web.tell("agent-hang")
    # libvirt 9: "is not responding"; libvirt 11: "command timed out".
    with pytest.raises(VirshError, match=r"agent (is not responding|command timed out)"):
        web.ask_agent("guest-ping", limit_seconds=1)
    assert "state='connected'" in virsh("dumpxml", web.id)
    web.tell("agent-wake")
    assert web.ask_agent("guest-ping") == {}


def test_the_agent_shuts_the_guest_down_when_libvirt_says_so(web):
    web.stop()
    assert "\nEND\n" in web.console_text()


# --- the writer ---


def test_a_writer_that_is_cut_off_leaves_numbers_of_one_instant_and_the_button_stops_it(machine):
    web = machine(boots_guest=True)
    web.boot_and_stay("writer")
    web.wait_for_steps(3)

    virsh("suspend", web.id)
    assert disagreement(numbers_on_host(web)) is None
    virsh("resume", web.id)

    web.wait_for_steps(2)
    web.destroy()
    on_host = numbers_on_host(web)
    assert int(on_host["vda"]) >= 5

    web.boot_and_stay("numbers", "writer")
    found = web.found()
    assert disagreement(found) is None
    assert {name: found[name] for name in on_host} == on_host
    web.wait_for_steps(1)
    web.stop()
    assert disagreement(numbers_on_host(web)) is None


def test_a_disk_snapshot_and_a_later_nvram_disagree(machine):
    web = machine(boots_guest=True, tpm=None)
    web.boot_and_stay("writer")
    web.wait_for_steps(3)
    virsh("snapshot-create-as", web.id, "torn", "--disk-only", "--atomic", "--no-metadata")
    frozen = on_disks(web.originals)
    assert disagreement(frozen) is None
    web.wait_for_steps(3)
    torn = {**frozen, "variable": in_nvram(web.nvram.read_bytes())}
    assert "not of one instant" in disagreement(torn)


@pytest.mark.parametrize(
    "torn",
    [
        {"vda": "7", "vda.end": "5"},
        {"vda": "7", "vdb": "8"},
        {"vda": "7", "variable": "7", "nv": "8"},
        {"vda": "7", "vdb": "6", "variable": "7"},
        {"vda": "2", "nv": "-"},
    ],
    ids=str,
)
def test_numbers_of_two_instants_disagree(torn):
    assert disagreement(torn) is not None
    assert disagreement(dict.fromkeys(torn, "7")) is None
