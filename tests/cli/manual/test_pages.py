"""What is written from the app is what is committed, and each verb has its page."""

import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap.cli.manual.commands import program
from vmsnap.cli.manual.pages import pages

ROOT = Path(__file__).resolve().parents[3]
VERBS = [command for command in program().walk() if command.words and not command.commands]


def test_completions_and_manual_pages_are_those_of_the_program():
    written = pages()
    stale = [name for name, text in written.items() if _committed(name) != text]
    assert not stale, "run: make pages"
    there = {
        str(path.relative_to(ROOT))
        for folder in ("completions", "man")
        for path in (ROOT / folder).iterdir()
    }
    assert there == set(written), "run: make pages"


def _committed(name: str) -> str | None:
    path = ROOT / name
    return path.read_text() if path.exists() else None


def test_writing_removes_the_pages_of_verbs_that_are_no_more(tmp_path):
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "vmsnap-gone.1").write_text("old")
    command = [sys.executable, "-m", "vmsnap.cli.manual", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("*/*")}
    assert found == pages()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.path)
def test_every_verb_has_a_page_with_an_example_of_it(verb):
    page = pages()[f"man/vmsnap-{'-'.join(verb.words)}.1"]
    _, _, examples = page.partition('.SH "EXAMPLES"')
    assert f"vmsnap {verb.path}".replace("-", "\\-") in examples
