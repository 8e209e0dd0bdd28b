"""The benchmark runs and fills its table; how fast it was is not tested."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent / "bench.py"
ROUNDS = 3
"""Then each way was the first once, and the guest was given its first images back."""


@pytest.mark.live
def test_the_benchmark_measures_each_way_beside_the_bare_call():
    done = subprocess.run(
        [sys.executable, BENCH, "--rounds", str(ROUNDS), "--disks", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    title, *lines = (line.split() for line in done.stdout.splitlines())
    assert title[:3] == ["disks", "way", "rounds"]
    assert [line[:3] for line in lines] == [
        ["1", way, str(ROUNDS)] for way in ("bare", "unchanged", "suspended")
    ]
    assert all(float(figure) > 0 for line in lines for figure in line[3:])
