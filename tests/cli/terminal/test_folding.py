"""Text broken into lines: nothing is lost, and where there is a seam it is broken there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsnap.cli.terminal.folding import folded, wrapped
from vmsnap.cli.terminal.text import width


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("", 12, ("",)),
        ("web1", 12, ("web1",)),
        ("nightly-2026-11-20", 14, ("nightly-2026-", "11-20")),
        ("/srv/images/web1.qcow2", 12, ("/srv/images/", "web1.qcow2")),
        ("before the upgrade", 10, ("before the", "upgrade")),
        ("aaaaaaaaaaaaaaaa", 6, ("aaaaaa", "aaaaaa", "aaaa")),
        ("網絡網絡網絡", 4, ("網絡", "網絡", "網絡")),
    ],
)
def test_a_name_is_folded_at_its_seams(text, columns, lines):
    assert folded(text, columns) == lines


@given(st.text(st.characters(exclude_categories=("C", "M", "Zl", "Zp")), max_size=60))
def test_folding_loses_nothing_but_blanks_at_the_ends_of_lines(text):
    lines = folded(text, 12)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(width(line) <= 12 for line in lines)


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("disk vda is dropped", 12, ("disk vda is", "dropped")),
        ("see /a/path/that/is/long now", 8, ("see", "/a/path/that/is/long", "now")),
        ("two  blanks stay", 20, ("two  blanks stay",)),
    ],
)
def test_a_sentence_is_broken_between_words_alone(text, columns, lines):
    """What is a path or a command can still be copied."""
    assert wrapped(text, columns) == lines
