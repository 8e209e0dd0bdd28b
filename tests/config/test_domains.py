"""What holds for a domain is put together key by key from all tables that fit its name."""

from datetime import timedelta
from pathlib import Path

import pytest

from vmsnap.config import KeepSettings, Quiesce, load_settings
from vmsnap.errors import ConfigError

ALL_KEYS = """
[defaults]
exclude = ["vdb"]
without = ["tpm"]
quiesce = "try"
overlay_dir = "/srv/overlays"
max_age = "26h"
keep_last = 3
keep_hourly = 24
keep_daily = 7
keep_weekly = 4
keep_monthly = 12
keep_yearly = 0
keep_within = "30d"
keep_name = ["before-*"]
keep_safety = "2w"
"""


def test_without_a_file_a_domain_has_no_settings_of_its_own():
    web = load_settings({}, {}).for_domain("web1")
    assert (web.exclude, web.without, web.quiesce) == ((), (), Quiesce.NO)
    assert (web.overlay_dir, web.max_age, web.keep) == (None, None, KeepSettings())
    assert set(web.sources.values()) == {"default"}


def test_every_key_is_read(read):
    web = read(ALL_KEYS).for_domain("web1")
    assert (web.exclude, web.without, web.quiesce) == (("vdb",), ("tpm",), Quiesce.TRY)
    assert (web.overlay_dir, web.max_age) == (Path("/srv/overlays"), timedelta(hours=26))
    assert web.keep == KeepSettings(
        last=3,
        hourly=24,
        daily=7,
        weekly=4,
        monthly=12,
        yearly=0,
        within=timedelta(days=30),
        names=("before-*",),
        safety=timedelta(days=14),
    )
    assert {source.rpartition(" ")[2] for source in web.sources.values()} == {"[defaults]"}


def test_of_several_that_fit_the_one_further_down_wins_key_by_key(read, tmp_path):
    settings = read(
        '[domain."web*"]\nexclude = ["vdb"]\nquiesce = "require"\nkeep_last = 2\n'
        '[domain."*1"]\nexclude = []\nkeep_daily = 7\n'
        "[defaults]\nkeep_last = 9\nkeep_daily = 9\n"
    )
    web = settings.for_domain("web1")
    assert (web.exclude, web.quiesce) == ((), Quiesce.REQUIRE)
    assert (web.keep.last, web.keep.daily) == (2, 7)
    assert web.sources["exclude"] == f'file {tmp_path}/my config.toml [domain."*1"]'
    assert settings.for_domain("db").keep.last == 9


def test_upper_and_lower_case_are_different_names(read):
    settings = read('[domain."Web"]\nkeep_last = 1\n')
    assert settings.for_domain("Web").keep.last == 1
    assert settings.for_domain("web").keep.last is None


def test_the_own_file_stands_below_the_system_s_as_if_they_were_one(write, own_file, system_file):
    write(system_file, "[defaults]\nkeep_last = 1\nkeep_daily = 1\n[domain.web]\nkeep_daily = 2\n")
    write(own_file, "[defaults]\nkeep_last = 5\nkeep_daily = 5\n[domain.db]\nkeep_daily = 6\n")
    settings = load_settings({}, {})
    assert settings.for_domain("web").keep == KeepSettings(last=5, daily=2)
    assert settings.for_domain("db").keep == KeepSettings(last=5, daily=6)


def test_a_domain_can_take_back_what_the_defaults_say(read):
    back = '[domain.web]\nexclude = []\nwithout = []\nquiesce = "no"\noverlay_dir = "none"\n'
    back += 'max_age = "none"\nkeep_within = "none"\nkeep_safety = "none"\nkeep_name = []\n'
    web = read(ALL_KEYS + back).for_domain("web")
    assert (web.exclude, web.without, web.quiesce) == ((), (), Quiesce.NO)
    assert (web.overlay_dir, web.max_age) == (None, None)
    assert (web.keep.within, web.keep.safety, web.keep.names) == (None, None, ())


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('exclude = "vdb"', "a list of texts"),
        ('exclude = [""]', "a list of texts"),
        ('without = ["disk"]', 'a list of "nvram" or "tpm"'),
        ("quiesce = true", '"no", "try" or "require"'),
        ('overlay_dir = "overlays"', "an absolute path"),
        ('max_age = "soon"', "a duration such as"),
        ('max_age = "0s"', "a duration such as .*, more than 0"),
        ("max_age = 26", "a duration such as"),
        ('keep_last = "3"', "a whole number, 0 or more"),
        ("keep_last = true", "a whole number, 0 or more"),
        ("keep_daily = -1", "a whole number, 0 or more"),
        ("keep_daily = 1.0", "a whole number, 0 or more"),
        ("keep_within = 30", "a duration such as"),
        ('keep_name = "x"', "a list of texts"),
    ],
)
@pytest.mark.parametrize("title", ["[defaults]", '[domain."web*"]'])
def test_a_wrong_value_is_refused_naming_table_and_key(read, title, line, wanted):
    key = line.partition(" ")[0]
    with pytest.raises(ConfigError, match=wanted) as caught:
        read(f"{title}\n{line}\n")
    assert f"key '{key}' in {title} of '/" in caught.value.message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("defaults = 1\n", "[defaults] of", "write [defaults] above its keys"),
        ("domain = 1\n", "[domain] of", "write [domain] above its keys"),
        ('[domain]\nquiesce = "try"\n', "the key 'quiesce' for no pattern", "[defaults]"),
        ('[domain.""]\nkeep_last = 1\n', "an empty pattern", '[domain."web*"]'),
        ("[domain.web.lan]\nkeep_last = 1\n", "holds another table", '[domain."web.lan"]'),
    ],
)
def test_a_table_that_is_written_wrong_is_refused_with_the_right_way(read, text, message, hint):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
