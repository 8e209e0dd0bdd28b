"""The benchmark runs and fills its tables; how fast anything was is not tested."""

import subprocess
import sys
from pathlib import Path

import pytest
from livebed.machine import IMAGES

BENCH = Path(__file__).parent / "bench.py"
ROUNDS = 3
"""Then each way was the first once, and the guest was given its first images back."""


def bench(*words):
    """Run the benchmark; return the title of its one table, and the lines below it as words."""
    done = subprocess.run(
        [sys.executable, BENCH, *words],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    title, *lines = done.stdout.strip().splitlines()
    return title, lines


@pytest.mark.live
def test_the_benchmark_measures_each_way_beside_the_bare_call():
    title, lines = bench("stillness", "--rounds", str(ROUNDS), "--disks", "1")
    assert title.split()[:3] == ["disks", "way", "rounds"]
    assert [line.split()[:3] for line in lines] == [
        ["1", way, str(ROUNDS)] for way in ("bare", "unchanged", "suspended")
    ]
    assert all(float(figure) > 0 for line in lines for figure in line.split()[3:])


@pytest.mark.live
def test_the_benchmark_measures_starts_beside_python():
    title, lines = bench("startup", "--starts", "2")
    assert title.startswith("start-up ")
    names = ["python -c pass", "vmsnap --version", "vmsnap __complete domain"]
    assert [line[:44].strip() for line in lines][:3] == names
    assert lines[0].split()[-2:] == ["1.00", "1.00"]


@pytest.mark.live
def test_the_benchmark_measures_creates_beside_a_script():
    title, lines = bench("operations", "--creates", "1", "--together", "1", "--machines", "2")
    assert title.startswith("operations ")
    assert [line[:44].strip() for line in lines] == [
        f"{what}, {where}"
        for where in ("in memory", "on disk")
        for what in (
            *("group.sh, 1 machine", "snapshot create DOMAIN"),
            *("group.sh, 2 machines", "snapshot create --all"),
        )
    ]
    assert not list(IMAGES.iterdir())
