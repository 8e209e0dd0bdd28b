"""A completion finds the libvirt and the database that the verbs would use."""

import os
from pathlib import Path

import pytest

from vmsnap.cli import complete_settings
from vmsnap.cli.complete_settings import database_file, libvirt_uri
from vmsnap.config import load_settings, settings
from vmsnap.store.location import locate

ENVIRONMENTS = {
    "nothing": {},
    "session": {"VMSNAP_CONNECT": "qemu:///session"},
    "system with parameters": {"VMSNAP_CONNECT": "qemu:///system?socket=/run/other"},
    "unix": {"VMSNAP_CONNECT": "qemu+unix:///system"},
    "test": {"VMSNAP_CONNECT": "test:///default"},
    "libvirt's variable": {"LIBVIRT_DEFAULT_URI": "qemu:///session"},
    "both variables": {
        "LIBVIRT_DEFAULT_URI": "test:///default",
        "VMSNAP_CONNECT": "qemu:///system",
    },
    "empty variables": {"VMSNAP_CONNECT": "", "VMSNAP_DATABASE": "", "VMSNAP_CONFIG": ""},
    "path": {"VMSNAP_DATABASE": "/srv/a b?.db"},
    "path below home": {"VMSNAP_DATABASE": "~/mine.db"},
    "url": {"VMSNAP_DATABASE": "sqlite:////srv/a%20b.db"},
    "server": {"VMSNAP_DATABASE": "mysql://me@localhost/vmsnap"},
    "folders": {"VMSNAP_CONNECT": "qemu:///session", "XDG_DATA_HOME": "/srv/data"},
    "relative folders": {"VMSNAP_CONNECT": "qemu:///session", "XDG_DATA_HOME": "data"},
}
FILES = {
    "no files": {},
    "own": {"own": 'database = "/srv/own.db"\n[defaults]\nexclude = ["vdb"]\n'},
    "system": {"system": 'database = "/srv/system.db"\n'},
    "both": {"own": "wait = 5\n", "system": 'database = "sqlite:////srv/system.db"\n'},
    "own connection": {
        "own": 'connect = "qemu:///session"\n',
        "system": 'database = "/srv/s.db"\n',
    },
    "own over system": {"own": 'database = "/srv/own.db"\n', "system": 'database = "/srv/s.db"\n'},
}


@pytest.fixture(autouse=True)
def write(tmp_path, monkeypatch):
    """Write config files: `own`, `system`."""
    system = tmp_path / "etc" / "config.toml"
    monkeypatch.setattr(settings, "SYSTEM_CONFIG_FILE", system)
    monkeypatch.setattr(complete_settings, "_SYSTEM_CONFIG_FILE", str(system))
    places = {"own": Path(os.environ["HOME"], ".config/vmsnap/config.toml"), "system": system}

    def call(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            places[name].parent.mkdir(parents=True, exist_ok=True)
            places[name].write_text(text)

    return call


def agrees(environment: dict[str, str]) -> bool:
    """Compare both readings; fail if they differ."""
    expected = load_settings({}, environment)
    path = locate(expected.database_url).path
    assert libvirt_uri(environment) == expected.connect_uri
    assert database_file(environment) == (None if path is None else str(path))
    return True


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_completion_asks_what_the_verbs_would_ask(environment, files, write):
    write(files)
    assert agrees({"HOME": os.environ["HOME"], **environment})


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_so_it_is_for_an_ordinary_user(environment, write, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert agrees({"HOME": "/home/user", **environment})


def test_a_file_that_is_named_is_the_only_one(write, tmp_path):
    write({"own": 'database = "/srv/own.db"\n', "system": 'database = "/srv/system.db"\n'})
    named = tmp_path / "named.toml"
    named.write_text('connect = "qemu:///session"\n')
    assert agrees({"HOME": os.environ["HOME"], "VMSNAP_CONFIG": str(named)})


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://host/system",
        "qemu://host/system",
        "qemu+tcp:///system",
        "nonsense",
        "xen+tls:///",
    ],
)
def test_a_libvirt_that_might_ask_for_a_password_is_not_asked(uri):
    with pytest.raises(ValueError, match="not on this host"):
        libvirt_uri({"VMSNAP_CONNECT": uri})


def test_a_pipe_for_a_config_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    environment = {"VMSNAP_CONFIG": str(tmp_path / "pipe")}
    assert libvirt_uri(environment) == "qemu:///system"
