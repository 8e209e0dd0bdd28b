"""Config files at the test's own places, and the settings that are read from them."""

import os
from pathlib import Path

import pytest

from vmsnap.config import load_settings, settings


@pytest.fixture
def write():
    """Write a config file at a path."""

    def call(path: Path, text: str, mode: int = 0o600) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return call


@pytest.fixture
def write_file(write, tmp_path):
    """Write a config file that is named by --config; return its path."""
    return lambda text, mode=0o600: write(tmp_path / "my config.toml", text, mode)


@pytest.fixture(autouse=True)
def system_file(tmp_path, monkeypatch) -> Path:
    """The place of the system's config file; there is none yet."""
    path = tmp_path / "etc" / "config.toml"
    monkeypatch.setattr(settings, "SYSTEM_CONFIG_FILE", path)
    return path


@pytest.fixture
def own_file() -> Path:
    """The place of the own config file of whoever runs this; there is none yet."""
    return Path(os.environ["HOME"], ".config/vmsnap/config.toml")


@pytest.fixture
def read(write_file):
    """Write a config file and read the settings that it makes."""
    return lambda text, mode=0o600: load_settings({}, {}, write_file(text, mode))


@pytest.fixture
def user(monkeypatch):
    """Run as an ordinary user, as far as vmsnap asks for it."""
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    return 4321
