"""Each kind of finding has a test that makes it by hand, named after its code word."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from vmsnap.engine import doctor, findings
from vmsnap.engine.findings.all import OF_DOMAINS, OF_HOST, WITHOUT_DATABASE
from vmsnap.engine.findings.finding import Kind, Severity

MODULES = [
    doctor,
    *(
        importlib.import_module(f"{findings.__name__}.{module.name}")
        for module in pkgutil.iter_modules(findings.__path__)
    ),
]
KINDS = [kind for module in MODULES for kind in vars(module).values() if isinstance(kind, Kind)]
PAGE = (Path(__file__).parents[3] / "docs" / "reliability.md").read_text()
TESTS = "\n".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_kind_has_a_test_and_a_sentence(kind):
    assert re.search(rf"def test_(\w+_and_)?{kind.code}_", TESTS)
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert kind.meaning
    assert not kind.meaning.endswith(".")
    assert kind.meaning[0].islower()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_the_page_says_of_a_kind_how_bad_it_is_and_whether_it_is_mended(kind):
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{kind.code}`" in line]
    cells = [cell.strip() for cell in rows[0].split("|")]
    cure = "" if kind.severity is Severity.NOTE else kind.cure.value
    assert cells[2:4] == [kind.severity.value, cure]


def test_code_words_are_used_once():
    codes = [kind.code for kind in KINDS]
    assert sorted(codes) == sorted(set(codes))


def test_every_function_that_finds_is_listed_once():
    listed = [find.__name__ for find in (*OF_DOMAINS, *OF_HOST)]
    there = {
        name
        for module in MODULES[1:]
        for name, value in vars(module).items()
        if name.startswith("find_") and callable(value) and value.__module__ == module.__name__
    }
    assert sorted(listed) == sorted(there)
    assert set(WITHOUT_DATABASE) <= set(OF_DOMAINS)
