"""Text in manual pages is shown as it was written, whatever it holds."""

import shutil
import string
import subprocess

import pytest
from servers.required import skip_or_fail

from vmsnap.cli.manual.roff import bold, example, head, paragraph, prose, section, term

ODD = [
    ".TH looks like an order",
    "'tis a quote at the start",
    "-dash, --long-option and a-b",
    'a "quoted" word',
    r"back\slash \fB \n \(aq",
    "~/file ^caret `tick",
    string.punctuation,
]


def shown(tmp_path, lines: list[str]) -> str:
    """Return what man shows of a page, in one line."""
    if shutil.which("man") is None:
        skip_or_fail("needs man-db")
    page = tmp_path / "page.1"
    page.write_text("\n".join((*head("page", 1, "1.0"), *section("NAME", lines), "")))
    done = subprocess.run(
        ["man", "--warnings", "--encoding=UTF-8", "--local-file", str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "400", "LC_ALL": "C.UTF-8"},
        check=True,
    )
    assert done.stderr == ""
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("text", ODD)
def test_an_example_is_what_is_to_be_typed(text, tmp_path):
    assert text in shown(tmp_path, example([text]))


@pytest.mark.parametrize("text", ODD)
def test_so_is_what_stands_in_bold_and_as_a_term(text, tmp_path):
    page = shown(tmp_path, [".PP", bold(text), *term(bold(text), "meaning")])
    assert page.count(text) == 2


def test_what_stands_between_backticks_is_bold_and_the_rest_is_not():
    assert prose("use `vmsnap undo` now") == "use \\fBvmsnap undo\\fR now"


def test_a_section_with_nothing_in_it_is_left_out():
    assert section("OPTIONS", []) == []
    assert section("OPTIONS", paragraph("none")) == ['.SH "OPTIONS"', "none"]
