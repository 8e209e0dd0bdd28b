"""A config file is read whole, understood and believed, or refused in one sentence."""

import os
from pathlib import Path

import pytest

from vmsnap.config import load_settings
from vmsnap.errors import AccessError, ConfigError

HOOK = '[[hook]]\nwhen = "after"\nrun = ["/bin/true"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[database]\nurl = 1\n", "key 'database' in .* must be a text"),
        ('database = ""\n', "key 'database' in .* must be a text"),
        ("connect = 3\n", "key 'connect' in .* must be a text"),
        ('json = "true"\n', "key 'json' in .* must be true or false"),
        ("quiet = 1\n", "key 'quiet' in .* must be true or false"),
        ('wait = "3"\n', "key 'wait' in .* must be a number of seconds"),
        ("wait = true\n", "key 'wait' in .* must be a number of seconds"),
        ("wait = -1\n", "key 'wait' in .* must be a number of seconds"),
        ("wait = inf\n", "key 'wait' in .* must be a number of seconds"),
        ("wait =\n", "not valid TOML: line 1, column 7: invalid value$"),
        ("wait 3\n", "not valid TOML: line 1, column 6: expected '=' after a key in a "),
        ("wait = " + "9" * 5000, "not valid TOML: a number is too large"),
        ('database = "vmsnap.db"\n', "is neither a URL nor an absolute path"),
        ('metrics_file = "x.prom"\n', "key 'metrics_file' in .* must be an absolute path"),
        ('metrics_file = "/x\\u0000"\n', "key 'metrics_file' in .* must be an absolute path"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_key(read, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(text)
    assert caught.value.exit_code == 10


@pytest.mark.parametrize(
    "text",
    [
        "database = mysql://u:hunter2@h/v\n",
        "hunter2 mysql://u:hunter2@h/v\n",
        "a = {hunter2 = 1, hunter2 = 2}\n",
        '[hunter2]\n["hunter2"]\n',
        """a = {"hunter2'" = 1, "hunter2'" = 2}\n""",
    ],
)
def test_why_it_is_no_toml_is_said_without_what_stands_there(read, text):
    with pytest.raises(ConfigError, match=r"not valid TOML: line \d+, column \d+: \w+") as caught:
        read(text)
    assert "hunter2" not in caught.value.message


def test_a_mark_of_the_encoding_may_begin_a_file(read):
    assert read("\ufeffwait = 3\n").wait_seconds == 3


def test_a_file_that_is_no_text_or_no_file_is_refused(write_file, tmp_path):
    path = write_file("")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings({}, {}, path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings({}, {}, tmp_path)


def test_a_file_that_only_root_may_read_is_no_missing_one(tmp_path, monkeypatch):
    def denied(*_words, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    for path in (tmp_path / "config.toml", None):
        with pytest.raises(AccessError, match="cannot be read: Permission denied") as caught:
            load_settings({}, {}, path)
        assert caught.value.exit_code == 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("text", [HOOK, "wait = 1\n"])
def test_root_believes_no_file_that_a_user_owns(write_file, text):
    """Hooks would run as root."""
    path = write_file(text)
    os.chown(path, 4321, -1)
    with pytest.raises(ConfigError, match="belongs to user 4321, not to root") as caught:
        load_settings({}, {}, path)
    assert caught.value.hint == f"chown root '{path}'"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_root_believes_no_file_that_others_can_write(read, monkeypatch, mode):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ConfigError, match="written by others than its owner") as caught:
        read("wait = 1\n", mode)
    assert caught.value.hint.startswith("chmod go-w '")


def test_a_user_s_hooks_are_believed_from_root_and_from_the_user_alone(write_file, user):
    path = write_file(HOOK)
    if path.stat().st_uid == 0:
        assert load_settings({}, {}, path).hooks
        os.chown(path, user, -1)
        assert load_settings({}, {}, path).hooks
        os.chown(path, user + 1, -1)
    with pytest.raises(ConfigError, match="not to root or you"):
        load_settings({}, {}, path)


def test_a_user_s_file_that_others_can_write_has_no_hooks(read, user):
    assert read("wait = 1\n", 0o664).wait_seconds == 1
    with pytest.raises(ConfigError, match="written by others"):
        read(HOOK, 0o664)


def test_the_null_device_is_an_empty_file():
    assert load_settings({}, {}, Path("/dev/null")).hooks == ()
