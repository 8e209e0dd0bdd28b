"""The printer: plain text into a pipe, drawn text on a terminal, one document with --json."""

import pytest

from vmsnap.cli.terminal.answer import Answer, Branch, Column, Line, Problem, Table
from vmsnap.cli.terminal.output import Printer

LONG = "/pool/" + "a-very-long-folder/" * 12 + "web.qcow2"
TABLE = Table(
    (Column("NAME"), Column("SIZE", is_number=True), Column("PATH")),
    (("网", "5 KiB", LONG), ("web\x1b1", "12 KiB", "/x")),
)
TREE = Branch("web", children=(Branch("a", children=(Branch("b"),)), Branch("c")))


@pytest.fixture
def printer():
    return Printer()


def test_a_table_in_a_pipe_is_plain_whole_and_aligned(printer, capsys):
    assert printer.answer("x", Answer({}, (TABLE,))) == 0
    assert capsys.readouterr().out == (
        f"NAME        SIZE  PATH\n网         5 KiB  {LONG}\nweb\\x1b1  12 KiB  /x\n"
    )


def test_a_tree_in_a_pipe_has_no_box_characters(printer, capsys):
    printer.answer("x", Answer({}, (TREE,)))
    assert capsys.readouterr().out == "web\n|-- a\n|   `-- b\n`-- c\n"


def test_colours_are_for_terminals_without_no_color(printer, terminal, monkeypatch):
    with terminal("stdout") as screen:
        printer.answer("x", Answer({}, (Line("done", "green"),)))
    assert "\x1b[32m" in screen.shown
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal("stdout") as screen:
        printer.answer("x", Answer({}, (Line("done", "green"),)))
    assert "\x1b[32m" not in screen.shown


def test_quiet_leaves_out_news_hints_and_notes_but_no_results_and_no_errors(printer, capsys):
    printer.is_quiet = True
    news = Answer({}, (Line("created"),), hint="vmsnap undo web1", is_news=True)
    printer.answer("x", news)
    assert capsys.readouterr() == ("", "")
    printer.answer("x", Answer({}, (Line("row"),), note="no groups yet"))
    assert capsys.readouterr() == ("row\n", "")
    printer.answer("x", Answer({}, exit_code=3, errors=(Problem("image", "not merged"),)))
    assert capsys.readouterr() == ("", "error: not merged\n")


@pytest.mark.parametrize(("exit_code", "status"), [(0, "ok"), (3, "partial"), (15, "error")])
def test_json_is_one_ascii_document(exit_code, status, printer, capsys):
    printer.is_json = True
    problem = Problem("code", "网 failed", None)
    answer = Answer({"name": "网"}, (Line("x"),), None, exit_code, (problem,), hint="y")
    assert printer.answer("group list", answer) == exit_code
    out, err = capsys.readouterr()
    assert out == (
        f'{{"vmsnap": 1, "command": "group list", "status": "{status}", '
        f'"exit_code": {exit_code}, "changed": null, "data": {{"name": "\\u7f51"}}, '
        '"errors": [{"code": "code", "message": "\\u7f51 failed", "hint": null}], "warnings": []}\n'
    )
    assert err == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LANG": "POSIX", "LC_ALL": ""},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_names_in_any_script_are_printed_under_every_locale(environment, process, tmp_path):
    """H51: no locale makes a name crash the program."""
    (tmp_path / "网").mkdir()
    words = ("db", "status", "--database", f"sqlite:///{tmp_path}/网/x.db")
    done = process(*words, env=environment)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    shown = done.stdout.decode()
    assert "网/x.db" in shown or "\\" in shown
