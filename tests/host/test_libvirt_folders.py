"""Where libvirt keeps its files, and which connections lead away from this host."""

from pathlib import Path

import pytest

from vmsnap.errors import ConfigError
from vmsnap.host.libvirt_folders import folders_of, refuse_remote, sync


def test_a_system_daemon_has_fixed_folders():
    folders = folders_of("qemu:///system")
    assert folders.definitions == Path("/etc/libvirt/qemu")
    assert folders.saves == Path("/var/lib/libvirt/qemu/save")


def test_a_session_daemon_has_the_users(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/me/xdg")
    assert folders_of("qemu:///session").definitions == Path("/home/me/xdg/libvirt/qemu")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert folders_of("qemu:///session").saves == Path("/home/me/.config/libvirt/qemu/save")


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://root:secret@other/system",
        "qemu+ssh:///system",
        "qemu+tcp://localhost/system",
        "qemu://other/system",
        "qemu+libssh2:///system",
    ],
)
def test_a_remote_connection_is_refused_without_showing_who_asks(uri):
    with pytest.raises(ConfigError) as caught:
        refuse_remote(uri)
    assert "is remote" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu:///session",
        "qemu+unix:///system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
        "test:///default",
        "an-alias",
    ],
)
def test_a_connection_to_this_host_is_not_refused(uri):
    refuse_remote(uri)


def test_syncing_what_is_not_there_is_no_failure(tmp_path):
    sync(tmp_path)
    sync(tmp_path / "missing")
