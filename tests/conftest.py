"""What every test gets: an environment without the caller's settings, and the meaning of `live`."""

import os
import pwd
from pathlib import Path

import pytest
from hypothesis import settings
from servers.required import skip_or_fail

ON_PRIVATE_HOST = os.environ.get("VMSNAP_TEST_HOST") == "private"
OF_THE_TEST_BED = frozenset({"VMSNAP_TEST_HOST", "VMSNAP_REQUIRE_LIVE", "VMSNAP_TEST_CACHE"})

# The same examples each time; `--hypothesis-profile deep --hypothesis-seed N` looks for new ones.
settings.register_profile("short", max_examples=150, deadline=None, derandomize=True, database=None)
settings.register_profile("deep", max_examples=20_000, deadline=None, database=None)
settings.load_profile("short")


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the caller's settings, and point every folder of the caller at the test's own."""
    for name in tuple(os.environ):
        if name.startswith("VMSNAP_") and name not in OF_THE_TEST_BED:
            monkeypatch.delenv(name)
    for name in ("LIBVIRT_DEFAULT_URI", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    # As root vmsnap believes the passwd entry alone.
    entry_of = pwd.getpwuid
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: with_home(entry_of(uid), home))
    for name, folder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_RUNTIME_DIR", "run"),
    ):
        monkeypatch.setenv(name, str(home / folder))


def with_home(entry: pwd.struct_passwd, home: Path) -> pwd.struct_passwd:
    """Return a passwd entry with another home."""
    return pwd.struct_passwd((*entry[:5], str(home), entry[6]))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the random layer trees of test_trees.py and test_live_trees.py be more, or others."""
    parser.addoption("--tree-sequences", type=int, default=70, help="how many random sequences")
    parser.addoption("--tree-seed", type=int, default=0, help="the seed of the first of them")
    parser.addoption(
        "--live-tree-sequences", type=int, default=18, help="how many of them on a real libvirt"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip live tests away from a private host; fail them where they are required."""
    if item.get_closest_marker("live") is None or ON_PRIVATE_HOST:
        return
    message = "needs a private host: tests/live/private-host.sh pytest …, or make test"
    skip_or_fail(message)
