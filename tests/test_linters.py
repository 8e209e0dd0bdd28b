"""The rules of the house that a program can check: style, types, imports, sizes, stale pages."""

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap.cli.manual.pages import pages

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
MOST_LINES = 400
MOST_LINES_MEDIAN = 200
LINTERS = {
    "formatting": ("ruff", "format", "--check", "."),
    "style": ("ruff", "check", "."),
    "types": ("mypy",),
    "imports": ("lint-imports",),
    "spelling": ("codespell",),
}


@pytest.mark.parametrize("name", LINTERS)
def test_a_linter_finds_nothing_to_say(name):
    program, *arguments = LINTERS[name]
    done = subprocess.run(
        [PROGRAMS / program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(LINTERS[name])}\n{done.stdout}{done.stderr}"


def lines_of(folder: str) -> dict[str, int]:
    """Return how many lines each Python file below a folder has."""
    return {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


@pytest.mark.parametrize("folder", ["vmsnap", "tests"])
def test_files_are_short(folder):
    lines = {path: count for path, count in lines_of(folder).items() if count}
    too_long = {path: count for path, count in lines.items() if count > MOST_LINES}
    assert not too_long, "which room is missing?"
    assert statistics.median(lines.values()) < MOST_LINES_MEDIAN


def test_completions_and_manual_pages_are_those_of_the_program():
    written = pages()
    there = {
        str(path.relative_to(ROOT)): path.read_text()
        for folder in ("completions", "man")
        for path in (ROOT / folder).iterdir()
    }
    stale = [name for name in {**written, **there} if written.get(name) != there.get(name)]
    assert not stale, "run: make pages"
