"""By the README's words alone, vmsnap comes to an empty Debian, and works there."""

import re
from pathlib import Path

import pytest

import vmsnap

pytestmark = pytest.mark.suites

ROOT = Path(__file__).resolve().parents[2]
VENV = '"$(dirname "$(readlink -f ~/.local/bin/vmsnap)")/.."'


def commands() -> list[str]:
    """Return the block of the README that installs with pipx, line by line."""
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"(?:^    .*\n)+", readme, re.MULTILINE)
    block = next(text for text in blocks if "    pipx install " in text)
    return [line.partition(" # ")[0].strip() for line in block.splitlines()]


@pytest.fixture(scope="module")
def installed(empty_machine):
    """A machine on which all of that was typed, in the clone."""
    machine = empty_machine()
    machine.take_clone()
    machine.run("apt-get update -q")
    for command in commands():
        machine.run(command)
    return machine


def test_the_readme_shows_how_it_is_installed():
    assert {" ".join(line.split()[:2]) for line in commands()} >= {"apt install", "pipx install"}


def test_it_is_there_in_its_version(installed):
    assert installed.run("vmsnap --version") == f"vmsnap {vmsnap.__version__}\n"


def test_it_says_that_there_is_no_database_yet(installed):
    assert "no database" in installed.run("vmsnap db status")


def test_libvirt_is_debians_own(installed):
    found = installed.run(f"{VENV}/bin/python -c 'import libvirt; print(libvirt.__file__)'")
    assert found.startswith("/usr/lib/python3/dist-packages/")


def test_it_lists_the_machines_of_a_libvirt(installed):
    installed.start_libvirt()
    assert "no domain" in installed.run("vmsnap vm list")


def test_manual_pages_and_completions_lie_below_its_prefix(installed):
    held = installed.run(f"cd {VENV}/share && find . -type f").split()
    pages = {
        path.name for folder in ("man", "completions") for path in (ROOT / folder).glob("[!.]*")
    }
    assert {Path(path).name for path in held} >= pages


def test_man_and_shells_find_them_once_they_are_linked(installed):
    installed.run(f"cp -rsf {VENV}/share/. /usr/local/share/")
    installed.install("man-db")
    assert installed.run("man -w vmsnap").endswith("/man1/vmsnap.1\n")
    said = installed.completions("bash-completion", "zsh")
    assert {shell for shell, words in said.items() if "snap" in words} == set(said)


def test_its_units_run_the_linked_program(installed):
    installed.run("vmsnap install-units")
    folder = installed.root / "etc/systemd/system"
    for unit in (ROOT / "vmsnap/data").glob("vmsnap-*.service"):
        assert "/usr/local/bin/vmsnap" in (folder / unit.name).read_text()
