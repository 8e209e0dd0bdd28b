"""Names: what may be one, and those that are made up."""

from datetime import UTC, datetime, timedelta

import pytest

from vmsnap.engine.names import MAX_LENGTH, check_name, generated_name
from vmsnap.errors import InvalidNameError

NOON = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x" * MAX_LENGTH,
        "升级之前",
        "до обновления",
        "ü",
        "two words",
        "a-b.c",
        "$(rm)",
        "a'b\"c",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "क्\u200dष",
    ],
)
def test_a_name_of_any_script_is_returned_as_it_is(name):
    """H51: it is stored and printed, never part of a file name or a command."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * (MAX_LENGTH + 1),
        "a/b",
        "a\nb",
        "a\tb",
        "a\0b",
        "a\x7fb",
        "-a",
        ".a",
        "..",
        "\udcff",
        "a\u2028b",
        "a\x85b",
        " ",
        "\u3000\u00a0",
        "a\u202eb",
        "a\u200bb",
        "\ufeffa",
        "\u2066a",
        "\u200d",
    ],
)
def test_a_name_that_breaks_the_rules_is_refused(name):
    """H51."""
    with pytest.raises(InvalidNameError) as caught:
        check_name(name)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("\udcff", "bytes that are no text"),
        (" ", "all blanks"),
        ("a\u202eb", "invisible or turn the direction"),
    ],
)
def test_a_refused_name_says_what_is_wrong_with_it(name, words):
    with pytest.raises(InvalidNameError, match=words):
        check_name(name)


def test_generated_names_sort_by_time():
    moments = [NOON + timedelta(seconds=step) for step in (0, 1, 59, 3600, 86400, 86400 * 40)]
    names = [generated_name(moment, ()) for moment in moments]
    assert names == sorted(names)


def test_a_generated_name_is_one_that_can_be_typed():
    assert check_name(generated_name(NOON, ())) == "2026-11-22-120005"


def test_a_generated_name_that_is_taken_gets_a_number():
    taken = set()
    for _ in range(3):
        taken.add(generated_name(NOON, taken, "safety-"))
    assert sorted(taken) == [
        "safety-2026-11-22-120005",
        "safety-2026-11-22-120005-2",
        "safety-2026-11-22-120005-3",
    ]
