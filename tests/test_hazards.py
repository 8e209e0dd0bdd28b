"""Every hazard that docs/hazards.md lists has a test that carries its number."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIST = TESTS.parent / "docs" / "hazards.md"
LINE = re.compile(r"^- H(\d+)( \(\*later\*\))?: ", re.MULTILINE)
NUMBER = re.compile(r"\bH(\d+)\b")


def listed():
    """Return number -> whether it waits for a later version."""
    return {int(number): bool(later) for number, later in LINE.findall(LIST.read_text())}


def carried():
    """Return the numbers that the docstrings and comments of tests carry."""
    files = (path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name)
    return {int(number) for path in files for number in NUMBER.findall(path.read_text())}


def test_the_list_is_whole():
    assert sorted(listed()) == list(range(1, 62))


@pytest.mark.parametrize("number", [number for number, later in listed().items() if not later])
def test_a_hazard_has_a_test_that_carries_its_number(number):
    assert number in carried()
