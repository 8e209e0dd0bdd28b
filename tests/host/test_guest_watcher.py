"""The process that watches over a guest: what it notes, what it does when vmsnap ends, and how."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contracts.hypervisor_beds import LiveBed, disk_xml, domain_xml, make_image, new_id
from fakes.hypervisor import FakeHypervisor

from vmsnap.errors import LibvirtError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.guest_watcher import ProcessGuestWatcher, keep_watch, let_go
from vmsnap.model import DomainState
from vmsnap.ports import GuestStop

ROOT = Path(__file__).resolve().parents[2]
# libvirt's own, in the driver that needs no daemon.
TEST_DOMAIN = "6695eb01-f6a4-8304-79aa-97f2502e193f"
BOTH = {GuestStop.SUSPENDED, GuestStop.FROZEN}


@pytest.mark.parametrize(
    ("lines", "standing"),
    [
        ((), set()),
        (("stopping suspended",), {GuestStop.SUSPENDED}),
        (("stopping frozen\n", "stopping suspended\n"), BOTH),
        (("stopping frozen", "stopping suspended", "going suspended"), {GuestStop.FROZEN}),
        (("stopping suspended", "going suspended"), set()),
    ],
)
def test_what_stands_is_what_was_not_said_to_go_on(lines, standing):
    answers = []
    assert keep_watch(lines, answers.append) == standing
    assert len(answers) == len(lines)


@pytest.fixture
def guest(tmp_path):
    """A fake libvirt with a guest that was suspended and frozen."""
    definitions = XmlDefinitions.for_uri("qemu:///system")
    hypervisor = FakeHypervisor(definitions)
    image = tmp_path / "vda.qcow2"
    image.touch()
    uuid = hypervisor.add(domain_xml(new_id(), disk_xml(image, "vda")))
    hypervisor.machines[uuid].agent = "connected"
    hypervisor.start(uuid)
    hypervisor.suspend(uuid)
    hypervisor.machines[uuid].is_frozen = True
    hypervisor.calls.clear()
    return hypervisor, uuid


def test_a_guest_is_resumed_before_it_is_thawed(guest):
    """H29: a suspended guest's agent cannot answer."""
    hypervisor, uuid = guest
    let_go(hypervisor, uuid, BOTH)
    assert [call[0] for call in hypervisor.calls] == ["resume", "thaw"]


def test_what_does_not_stand_is_left_alone(guest):
    hypervisor, uuid = guest
    let_go(hypervisor, uuid, set())
    assert hypervisor.machines[uuid].state is DomainState.PAUSED


def test_a_libvirt_that_fails_is_asked_again(guest, monkeypatch):
    """H29: it may just be starting anew."""
    monkeypatch.setattr("vmsnap.host.guest_watcher.RETRY_SECONDS", 0)
    hypervisor, uuid = guest
    for _ in range(3):
        hypervisor.fail("resume")
    let_go(hypervisor, uuid, BOTH)
    assert hypervisor.machines[uuid].state is DomainState.RUNNING
    assert not hypervisor.machines[uuid].is_frozen


@pytest.mark.parametrize("end", ["stop", "undefine"])
def test_a_guest_that_is_gone_needs_nothing(guest, end):
    hypervisor, uuid = guest
    getattr(hypervisor, end)(uuid)
    let_go(hypervisor, uuid, BOTH)


def test_it_gives_up_at_last(guest, monkeypatch):
    """H4: every wait has a limit."""
    monkeypatch.setattr("vmsnap.host.guest_watcher.RETRY_SECONDS", 0)
    hypervisor, uuid = guest
    hypervisor.resume = lambda _uuid: (_ for _ in ()).throw(LibvirtError("no"))
    let_go(hypervisor, uuid, {GuestStop.SUSPENDED}, seconds=0.05)


def test_a_watcher_that_does_not_start_is_an_error_before_anything_is_stopped():
    """H29: without one no guest is stopped."""
    watcher = ProcessGuestWatcher("qemu:///no-such-driver")
    with pytest.raises(LibvirtError, match="watches over"), watcher.watch(new_id()):
        pytest.fail("it began")


def test_it_finds_vmsnap_where_only_the_program_looks():
    """H29: a package may hold its modules in a folder of its own, unknown to Python."""
    script = (
        f"import sys; sys.path[:0] = {[str(ROOT), *filter(None, sys.path)]!r}\n"
        "from vmsnap.host.guest_watcher import ProcessGuestWatcher\n"
        f"with ProcessGuestWatcher('test:///default').watch('{TEST_DOMAIN}'): pass"
    )
    # Not the one of .venv, which finds this clone wherever it looks.
    command = ["/usr/bin/python3", "-I", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- the real process on the real libvirt -----------------------------------------------------


@pytest.fixture
def live():
    bed = LiveBed()
    yield bed
    bed.close()


HOLDER = """
import sys, time
from vmsnap.host.guest_watcher import ProcessGuestWatcher
from vmsnap.host.hypervisor import LibvirtHypervisor
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.ports import GuestStop
uri, uuid = "qemu:///system", sys.argv[1]
with ProcessGuestWatcher(uri).watch(uuid) as watch:
    watch.stopping(GuestStop.SUSPENDED)
    LibvirtHypervisor(uri, XmlDefinitions.for_uri(uri)).suspend(uuid)
    print("suspended", flush=True)
    time.sleep(600)
"""


@pytest.mark.live
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_guest_whose_vmsnap_dies_goes_on_within_a_second(live, how):
    """H29: whatever it dies of; the guest was suspended by it."""
    uuid = new_id()
    live.hypervisor.define(domain_xml(uuid, disk_xml(make_image(live.folder / "a.qcow2"), "vda")))
    live.start(uuid)
    command = [sys.executable, "-c", HOLDER, uuid]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "suspended\n"
        assert live.hypervisor.domain(uuid).state is DomainState.PAUSED
        process.send_signal(how)
        until = time.monotonic() + 1
        while live.hypervisor.domain(uuid).state is not DomainState.RUNNING:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.live
def test_a_guest_that_was_told_to_go_on_is_left_alone(live):
    """A guest that an administrator pauses afterwards stays paused."""
    uuid = new_id()
    live.hypervisor.define(domain_xml(uuid, disk_xml(make_image(live.folder / "a.qcow2"), "vda")))
    live.start(uuid)
    with ProcessGuestWatcher("qemu:///system").watch(uuid) as watch:
        watch.stopping(GuestStop.SUSPENDED)
        watch.going(GuestStop.SUSPENDED)
        live.suspend(uuid)
    assert live.hypervisor.domain(uuid).state is DomainState.PAUSED
