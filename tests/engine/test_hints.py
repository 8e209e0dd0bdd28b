"""Names in commands that are to be pasted."""

import pytest

from vmsnap.engine.hints import operands


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (("web1", "before-upgrade"), "web1 before-upgrade"),
        (("two words", "$(rm)"), "'two words' '$(rm)'"),
        (("-x", "y"), "-- -x y"),
        (("web1", "--all"), "-- web1 --all"),
    ],
)
def test_no_name_is_taken_for_an_option_or_for_several_words(names, written):
    """H51."""
    assert operands(*names) == written
