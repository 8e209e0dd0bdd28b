"""Settings come from the command line, the environment, files or defaults, in this order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap.config import Settings, load_settings
from vmsnap.config.files import LookedAt
from vmsnap.errors import ConfigError, UnsupportedError, UsageError

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for
TEST_URI = "test:///default"


def load(command_line=None, environment=None, config_file=None) -> Settings:
    return load_settings(command_line or {}, environment or {}, config_file)


def test_without_any_setting_the_system_s_libvirt_and_its_fixed_places_are_used(
    own_file, system_file
):
    settings = load()
    assert settings.connect_uri == "qemu:///system"
    assert settings.database_url == "sqlite:////var/lib/vmsnap/vmsnap.db"
    assert settings.state_folder == Path("/var/lib/vmsnap")
    assert settings.log_file == Path("/var/log/vmsnap/vmsnap.log")
    assert (settings.json, settings.quiet, settings.verbose) == (False, False, False)
    assert settings.wait_seconds == 0
    assert settings.metrics_file is None
    assert settings.files == (LookedAt(own_file, False), LookedAt(system_file, False))
    assert set(settings.sources.values()) == {"default"}
    assert settings.is_default_database


@pytest.mark.parametrize("uri", ["qemu:///session", TEST_URI])
def test_other_connections_keep_everything_in_the_user_s_folders(uri):
    home = Path(os.environ["HOME"])
    settings = load({"connect": uri})
    assert settings.database_url == f"sqlite:///{home}/.local/share/vmsnap/vmsnap.db"
    assert settings.state_folder == home / ".local/state/vmsnap"
    assert settings.log_file.is_relative_to(home / ".local/state/vmsnap")
    assert settings.is_default_database


def test_the_state_folder_follows_the_connection_whatever_the_database():
    settings = load({"database": "/srv/other.db"})
    assert settings.database_url == "sqlite:////srv/other.db"
    assert settings.state_folder == Path("/var/lib/vmsnap")
    assert not settings.is_default_database


def test_command_line_goes_before_environment_before_file_before_default(write_file):
    path = write_file('connect = "qemu:///session"\nwait = 3\nverbose = true\n')
    environment = {"VMSNAP_CONNECT": "qemu:///embed", "VMSNAP_WAIT": "2.5", "VMSNAP_JSON": "yes"}
    settings = load({"connect": TEST_URI, "quiet": True}, environment, path)
    assert settings.connect_uri == TEST_URI
    assert settings.wait_seconds == 2.5
    assert (settings.json, settings.quiet, settings.verbose) == (True, True, True)
    assert settings.files == (LookedAt(path, True),)
    assert settings.sources == {
        "connect": "command line",
        "database": "default",
        "json": "environment VMSNAP_JSON",
        "quiet": "command line",
        "verbose": f"file {path}",
        "wait": "environment VMSNAP_WAIT",
        "metrics_file": "default",
    }


def test_options_that_were_not_typed_and_empty_variables_decide_nothing(write_file):
    path = write_file("json = true\nwait = 1\n")
    settings = load({"json": False, "wait": None}, {"VMSNAP_JSON": "", "VMSNAP_WAIT": ""}, path)
    assert (settings.json, settings.wait_seconds) == (True, 1)


def test_waiting_zero_seconds_can_be_typed(write_file):
    assert load({"wait": 0.0}, {}, write_file("wait = 9\n")).wait_seconds == 0


def test_libvirt_s_own_variable_is_the_default_connection(write_file):
    environment = {"LIBVIRT_DEFAULT_URI": TEST_URI}
    settings = load({}, environment)
    assert settings.connect_uri == TEST_URI
    assert settings.sources["connect"] == "environment LIBVIRT_DEFAULT_URI"
    path = write_file('connect = "qemu:///session"\n')
    assert load({}, environment, path).connect_uri == "qemu:///session"


def test_the_own_file_wins_key_by_key_over_the_system_s(write, own_file, system_file):
    write(own_file, "wait = 5\n")
    write(system_file, 'wait = 9\nquiet = true\ndatabase = "/srv/all.db"\n')
    settings = load()
    assert (settings.wait_seconds, settings.quiet) == (5, True)
    assert settings.sources["wait"] == f"file {own_file}"
    assert settings.sources["database"] == f"file {system_file}"
    assert settings.files == (LookedAt(own_file, True), LookedAt(system_file, True))


@pytest.mark.parametrize("chosen", ["typed", "variable", "libvirt's variable", "own file"])
def test_the_system_s_file_is_read_for_the_system_s_libvirt_alone(
    write, own_file, system_file, chosen
):
    write(system_file, "quiet = true\n")
    write(own_file, f'connect = "{TEST_URI}"\n' if chosen == "own file" else "wait = 1\n")
    typed = {"connect": TEST_URI} if chosen == "typed" else {}
    variable = {"variable": "VMSNAP_CONNECT", "libvirt's variable": "LIBVIRT_DEFAULT_URI"}
    environment = {variable[chosen]: TEST_URI} if chosen in variable else {}
    settings = load(typed, environment)
    assert settings.connect_uri == TEST_URI
    assert not settings.quiet
    assert settings.files == (LookedAt(own_file, True),)


def test_the_system_s_file_names_no_other_libvirt(write, system_file):
    write(system_file, 'connect = "qemu:///session"\n')
    with pytest.raises(ConfigError, match="another libvirt than the system's"):
        load()
    write(system_file, 'connect = "qemu+unix:///system?socket=/run/x"\n')
    assert load().connect_uri == "qemu+unix:///system?socket=/run/x"


def test_a_named_file_is_the_only_one_that_is_read(write, own_file, system_file, write_file):
    write(own_file, "quiet = true\n")
    write(system_file, "verbose = true\n")
    settings = load({}, {}, write_file("wait = 1\n"))
    assert (settings.quiet, settings.verbose) == (False, False)


def test_the_file_for_figures_is_typed_or_stands_in_a_variable_or_a_file(write_file):
    path = write_file('metrics_file = "~/x.prom"\n')
    assert load({}, {}, path).metrics_file == Path(os.environ["HOME"], "x.prom")
    assert load({}, {"VMSNAP_METRICS_FILE": "/y"}, path).metrics_file == Path("/y")
    assert load({"metrics_file": "/z"}, {"VMSNAP_METRICS_FILE": "/y"}).metrics_file == Path("/z")
    for word in ("none", "/dev/null"):
        assert load({}, {"VMSNAP_METRICS_FILE": word}, path).metrics_file is None


def test_a_wrong_option_is_named_as_it_is_typed():
    with pytest.raises(ConfigError, match="option '--metrics-file' must be an absolute path"):
        load({"metrics_file": "x.prom"})


def test_a_file_that_was_named_must_be_there(tmp_path):
    for given in ({}, {"VMSNAP_CONFIG": str(tmp_path / "none.toml")}):
        with pytest.raises(ConfigError, match=r"none\.toml' is missing"):
            load({}, given, None if given else tmp_path / "none.toml")


def test_the_file_of_the_environment_is_read(write_file):
    path = write_file("quiet = true\n")
    assert load({}, {"VMSNAP_CONFIG": str(path)}).quiet


@pytest.mark.parametrize(
    ("name", "value"),
    [("VMSNAP_JSON", "perhaps"), ("VMSNAP_WAIT", "soon"), ("VMSNAP_WAIT", "nan")],
)
def test_a_wrong_variable_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"variable '{name}' must be"):
        load({}, {name: value})


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://root@db/system",
        "qemu+tls://db/system",
        "qemu+tcp:///system",
        "qemu+libssh2://db/system",
        "qemu://db/system",
        "test+ssh://db/default",
    ],
)
def test_a_libvirt_on_another_host_is_refused_in_one_sentence(uri):
    with pytest.raises(UnsupportedError, match="is on another host") as caught:
        load({"connect": uri})
    assert caught.value.exit_code == 14


def test_a_local_transport_is_as_good_as_none():
    settings = load({"connect": "qemu+unix:///system?socket=/run/libvirt/libvirt-sock"})
    assert settings.state_folder == Path("/var/lib/vmsnap")


def test_what_is_no_uri_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match="'hail' is no libvirt URI") as caught:
        load({"connect": "hail"})
    assert caught.value.hint == "--connect qemu:///system"


@pytest.mark.parametrize(
    "url",
    [f"mysql://vmsnap:{SECRET}@db/x", f"mysql://db/x?password={SECRET}", f"mysql://u:{SECRET}"],
)
def test_a_password_on_the_command_line_is_refused(url):
    """H50: everyone can read it with ps."""
    with pytest.raises(UsageError, match="password on the command line") as caught:
        load({"database": url})
    assert caught.value.exit_code == 2
    assert "VMSNAP_DATABASE" in caught.value.hint
    assert SECRET not in f"{caught.value}{caught.value.hint}"


def test_a_password_in_the_environment_or_in_a_private_file_is_taken(write_file):
    url = f"mysql://vmsnap:{SECRET}@localhost/x"
    settings = load({}, {"VMSNAP_DATABASE": url})
    assert settings.database_url == url
    assert SECRET not in repr(settings)
    assert load({}, {}, write_file(f'database = "{url}"\n')).database_url == url


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_password_in_a_file_that_others_can_read_is_refused(write_file, mode):
    """H50: the file has to be 0600."""
    path = write_file(f'database = "mysql://vmsnap:{SECRET}@localhost/x"\n', mode)
    with pytest.raises(ConfigError, match="can be read by others") as caught:
        load({}, {}, path)
    assert caught.value.hint == f"chmod 600 '{path}'"
    assert SECRET not in str(caught.value)


def test_a_file_without_a_password_may_be_read_by_all(write_file):
    path = write_file('database = "mysql://vmsnap@localhost/x"\n', 0o644)
    assert load({}, {}, path).database_url == "mysql://vmsnap@localhost/x"


def test_a_plain_path_becomes_a_url_whatever_it_holds(tmp_path):
    assert load({"database": "/a?b c.db"}).database_url == "sqlite:////a%3Fb%20c.db"
    home = os.environ["HOME"]
    assert load({}, {"VMSNAP_DATABASE": "~/x.db"}).database_url == f"sqlite:///{home}/x.db"


@pytest.mark.parametrize("given", ["foo", "./foo.db", "../foo", "u:hush@db/x", "~nobody-here/x"])
def test_what_is_neither_a_url_nor_an_absolute_path_is_no_database(given):
    """A word that was mistyped would become a file in whatever folder one is in."""
    for where in ({"database": given}, {}), ({}, {"VMSNAP_DATABASE": given}):
        with pytest.raises(ConfigError, match="neither a URL nor an absolute path") as caught:
            load(*where)
        assert caught.value.hint == "--database sqlite:////absolute/path"
        assert "hush" not in caught.value.message


def test_loading_settings_imports_nothing_heavy():
    program = """
import sys
from vmsnap.config import load_settings
load_settings({}, {})
heavy = {"sqlalchemy", "alembic", "libvirt", "platformdirs", "typer", "rich"} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
