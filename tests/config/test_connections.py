"""Root does not talk to the session libvirt of somebody else."""

import os

import pytest

from vmsnap.config import load_settings
from vmsnap.errors import ConfigError

SESSION = {"connect": "qemu:///session"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that user 4321 owns, where only root could give it away."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if os.getuid() != 0:
        pytest.skip("only root can give folders away")
    path = tmp_path / "theirs"
    path.mkdir()
    os.chown(path, 4321, -1)
    return path


@pytest.mark.parametrize(
    "variable", ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"]
)
@pytest.mark.parametrize("below", [".", "not/there/yet"])
def test_root_is_refused_a_session_that_the_environment_puts_into_a_user_s_folder(
    folder, variable, below
):
    with pytest.raises(ConfigError, match="another user's") as caught:
        load_settings(SESSION, {variable: str(folder / below)})
    assert caught.value.exit_code == 10
    assert f"{variable} is '{folder}" in caught.value.message
    assert caught.value.hint.startswith("sudo -i -u '#4321' vmsnap ")


def test_root_has_a_session_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    environment = {"HOME": "/", "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "relative"}
    assert load_settings(SESSION, environment).connect_uri == "qemu:///session"


def test_the_system_s_libvirt_is_the_same_whatever_the_environment_names(folder):
    assert load_settings({}, {"HOME": str(folder)}).connect_uri == "qemu:///system"


def test_a_user_has_the_session_that_the_environment_names(user, tmp_path):
    assert load_settings(SESSION, {"HOME": str(tmp_path)}).connect_uri == "qemu:///session"
