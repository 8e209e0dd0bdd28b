"""The manual pages: what is in them, and what man itself has to say of them."""

import re
import shutil
import subprocess

import pytest
from servers.required import skip_or_fail

from vmsnap.cli.manual.commands import program
from vmsnap.cli.manual.man_pages import man_pages
from vmsnap.cli.manual.pages import pages

PAGES = {
    name.removeprefix("man/"): text for name, text in pages().items() if name.startswith("man/")
}
SECTIONS = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "OPTIONS",
    "EXIT STATUS",
    "FILES",
    "ENVIRONMENT",
    "EXAMPLES",
    "SEE ALSO",
]


def sections_of(page: str) -> list[str]:
    return re.findall(r'^\.SH "(.*)"$', page, re.MULTILINE)


def shown(tmp_path, name: str) -> str:
    """Return what man shows, without warnings: a terminal of 80 columns."""
    if shutil.which("lexgrog") is None:
        skip_or_fail("needs man-db")
    path = tmp_path / name
    path.write_text(PAGES[name])
    done = subprocess.run(
        ["man", "--warnings", "--encoding=UTF-8", "--local-file", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": "/usr/bin:/bin",
            "MANWIDTH": "80",
            "LC_ALL": "C.UTF-8",
            "MAN_KEEP_FORMATTING": "",
        },
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_man_has_nothing_to_warn_of_and_whatis_finds_the_page(name, tmp_path):
    text = shown(tmp_path, name)
    assert text.startswith(name.rpartition(".")[0].upper())
    done = subprocess.run(
        ["lexgrog", str(tmp_path / name)], capture_output=True, text=True, timeout=60, check=True
    )
    assert f'"{name.rpartition(".")[0]} - ' in done.stdout


def test_a_page_shows_what_is_typed_as_it_is_typed(tmp_path):
    text = shown(tmp_path, "vmsnap-group-revert.1")
    assert "vmsnap group revert [OPTION]... DOMAIN GROUP" in text
    assert "--shutdown-timeout SECONDS" in text
    assert "vmsnap group revert web1 before-upgrade --shutdown --start" in text
    assert "Keep today's definition" in text


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".1")])
def test_a_page_has_the_sections_that_one_looks_for(name):
    found = sections_of(PAGES[name])
    assert [section for section in found if section in SECTIONS] == [
        section for section in SECTIONS if section in found
    ]
    missing = set(SECTIONS) - set(found)
    assert missing <= {"OPTIONS"}, "a verb may have no options of its own"
    assert '.SS "Global options"' in PAGES[name] or name == "vmsnap.1"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_same_each_time_and_plain_ascii(name):
    assert PAGES[name].isascii()
    assert '" "vmsnap ' in PAGES[name].splitlines()[1]
    assert not re.search(r"\b20\d\d\b", PAGES[name].splitlines()[1])


def test_pages_point_to_pages_that_exist():
    referred = {
        f"{name}.{section}".replace("\\-", "-")
        for page in PAGES.values()
        for name, section in re.findall(r"^\.BR (vmsnap\S*) \((\d)\)", page, re.MULTILINE)
    }
    assert referred <= set(PAGES)
    assert len(referred) > len(PAGES) // 2


def test_the_overview_explains_every_status_with_its_code_words():
    page = man_pages(program(), "0")["vmsnap.1"]
    assert "No such domain. In JSON: domain_not_found." in page
    assert "The host was left changed: run \\(aqvmsnap recover\\(aq. In JSON: left_changed." in page


def test_a_line_that_begins_with_a_dot_is_text_and_no_order():
    page = man_pages(program(), "0")["vmsnap.1"]
    assert "\\fB\\&.UUID.vmsnap.json\\fR" in page
