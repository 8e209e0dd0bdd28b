"""The private host begins empty, and nothing of it outlives its command."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from livebed.machine import virsh

pytestmark = pytest.mark.live

SCRIPT = Path(__file__).parent / "private-host.sh"
LIMIT_SECONDS = 30


def processes_with(word: str) -> list[str]:
    """Return the command lines of all processes that hold a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if word in words:
            found.append(words)
    return found


def test_status_and_streams_pass_through():
    command = [SCRIPT, "sh", "-c", 'cat; echo "$VMSNAP_TEST_HOST" >&2; exit 7']
    done = subprocess.run(
        command, input="in and out", capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "in and out", "private\n")


def test_a_private_host_begins_empty_whatever_stands_outside(machine):
    web = machine()
    Path("/var/lib/vmsnap/outside").touch()
    looks = (
        "virsh -q list --all --name; ls /var/lib/vmsnap /etc/vmsnap /var/log/vmsnap | grep -v :$"
    )
    try:
        seen = subprocess.run(
            [SCRIPT, "sh", "-c", looks], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        Path("/var/lib/vmsnap/outside").unlink()
    assert seen.stdout.split() == []
    assert web.name in virsh("list", "--all", "--name")


@pytest.mark.parametrize("signal", ["terminate", "kill"])
def test_nothing_outlives_a_private_host_that_is_ended_by_a_signal(signal, tmp_path):
    word = str(tmp_path / "up")
    host = subprocess.Popen(
        [SCRIPT, sys.executable, "-c", f"open({word!r}, 'w'); import time; time.sleep(600)"]
    )
    until = time.monotonic() + LIMIT_SECONDS
    while not Path(word).exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert processes_with(word)
    getattr(host, signal)()
    host.wait(LIMIT_SECONDS)
    while processes_with(word):
        assert time.monotonic() < until
        time.sleep(0.05)
