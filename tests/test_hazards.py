"""Every hazard that docs/hazards.md lists has tests that carry its number, and shows them."""

import pytest
from hazard_table import PAGE, carried, listed, with_table

HAZARDS = range(1, 62)
FOUND = carried()


def test_the_list_is_whole():
    assert sorted(listed(PAGE.read_text())) == list(HAZARDS)


@pytest.mark.parametrize("number", HAZARDS)
def test_a_hazard_has_a_test_that_carries_its_number(number):
    assert number in FOUND


def test_the_table_shows_all_tests_that_there_are():
    page = PAGE.read_text()
    assert with_table(page, FOUND) == page, "make pages"


def test_a_hazard_without_a_test_is_seen(tmp_path):
    (tmp_path / "test_one.py").write_text('def test_it():\n    """H7."""\n')
    assert carried(tmp_path) == {7: {"test_one.py": ["test_it"]}}
