import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmsnap import config
from vmsnap.config import Settings, has_password, hidden, load_settings
from vmsnap.errors import ConfigError, UnsupportedError, UsageError

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for
TEST_URI = "test:///default"


@pytest.fixture(autouse=True)
def no_system_file(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "SYSTEM_CONFIG_FILE", tmp_path / "etc" / "config.toml")


@pytest.fixture
def write_file(tmp_path):
    """Write a config file; return its path."""

    def write(text: str, mode: int = 0o600) -> Path:
        path = tmp_path / "my config.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def load(command_line=None, environment=None, config_file=None) -> Settings:
    return load_settings(command_line or {}, environment or {}, config_file)


def test_without_any_setting_the_system_s_libvirt_and_its_fixed_places_are_used():
    settings = load()
    assert settings.connect_uri == "qemu:///system"
    assert settings.database_url == "sqlite:////var/lib/vmsnap/vmsnap.db"
    assert settings.state_folder == Path("/var/lib/vmsnap")
    assert settings.log_file == Path("/var/log/vmsnap/vmsnap.log")
    assert (settings.json, settings.quiet, settings.verbose) == (False, False, False)
    assert settings.wait_seconds == 0
    assert settings.config_file is None
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
    assert settings.config_file == path
    assert settings.sources == {
        "connect": "command line",
        "database": "default",
        "json": "environment VMSNAP_JSON",
        "quiet": "command line",
        "verbose": f"file {path}",
        "wait": "environment VMSNAP_WAIT",
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


def test_the_default_file_is_that_of_the_system_or_of_the_user(tmp_path):
    for path in (
        config.SYSTEM_CONFIG_FILE,
        Path(os.environ["XDG_CONFIG_HOME"], "vmsnap/config.toml"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(f'database = "{path}.db"\n')
    assert load().config_file == config.SYSTEM_CONFIG_FILE
    users = load({"connect": TEST_URI}).config_file
    assert users == Path(os.environ["HOME"], ".config/vmsnap/config.toml")


def test_a_file_that_was_named_must_be_there(tmp_path):
    for given in ({}, {"VMSNAP_CONFIG": str(tmp_path / "none.toml")}):
        with pytest.raises(ConfigError, match=r"none\.toml' is missing"):
            load({}, given, None if given else tmp_path / "none.toml")


def test_the_file_of_the_environment_is_read(write_file):
    path = write_file("quiet = true\n")
    assert load({}, {"VMSNAP_CONFIG": str(path)}).quiet


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patience = 3\n", "unknown key 'patience'"),
        ("[database]\nurl = 1\n", "key 'database' in .* must be a text"),
        ('database = ""\n', "key 'database' in .* must be a text"),
        ("connect = 3\n", "key 'connect' in .* must be a text"),
        ('json = "true"\n', "key 'json' in .* must be true or false"),
        ("quiet = 1\n", "key 'quiet' in .* must be true or false"),
        ('wait = "3"\n', "key 'wait' in .* must be a number of seconds"),
        ("wait = true\n", "key 'wait' in .* must be a number of seconds"),
        ("wait = -1\n", "key 'wait' in .* must be a number of seconds"),
        ("wait = inf\n", "key 'wait' in .* must be a number of seconds"),
        ("wait =\n", "not valid TOML: line 1"),
        ('database = "vmsnap.db"\n', "is neither a URL nor an absolute path"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_key(write_file, text, message):
    path = write_file(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load({}, {}, path)
    assert caught.value.exit_code == 10


def test_a_file_that_is_no_text_or_no_file_is_refused(write_file, tmp_path):
    path = write_file("")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load({}, {}, path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, {}, tmp_path)


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


def test_a_file_that_only_root_may_read_says_so(tmp_path, monkeypatch):
    def denied(*_words, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied") as caught:
        load({}, {}, tmp_path / "config.toml")
    assert caught.value.hint == "run vmsnap as root"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
        ("mysql://vmsnap@db:3306/x", "mysql://vmsnap@db:3306/x"),
        ("mysql://db:3306/x?ssl_ca=/ca", "mysql://db:3306/x?ssl_ca=/ca"),
        ("mysql://[::1]:3306/x", "mysql://[::1]:3306/x"),
        (f"mysql://vmsnap:{SECRET}@db/x", "mysql://vmsnap:***@db/x"),
        (f"mysql://:{SECRET}@db/x", "mysql://:***@db/x"),
        (f"mysql://u@corp:{SECRET}@db/x", "mysql://u@corp:***@db/x"),
        (f"mysql://u:a@{SECRET}/?b@db/x", "mysql://u:***@db/x"),
        (f"mysql://u:{SECRET}", "mysql://u:***"),
        (f"mysql://u@h:{SECRET}/x", "mysql://u@h:***/x"),
        (f"mysql://h/x?user=u&passwd={SECRET}&a=b", "mysql://h/x?user=u&passwd=***&a=b"),
    ],
)
def test_a_hidden_url_shows_all_but_the_password(url, shown):
    """H50: however it is written."""
    assert hidden(url) == shown
    assert has_password(url) is (SECRET in url)


def test_loading_settings_imports_nothing_heavy():
    program = """
import sys
from vmsnap.config import load_settings
load_settings({}, {})
heavy = {"sqlalchemy", "alembic", "libvirt", "platformdirs", "typer", "rich"} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
