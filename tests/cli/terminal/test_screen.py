"""What a terminal shows: within its width, in its characters, with colours that it wants."""

import re

import pytest

from vmsnap.cli.terminal import screen as drawing_on
from vmsnap.cli.terminal.answer import Branch, Column, Graph, Line, Mark, Point, Table

LONG = "/pool/" + "a-very-long-folder/" * 12 + "web.qcow2"
TREE = Branch("web", children=(Branch("a", children=(Branch("b"),)), Branch("c")))


@pytest.fixture
def shown(terminal, monkeypatch):
    """What is seen of blocks on a terminal of so many columns, line by line, without colours."""

    def see(*blocks, columns=80):
        with terminal("stdout") as screen:
            monkeypatch.setenv("COLUMNS", str(columns))
            drawing_on.draw(blocks)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.shown)
        return [line.rstrip() for line in plain.split("\r\n")[:-1]]

    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return see


def test_a_tree_is_drawn_in_lines(shown):
    assert shown(TREE) == ["web", "├── a", "│   └── b", "└── c"]


def test_a_history_has_no_titles(shown):
    first = Point("web1", Mark.TITLE, next=Point("monday", Mark.GROUP, ("1 KiB",)))
    assert shown(Graph(first, (Column("SIZE"),))) == ["web1", "● monday  1 KiB"]


def test_a_table_has_one_line_below_its_titles(shown):
    table = Table((Column("NAME"), Column("SIZE", is_number=True)), (("网", "5 KiB"),))
    assert shown(table) == ["NAME   SIZE", "───────────", "网    5 KiB"]


def test_a_cell_that_does_not_fold_is_never_cut(shown):
    """What is copied from it has to name the same thing."""
    table = Table((Column("NAME"), Column("PATH")), (("web\x1b1", LONG),))
    lines = shown(table)
    assert len(lines) == 3
    assert lines[2] == f"web\\x1b1  {LONG}"


def test_a_cell_that_folds_stays_in_its_column(shown):
    table = Table((Column("NAME", folds=True), Column("SIZE")), ((LONG, "5 KiB"), ("b", "1 KiB")))
    lines = shown(table, columns=40)
    assert all(len(line) <= 40 for line in lines)
    cells = [line[:33].strip() for line in lines[2:-1]]
    assert "".join(cells) == LONG
    assert lines[2].endswith("5 KiB")


@pytest.mark.parametrize(
    ("environment", "utf8_mode", "knows"),
    [
        ({"LC_ALL": "de_DE.UTF-8"}, 0, True),
        ({"LANG": "en_US.utf8"}, 0, True),
        ({"LC_ALL": "C"}, 1, False),
        ({"LANG": "C"}, 1, False),
        ({}, 1, False),
        ({"LC_ALL": "C.UTF-8"}, 1, True),
    ],
)
def test_the_locale_says_whether_a_terminal_knows_line_graphics(
    environment, utf8_mode, knows, monkeypatch
):
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(drawing_on.sys, "flags", Flags(utf8_mode))
    assert drawing_on.knows_line_graphics(Stream("utf-8")) is knows
    assert drawing_on.knows_line_graphics(Stream("ascii")) is False


class Flags:
    def __init__(self, utf8_mode):
        self.utf8_mode = utf8_mode


class Stream:
    def __init__(self, encoding):
        self.encoding = encoding


def test_an_ascii_terminal_is_drawn_on_in_ascii(shown, monkeypatch):
    monkeypatch.setattr(drawing_on, "knows_line_graphics", lambda _stream: False)
    table = Table((Column("NAME"),), (("web1",),))
    assert shown(TREE, table)[:6] == ["web", "|-- a", "|   `-- b", "`-- c", "NAME", "----"]


def test_no_color_takes_colours_away(terminal, monkeypatch):
    table = Table((Column("NAME", "bold"),), (("web1",),), ("green",))
    for block in (Line("done", "green"), table):
        with terminal("stdout") as screen:
            drawing_on.draw([block])
        assert "32m" in screen.shown
        monkeypatch.setenv("NO_COLOR", "1")
        with terminal("stdout") as screen:
            drawing_on.draw([block])
        assert "32m" not in screen.shown
        monkeypatch.delenv("NO_COLOR")
