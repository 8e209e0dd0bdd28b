"""The demo plays to its end, and what it says comes true."""

import subprocess
import sys
from pathlib import Path

import pytest
from livebed.machine import IMAGES, virsh

pytestmark = pytest.mark.live


def test_the_demo_plays_to_its_end_and_leaves_nothing():
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "demo.py"],
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for command in ("snapshot create", "group check", "group revert", "group delete", "history"):
        assert f"# vmsnap {command} web1" in done.stdout
    assert "web1" not in virsh("list", "--all", "--name")
    assert not (IMAGES / "web1").exists()
