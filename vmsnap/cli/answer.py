"""What a verb hands to the printer: data for scripts, and tables and lines for people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vmsnap.errors import VmsnapError
    from vmsnap.model import JsonObject


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `style` is a Rich style and used on a terminal alone.

    `spare` above 0 lets a terminal that is too narrow leave the column out, the highest first.
    """

    title: str
    style: str = ""
    is_number: bool = False
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under titles; the printer draws it, escapes it and never cuts a cell."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `style` is a Rich style and used on a terminal alone."""

    text: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a drawn tree, with what hangs on it."""

    text: str
    style: str = ""
    children: tuple["Branch", ...] = ()


Block: TypeAlias = Table | Line | Branch


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of `errors` in JSON, and an `error:` and a `hint:` line for people."""

    code: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: "VmsnapError") -> "Problem":
        """Take code, sentence and hint from an expected failure."""
        return cls(error.code, error.message, error.hint)


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
