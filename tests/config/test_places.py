"""Root's own folders are those of the passwd entry, a user's those of the environment."""

import os
from pathlib import Path

import pytest

from vmsnap.config.places import own_config_file, own_home, own_places

ELSEWHERE = {
    "HOME": "/home/user",
    "XDG_CONFIG_HOME": "/home/user/c",
    "XDG_DATA_HOME": "/home/user/d",
    "XDG_STATE_HOME": "/home/user/s",
}


def test_root_follows_nothing_that_the_environment_names(monkeypatch):
    """sudo -E leaves the user's folders in it, and a user can plant links there."""
    home = Path(os.environ["HOME"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    places = own_places(ELSEWHERE)
    assert own_config_file(ELSEWHERE) == home / ".config/vmsnap/config.toml"
    assert places.database == home / ".local/share/vmsnap/vmsnap.db"
    assert places.state_folder == home / ".local/state/vmsnap"
    assert places.log_file == home / ".local/state/vmsnap/log/vmsnap.log"
    assert own_home(ELSEWHERE) == home


def test_a_user_s_folders_are_those_of_the_environment(user):
    places = own_places(ELSEWHERE)
    assert own_config_file(ELSEWHERE) == Path("/home/user/c/vmsnap/config.toml")
    assert places.database == Path("/home/user/d/vmsnap/vmsnap.db")
    assert places.log_file == Path("/home/user/s/vmsnap/log/vmsnap.log")
    assert own_places({"HOME": "/home/user"}).state_folder == Path("/home/user/.local/state/vmsnap")


@pytest.mark.parametrize("named", ["", "relative"])
def test_a_folder_that_is_named_by_no_absolute_path_is_ignored(user, named):
    environment = {"HOME": "/home/user", "XDG_CONFIG_HOME": named}
    assert own_config_file(environment) == Path("/home/user/.config/vmsnap/config.toml")


def test_a_user_without_home_and_entry_has_the_root_folder(user, monkeypatch):
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert own_home({"HOME": ""}) == Path("/")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert own_home({}) == Path("/root")
