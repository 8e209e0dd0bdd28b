"""The table of docs/hazards.md: for each hazard the tests whose docstrings carry its number.

`python tests/hazard_table.py` (or `make pages`) writes it anew; a test says when it is stale.
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "hazards.md"
NUMBER = re.compile(r"\bH(\d+)\b")
LINE = re.compile(r"^- H(\d+): ", re.MULTILINE)
BEGIN = "<!-- made by `make pages` -->\n"
HEAD = "| hazard | shown by |\n| --- | --- |\n"


def listed(page: str) -> list[int]:
    """Return the numbers of the hazards that the page lists, in its order."""
    return [int(number) for number in LINE.findall(page)]


def carried(folder: Path = TESTS) -> dict[int, dict[str, list[str]]]:
    """Return number -> file -> names of the tests whose docstrings carry it."""
    found: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.rglob("test_*.py")):
        name = path.relative_to(folder).as_posix()
        for function in _functions(ast.parse(path.read_text())):
            for number in sorted(set(NUMBER.findall(ast.get_docstring(function) or ""))):
                found[int(number)][name].append(function.name)
    return {number: dict(files) for number, files in found.items()}


def with_table(page: str, tests: dict[int, dict[str, list[str]]]) -> str:
    """Return the page with its table made anew; all that stands before the table is kept."""
    rows = "".join(f"| H{number} | {_cell(tests.get(number, {}))} |\n" for number in listed(page))
    return page.partition(BEGIN)[0] + BEGIN + HEAD + rows


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return [function for function in functions if function.name.startswith("test_")]


def _cell(files: dict[str, list[str]]) -> str:
    return "<br>".join(
        f"[{name}](../tests/{name}): {', '.join(names)}" for name, names in files.items()
    )


if __name__ == "__main__":
    sys.stdout.write(f"{PAGE}\n")
    PAGE.write_text(with_table(PAGE.read_text(), carried()))
