"""Trees and histories as lines: what leads away is drawn to the side, all else straight down."""

from vmsnap.cli.terminal.answer import Branch, Column, Graph, Line, Mark, Point
from vmsnap.cli.terminal.drawing import ASCII, UNICODE, branch_lines, line_lines, table_of

HERE = Point("you are here", Mark.HERE, ("", "1 KiB"), "green")
TUESDAY = Point("tuesday", Mark.GROUP, ("1 day ago",), next=Point("safety-1", Mark.SAFETY))
WEDNESDAY = Point("wednesday", Mark.GROUP, next=HERE)
MONDAY = Point("monday", Mark.GROUP, ("2 days ago", "4 KiB"), away=(TUESDAY,), next=WEDNESDAY)
HISTORY = Graph(
    Point("web1", Mark.TITLE, style="bold", next=MONDAY), (Column("AGE"), Column("SIZE"))
)


def drawn(point, pen):
    return [row[0] for row in table_of(Graph(point, ()), pen).rows]


def test_the_way_to_here_goes_straight_down():
    assert drawn(HISTORY.first, UNICODE) == [
        "web1",
        "● monday",
        "├─● tuesday",
        "│ ○ safety-1",
        "● wednesday",
        "▶ you are here",
    ]


def test_a_terminal_that_knows_ascii_alone_sees_the_same_in_it():
    assert drawn(HISTORY.first, ASCII) == [
        "web1",
        "* monday",
        "|-* tuesday",
        "| o safety-1",
        "* wednesday",
        "> you are here",
    ]


def test_branches_of_branches_are_drawn_further_to_the_side():
    inner = Point("c", Mark.GROUP, away=(Point("d", Mark.GROUP),), next=Point("e", Mark.GROUP))
    outer = Point("a", Mark.GROUP, away=(inner, Point("f", Mark.GROUP)), next=HERE)
    assert drawn(outer, ASCII) == [
        "* a",
        "|-* c",
        "| |-* d",
        "| * e",
        "|-* f",
        "> you are here",
    ]


def test_a_long_line_is_no_staircase():
    last = HERE
    for number in range(300):
        last = Point(f"night-{number}", Mark.GROUP, next=last)
    assert {text[0] for text in drawn(last, ASCII)} == {"*", ">"}


def test_cells_stand_beside_their_point_and_keep_its_style():
    table = table_of(HISTORY, ASCII)
    assert table.rows[1] == ("* monday", "2 days ago", "4 KiB")
    assert table.rows[2] == ("|-* tuesday", "1 day ago", "")
    assert table.row_styles[0] == "bold"
    assert table.row_styles[-1] == "green"


def test_names_in_a_history_cannot_harm_a_terminal():
    assert drawn(Point("\x1b[31m", Mark.GROUP), ASCII) == ["* \\x1b[31m"]


def lines(branch, columns):
    return [line.text for line in branch_lines(branch, ASCII, columns)]


def test_a_branch_that_is_too_wide_goes_on_below_its_beginning():
    tree = Branch("root", children=(Branch("one two three four"), Branch("five six seven eight")))
    assert lines(tree, 16) == [
        "root",
        "|-- one two",
        "|       three",
        "|       four",
        "`-- five six",
        "        seven",
        "        eight",
    ]
    assert lines(tree, None) == ["root", "|-- one two three four", "`-- five six seven eight"]


def test_a_sentence_hangs_below_its_label():
    line = Line("instant:  the host files were the same", "red", hanging=10)
    assert list(line_lines(line, 24)) == [
        Line("instant:  the host files", "red"),
        Line("          were the same", "red"),
    ]
    assert [item.text for item in line_lines(line, None)] == [line.text]


def test_a_line_to_be_copied_is_left_to_the_terminal():
    command = "vmsnap group delete web1 monday tuesday"
    assert [item.text for item in line_lines(Line(command), 10)] == [command]
