"""Whoever may not use what is kept of the system's libvirt is refused; see test_without_root.py."""

import os

import pytest

from vmsnap.cli.access import require_access, same_as_root
from vmsnap.config import load_settings
from vmsnap.errors import AccessError


@pytest.fixture
def _denied(monkeypatch):
    """Run as an ordinary user who may use nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(os, "access", lambda *_words, **_options: False)


@pytest.mark.usefixtures("_denied")
@pytest.mark.parametrize("is_changing", [False, True])
def test_the_system_s_libvirt_is_root_s(is_changing):
    with pytest.raises(AccessError, match="system needs root's rights"):
        require_access(load_settings({}, {}), is_changing=is_changing)


@pytest.mark.usefixtures("_denied")
@pytest.mark.parametrize("uri", ["qemu:///session", "test:///default"])
def test_another_libvirt_asks_for_nothing_of_root_s(uri):
    require_access(load_settings({"connect": uri}, {}), is_changing=True)


@pytest.mark.usefixtures("_denied")
def test_another_database_can_be_read_but_nothing_be_changed():
    settings = load_settings({"database": "/srv/copy.db"}, {})
    require_access(settings, is_changing=False)
    with pytest.raises(AccessError):
        require_access(settings, is_changing=True)


def test_the_hint_is_the_same_command_as_root():
    words = ("snapshot", "create", "web 1", "--json")
    assert same_as_root(words) == "sudo vmsnap snapshot create 'web 1' --json"


def test_the_hint_repeats_no_password():
    """H50: a config file that cannot be read is refused before a password that was typed."""
    words = ("--database", "mysql://u:hush@h/x", "--database=mysql://u:hush@h/x", "vm", "list")
    assert "hush" not in same_as_root(words)
