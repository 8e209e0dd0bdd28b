"""Which columns a terminal has room for: an odd name costs no other a column."""

import pytest

from vmsnap.cli.terminal.answer import Column, Table
from vmsnap.cli.terminal.layout import laid_out

SPARE = Table(
    (
        Column("NAME"),
        Column("STATE", spare=2),
        Column("KIND", spare=3),
        Column("SIZE", is_number=True, spare=1),
    ),
    (("before-upgrade-1234", "ready", "manual", "5.1 MiB"),),
)
NAMES = (*(f"nightly-2026-11-{day}" for day in range(11, 20)), "a long name " * 8)
GROUPS = Table(
    (Column("GROUP", folds=True), Column("CREATED", spare=1), Column("SIZE", spare=2)),
    tuple((name, "2026-11-22 18:05:09 +0100", "5.1 MiB") for name in NAMES),
)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(160, [0, 1, 2, 3]), (43, [0, 1, 2, 3]), (42, [0, 1, 3]), (34, [0, 3]), (10, [0])],
)
def test_a_narrow_terminal_gets_fewer_columns(columns, shown):
    assert list(laid_out(SPARE, columns)) == shown


def test_one_odd_name_is_folded_and_all_columns_stay():
    assert laid_out(GROUPS, 80) == {0: 44, 1: 25, 2: 7}, "it gets the room that is left"
    assert laid_out(GROUPS, 60) == {0: 24, 1: 25, 2: 7}


def test_where_there_is_room_nothing_is_folded():
    assert laid_out(GROUPS, 200)[0] == len(NAMES[-1])


def test_names_get_narrower_only_when_nothing_else_can_go():
    assert laid_out(GROUPS, 30) == {0: 30}
    assert laid_out(GROUPS, 20) == {0: 20}
    assert laid_out(GROUPS, 5) == {0: 12}, "over the edge rather than a column of letters"


def test_columns_that_fold_get_narrower_evenly():
    table = Table((Column("A", folds=True), Column("B", folds=True)), (("a" * 30, "b" * 60),))
    assert laid_out(table, 42) == {0: 20, 1: 20}


def test_wide_characters_count_twice():
    assert laid_out(Table((Column("A"),), (("網絡",),)), 80) == {0: 4}


def test_a_table_without_rows_is_as_wide_as_its_titles():
    assert laid_out(Table((Column("AB"), Column("C")), ()), 80) == {0: 2, 1: 1}
