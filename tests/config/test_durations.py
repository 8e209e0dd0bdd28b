"""Durations are a whole number and a unit, and nothing else."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vmsnap.config import duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("26h", timedelta(hours=26)),
        ("30d", timedelta(days=30)),
        ("6w", timedelta(weeks=6)),
        ("0d", timedelta()),
    ],
)
def test_each_unit_is_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "d",
        "1.5h",
        "-1d",
        "1 d",
        "1D",
        "1y",
        "1d12h",
        "\u0661d",
        "1d\n",
        "99999w",
        "9" * 40,
    ],
)
def test_anything_else_is_refused_saying_what_is_wanted(text):
    with pytest.raises(ValueError, match="a duration such as 90s, 45m, 26h, 30d or 6w"):
        parse_duration(text)


@given(some.integers(0, 36_500 * 86_400).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_written_reads_the_same(duration):
    assert parse_duration(duration_text(duration)) == duration


def test_a_duration_is_written_in_its_largest_whole_unit_up_to_days():
    texts = {"90s": "90s", "45m": "45m", "26h": "26h", "24h": "1d", "6w": "42d", "0d": "0s"}
    assert {text: duration_text(parse_duration(text)) for text in texts} == texts
