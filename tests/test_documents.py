"""What the pages say of the tree is so: the tests and files that they name exist."""

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
CONTRIBUTING = (TESTS.parent / "CONTRIBUTING.md").read_text()
# The verb by which it shows how one is added.
INVENTED = {"vmsnap/engine/rename.py", "tests/engine/test_rename.py"}


@pytest.mark.parametrize("page", FOLDERS)
def test_every_test_that_a_page_names_exists(page):
    named = set(NAME.findall((TESTS.parent / "docs" / page).read_text()))
    assert len(named) > 8
    for name in named:
        folders = (TESTS.parent, *FOLDERS[page])
        assert any((folder / name).is_file() for folder in folders), f"{name} is gone"


def test_every_path_that_contributing_names_exists():
    named = set(re.findall(r"(?<![\w/])((?:vmsnap|tests|packaging)/[\w./-]*\w)", CONTRIBUTING))
    assert named > INVENTED
    assert {path for path in named if not (TESTS.parent / path).exists()} == INVENTED


def test_contributing_shows_every_room():
    shown = set(re.findall(r"^\| `vmsnap/(\w+)`", CONTRIBUTING, re.MULTILINE))
    package = TESTS.parent / "vmsnap"
    assert shown == {path.parent.name for path in package.glob("*/__init__.py")}


def test_contributing_shows_what_make_does_for_who_works_on_it():
    shown = set(re.findall(r"^    make ([\w-]+)", CONTRIBUTING, re.MULTILINE))
    makefile = (TESTS.parent / "Makefile").read_text()
    assert shown == set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE)) - {"demo", "clean"}
