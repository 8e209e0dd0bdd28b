"""What the pages say of the tree is so: the tests and files that they name exist."""

import re
from pathlib import Path

import pytest
import typer.main

from vmsnap.cli.app import app
from vmsnap.cli.global_options import command_words, moved_to_front

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


UNATTENDED = (TESTS.parent / "docs" / "unattended.md").read_text()


def test_the_page_on_unattended_use_has_every_metric_and_every_variable_of_a_hook():
    room = TESTS.parent / "vmsnap"
    families = set(
        re.findall(r'Family\(\s*"(\w+)"', (room / "cli/monitoring/metric_families.py").read_text())
    )
    variables = set(re.findall(r'"(VMSNAP_HOOK_\w+)"', (room / "engine/hooks.py").read_text()))
    shown = set(re.findall(r"^\| `(\w+)`", UNATTENDED, re.MULTILINE))
    assert len(families) > 10
    assert len(variables) == 8
    assert shown == families | variables


def test_every_command_of_that_page_is_understood():
    """Verb and options; `prune` without rules or a domain that is not there is another matter."""
    root = typer.main.get_command(app)
    inline = re.findall(r"`vmsnap ([^`]+)`", UNATTENDED)
    blocks = re.findall(
        r"^    [^#\n]*?(?<![\w/-])vmsnap ([-a-z][^#\n;]*)", UNATTENDED, re.MULTILINE
    )
    commands = [line.split() for line in (*inline, *blocks)]
    assert len(inline) > 5
    assert len(blocks) > 6
    for words in commands:
        _, rest = moved_to_front(root, words)
        verb = command_words(root, rest)
        command = root
        for word in verb.split():
            command = command.commands[word]
        options = {opt for item in (*root.params, *command.params) for opt in item.opts}
        assert verb, words
        assert {word for word in words if word.startswith("-")} <= options, words


def test_every_unit_of_that_page_is_in_the_package():
    units = set(re.findall(r"vmsnap-\w+@?\w*\.(?:service|timer)", UNATTENDED))
    names = {re.sub("@web1", "@", unit) for unit in units}
    assert names
    assert {
        name for name in names if not (TESTS.parent / "vmsnap" / "data" / name).exists()
    } == set()
