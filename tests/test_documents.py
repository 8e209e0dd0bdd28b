"""The pages of docs/ name tests for what they claim; those tests exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
NAME = re.compile(r"`([\w/.]*test_\w+\.py)`")
# Where a page means a file that it names without a folder.
FOLDERS = {
    "threat-model.md": (TESTS / "host",),
    "reliability.md": (TESTS / "live", TESTS / "engine" / "findings"),
}


@pytest.mark.parametrize("page", FOLDERS)
def test_every_test_that_a_page_names_exists(page):
    named = set(NAME.findall((TESTS.parent / "docs" / page).read_text()))
    assert len(named) > 8
    for name in named:
        folders = (TESTS.parent, *FOLDERS[page])
        assert any((folder / name).is_file() for folder in folders), f"{name} is gone"
