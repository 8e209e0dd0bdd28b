"""What a verb hands to the printer: data for scripts, and tables and lines for people."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vmsnap.errors import VmsnapError
    from vmsnap.model import JsonObject


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `style` is a Rich style and used on a terminal alone.

    `spare` above 0 lets a terminal that is too narrow leave the column out, the highest first. A
    column that `folds` may break its longest cells into several lines there.
    """

    title: str
    style: str = ""
    is_number: bool = False
    spare: int = 0
    folds: bool = False


def spared_first(columns: tuple[Column, ...], title: str) -> tuple[Column, ...]:
    """Let a terminal that is too narrow leave one column out before all others."""
    most = max(column.spare for column in columns) + 1
    return tuple(
        replace(column, spare=most) if column.title == title else column for column in columns
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under titles; the printer draws it, escapes it and never cuts a cell.

    `row_styles` is empty, or has a Rich style for each row. Without any title there is no head.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    row_styles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `style` is a Rich style and used on a terminal alone.

    With `hanging` it is a sentence, which is broken between words on a terminal that is too narrow;
    the further lines are indented by so many columns. Else it is left as it is, to be copied.
    """

    text: str = ""
    style: str = ""
    hanging: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a drawn tree, with what hangs on it."""

    text: str
    style: str = ""
    children: tuple["Branch", ...] = ()


class Mark(Enum):
    """What a point of a drawn history is."""

    TITLE = "title"
    GROUP = "group"
    SAFETY = "safety"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a drawn history, what leads away from it, and what comes `next` on its line.

    `cells` are shown beside it, in line with those of all other points. What leads away is drawn
    right below it, to the side; so a long line without branches is drawn straight down.
    """

    text: str
    mark: Mark
    cells: tuple[str, ...] = ()
    style: str = ""
    away: tuple["Point", ...] = ()
    next: "Point | None" = None


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawn history from its first point on; `columns` are those of the points' cells."""

    first: Point
    columns: tuple[Column, ...]


Block: TypeAlias = Table | Line | Branch | Graph


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of `errors` in JSON, and an `error:` and a `hint:` line for people.

    One that is `aside` has nothing to do with what was asked, which is answered as a whole: people
    read it as a `warning:`, whatever the answer's blocks tell.
    """

    code: str
    message: str
    hint: str | None = None
    is_aside: bool = False

    @classmethod
    def of(cls, error: "VmsnapError", *, is_aside: bool = False) -> "Problem":
        """Take code, sentence and hint from an expected failure."""
        return cls(error.code, error.message, error.hint, is_aside)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a verb says at its end; `note` and `hint` (what to type next) go to stderr.

    `changed` is None where it is not known. `is_news` says that the blocks only confirm what was
    done, so that `--quiet` leaves them out; lists and dry runs are printed all the same.
    `is_told` says that the blocks tell people all that `errors` tells scripts.
    """

    data: "JsonObject | None"
    blocks: tuple[Block, ...] = ()
    changed: bool | None = False
    exit_code: int = 0
    errors: tuple[Problem, ...] = ()
    note: str | None = None
    hint: str | None = None
    is_news: bool = False
    is_told: bool = False

    @property
    def status(self) -> str:
        """The word of the envelope: ok, partial or error."""
        return {0: "ok", 3: "partial"}.get(self.exit_code, "error")
