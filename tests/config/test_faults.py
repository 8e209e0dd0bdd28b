"""Faults that what only mends can do without are collected; those it cannot be sure of refuse."""

import pytest

from vmsnap.config import load_settings
from vmsnap.config.reference import KEYS
from vmsnap.errors import ConfigError, RefusedError

GOOD = 'database = "/srv/vmsnap.db"\n'


@pytest.fixture
def tolerant(write_file):
    """Read the settings of a config file as what only mends does."""
    return lambda text, mode=0o600: load_settings(
        {}, {}, write_file(GOOD + text, mode), tolerates_faults=True
    )


@pytest.mark.parametrize(
    "text",
    [
        "[defaults]\nkeep_dayly = 7\n",
        "[defaults]\nkeep_daily = -7\n",
        'defaults = "none"\n',
        '[domain."web*"]\nexlude = ["vdb"]\n',
        "[domain]\nkeep_last = 3\n",
        '[[hook]]\nwhen = "ahead"\nrun = ["/bin/true"]\n',
        '[hook]\nwhen = "before"\nrun = ["/bin/true"]\n',
        '[[hook]]\nwhen = "before"\n',
        "keep_daily = 7\n",
        "patience = 7\n",
        "[domains]\nmax_age = 1\n",
        'wait = "long"\n',
        "json = 1\n",
        'metrics_file = "here"\n',
    ],
)
def test_what_mends_goes_on_and_everything_else_is_refused(tolerant, read, text):
    (fault,) = tolerant(text).faults
    assert tolerant(text).database_url == "sqlite:////srv/vmsnap.db"
    with pytest.raises(ConfigError) as refused:
        read(GOOD + text)
    assert str(refused.value) == str(fault)


def test_a_fault_in_one_table_leaves_the_others_as_they_are(tolerant):
    settings = tolerant(
        'wait = 3\n[defaults]\nkeep_dayly = 7\n[[hook]]\nwhen = "after"\nrun = ["/bin/true"]\n'
    )
    assert (settings.sections, len(settings.hooks), settings.wait_seconds) == ((), 1, 3)


@pytest.mark.parametrize(
    "text",
    [
        'data_base = "mysql://db.example.org/vmsnap"\n',
        'connection = "qemu:///session"\n',
        '[defaults]\ndatabase = "/srv/other.db"\n',
        '[defaults]\nkeep_dayly = 7\n[domain."web"]\nDATABASE = "/srv/other.db"\n',
        '[[hook]]\nconnect = "qemu:///session"\n',
        '[default]\ndatabase = "/srv/other.db"\n',
    ],
)
def test_a_key_that_may_be_meant_for_connect_or_database_is_refused(tolerant, text):
    with pytest.raises(ConfigError, match="has the unknown key") as caught:
        tolerant(text)
    assert caught.value.exit_code == 10
    assert any(word in caught.value.hint for word in ("'connect' is", "'database' is", "above all"))


def test_no_key_that_there_is_can_be_taken_for_connect_or_database(tolerant):
    """Else a fault elsewhere in its file would be enough for a refusal."""
    keys = "".join(f"{key.example}\n" for key in KEYS if key.table == "defaults")
    hook = "".join(f"{key.example}\n" for key in KEYS if key.table == "hook")
    text = f'patience = 1\n[defaults]\n{keys}[domain."database"]\n{keys}[[hook]]\n{hook}'
    assert len(tolerant(text).faults) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("connect = 3\n", "key 'connect' in .* must be a text"),
        ('connect = "qemu+ssh://other/system"\n', "another host"),
        ("wait =\n", "not valid TOML"),
    ],
)
def test_what_chooses_libvirt_must_be_right_and_the_file_be_understood(tolerant, text, message):
    with pytest.raises(RefusedError, match=message):
        tolerant(text)


def test_a_password_that_others_can_read_is_refused_all_the_same(write_file):
    path = write_file('patience = 1\ndatabase = "mysql://v:secret@h/v"\n', 0o644)
    with pytest.raises(ConfigError, match="holds a password"):
        load_settings({}, {}, path, tolerates_faults=True)


def test_a_wrong_option_is_no_fault_of_a_file():
    with pytest.raises(ConfigError, match="option '--wait'"):
        load_settings({"wait": -1.0}, {}, tolerates_faults=True)
