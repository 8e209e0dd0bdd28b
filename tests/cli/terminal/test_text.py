"""How values are written for people."""

from datetime import UTC, datetime, timedelta

import pytest

from vmsnap.cli.terminal import text


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (540672, "528 KiB"),
        (1024**2 - 1, "1 MiB"),
        (3 * 1024**3 // 2, "1.5 GiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_sizes_have_binary_units(size_bytes, shown):
    assert text.size(size_bytes) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("web1", "web1"),
        ("网络", "网络"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb\tc\x7f\x9b", "a\\nb\\tc\\x7f\\x9b"),
        ("a\u202eb\u2066c\u2028", "a\\u202eb\\u2066c\\u2028"),
        ("a\udc80", "a\\udc80"),
    ],
)
def test_control_characters_are_escaped(raw, shown):
    """H51: a name cannot steer the terminal."""
    assert text.clean(raw) == shown


def test_wide_and_combining_characters_are_measured():
    assert text.width("网1") == 3
    assert text.width("e\u0301") == 1


def test_local_time_has_its_offset(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    moment = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
    assert text.local_time(moment) == "2026-11-23 01:00:00 +0800"
    monkeypatch.undo()
    time.tzset()


def test_json_time_is_utc():
    moment = datetime(2026, 11, 22, 17, 0, 0, 5, tzinfo=UTC)
    assert text.utc_time(moment) == "2026-11-22T17:00:00.000005Z"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
    ],
)
def test_ages_have_one_unit(seconds, shown):
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert text.age(now - timedelta(seconds=seconds), now) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (12.4, "12 s"),
        (185, "3 min 5 s"),
        (7200, "2 h"),
        (7505, "2 h 5 min"),
        (2 * 86400 + 59, "2 d"),
    ],
)
def test_durations_have_two_units_at_most(seconds, shown):
    assert text.duration(seconds) == shown


def test_a_list_of_all_hosts_says_which_is_this_one():
    assert text.host("uuid-a", "uuid-a") == "uuid-a (this host)"
    assert text.host("uuid-b", "uuid-a") == "uuid-b"
