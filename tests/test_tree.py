"""The tests' tree mirrors the package's, so that a module's tests are found at the first try."""

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "vmsnap"
# Not of one room: suites that fakes and adapters both pass, the fakes, the real host, packages.
OTHER_FOLDERS = {"contracts", "fakes", "live", "packages", "torture", "data"}
# What no single module does: named after what is shown.
OF_SEVERAL_MODULES = {
    "engine/test_block_devices.py",
    "engine/test_clock.py",
    "cli/test_hostile_callers.py",
    "cli/test_secrets.py",
    "engine/test_foreign_hands.py",
    "engine/test_hostile_journals.py",
    "engine/test_interruptions.py",
    "engine/test_two_hosts.py",
    "host/test_hostile_files.py",
    "host/test_hostile_input.py",
    "store/test_hostile_urls.py",
}


def files_of_rooms() -> list[Path]:
    """Return every test file that stands in a room of the package, relative to tests/."""
    found = (path.relative_to(TESTS) for path in sorted(TESTS.rglob("test_*.py")))
    return [path for path in found if path.parts[0] not in OTHER_FOLDERS]


def test_every_folder_is_a_room_of_the_package_or_a_known_other():
    folders = {path.parts[0] for path in files_of_rooms() if len(path.parts) > 1}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert folders <= rooms


@pytest.mark.parametrize("path", files_of_rooms(), ids=str)
def test_a_test_file_is_named_after_a_module_of_its_room(path):
    if len(path.parts) == 1 or str(path) in OF_SEVERAL_MODULES:
        return
    room = PACKAGE / path.parent
    modules = {module.stem for module in room.glob("*.py")}
    modules |= {inner.parent.name for inner in room.glob("*/__init__.py")}
    words = path.stem.removeprefix("test_").split("_")
    assert modules & {"_".join(words[:count]) for count in range(1, len(words) + 1)}


def test_the_exceptions_are_still_there():
    gone = [name for name in OF_SEVERAL_MODULES if not (TESTS / name).exists()]
    assert not gone
