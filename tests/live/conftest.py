"""Fixtures of the live tests: machines on the private host, and the real vmsnap command."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from livebed.command import Vmsnap
from livebed.machine import Hardware, Machine


@pytest.fixture
def machine() -> Iterator[Callable[..., Machine]]:
    """Make machines: `machine(firmware="bios", tpm=None, …)`, see Hardware; removed at the end."""
    made: list[Machine] = []

    def make(**hardware: object) -> Machine:
        made.append(Machine(Hardware(**hardware)))
        made[-1].create()
        return made[-1]

    yield make
    for each in reversed(made):
        each.remove()


@pytest.fixture
def vmsnap(tmp_path: Path) -> Vmsnap:
    """Run the real vmsnap, with a database of the test's own."""
    return Vmsnap(tmp_path / "vmsnap.db")
