"""The sdist holds the whole source; the wheel holds all that an installed vmsnap needs."""

import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import vmsnap

ROOT = Path(__file__).resolve().parents[2]
NAME = f"vmsnap-{vmsnap.__version__}"
# What git ignores, and git itself.
NOT_OF_THE_SOURCE = (
    *(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"),
    *("build", "dist", "torture-failures"),
)
# Where a shell, and man below a prefix, look for what these folders hold.
PLACES = {
    "man/*.1": "share/man/man1",
    "man/*.5": "share/man/man5",
    "completions/*.bash": "share/bash-completion/completions",
    "completions/_*": "share/zsh/site-functions",
    "completions/*.fish": "share/fish/vendor_completions.d",
}


def build(kind: str, source: Path, target: Path) -> Path:
    """Build an sdist or a wheel as pip would, without fetching the tools anew."""
    script = f"from setuptools import build_meta as b; b.build_{kind}({str(target)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=source, check=True, capture_output=True)
    (built,) = target.iterdir()
    return built


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """The clone, without what lies in it beside the source."""
    folder = tmp_path_factory.mktemp("source") / "vmsnap"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_OF_THE_SOURCE))
    return folder


@pytest.fixture(scope="module")
def sdist(source, tmp_path_factory) -> Path:
    """The sdist, unpacked."""
    held = files_below(source)
    archive = build("sdist", source, tmp_path_factory.mktemp("sdist"))
    for path in files_below(source) - held:  # what building left there
        (source / path).unlink()
    shutil.unpack_archive(archive, archive.parent)
    return archive.parent / NAME


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> zipfile.ZipFile:
    """The wheel, built from nothing but the sdist."""
    copy = tmp_path_factory.mktemp("unpacked") / NAME
    shutil.copytree(sdist, copy)
    return zipfile.ZipFile(build("wheel", copy, tmp_path_factory.mktemp("wheel")))


@pytest.fixture
def metadata(wheel):
    return message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))


def test_the_sdist_holds_the_whole_source(source, sdist):
    made_by_setuptools = {"PKG-INFO", "setup.cfg"}
    held = {path for path in files_below(sdist) if ".egg-info/" not in path}
    assert held - made_by_setuptools == files_below(source)


def test_the_wheel_holds_every_file_of_the_package(wheel):
    expected = {f"vmsnap/{path}" for path in files_below(ROOT / "vmsnap") if ".pyc" not in path}
    assert {name for name in wheel.namelist() if name.startswith("vmsnap/")} == expected


def test_manual_pages_and_completions_are_where_man_and_shells_look(wheel):
    expected = {
        f"{place}/{path.name}" for pattern, place in PLACES.items() for path in ROOT.glob(pattern)
    }
    data = f"{NAME}.data/data/"
    assert {
        name.removeprefix(data) for name in wheel.namelist() if name.startswith(data)
    } == expected


@pytest.mark.parametrize("folder", ["man", "completions"])
def test_every_file_of_a_generated_folder_has_a_place(folder):
    placed = {path for pattern in PLACES for path in ROOT.glob(pattern)}
    assert set((ROOT / folder).glob("[!.]*")) <= placed


def test_version_and_licence_are_those_of_the_source(wheel, metadata):
    assert metadata["Version"] == vmsnap.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    held = wheel.read(f"{NAME}.dist-info/licenses/LICENSE")
    assert held == (ROOT / "LICENSE").read_bytes()


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text


def test_mysql_is_an_extra_and_what_testing_needs_is_another(metadata):
    assert metadata.get_all("Provides-Extra") == ["mysql", "dev"]
