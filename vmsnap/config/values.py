"""What a setting's value may be, and what is said of one that it may not be."""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TypeVar

from vmsnap.config.durations import DURATION_WORDS, parse_duration
from vmsnap.errors import ConfigError

NONE = "none"
"""The word that takes back what a setting of lower rank says, where the empty list cannot."""

Value = TypeVar("Value")
Word = TypeVar("Word", bound=Enum)


class UnfitValueError(ValueError):
    """A value is not what is wanted; the text says what is, the hint which word may be meant."""

    def __init__(self, wanted: str, *, hint: str | None = None) -> None:
        super().__init__(wanted)
        self.hint = hint


def checked(read: Callable[[object], Value], value: object, what: str) -> Value:
    """Read a value. Raises ConfigError that says what is wanted of `what`."""
    try:
        return read(value)
    except ValueError as error:
        # The value is not repeated: it may be a database URL.
        raise ConfigError(f"{what} must be {error}", hint=getattr(error, "hint", None)) from None


def text(value: object) -> str:
    """Read a text that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise UnfitValueError("a text that is not empty")


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts; it may be empty."""
    wanted = "a list of texts that are not empty"
    if not isinstance(value, list):
        raise UnfitValueError(wanted)
    with suppress(UnfitValueError):
        return tuple(text(item) for item in value)
    raise UnfitValueError(wanted)


def truth(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise UnfitValueError("true or false")


def seconds(value: object) -> float:
    """Read a number of seconds, 0 or more."""
    # A bool is an int to Python, and no number of seconds to anyone.
    if isinstance(value, int | float) and not isinstance(value, bool):
        # An int may be too large to become a float.
        with suppress(OverflowError):
            found = float(value)
            if math.isfinite(found) and found >= 0:
                return found
    raise UnfitValueError("a number of seconds, 0 or more")


def some_seconds(value: object) -> float:
    """Read a number of seconds that is more than 0."""
    with suppress(UnfitValueError):
        if found := seconds(value):
            return found
    raise UnfitValueError("a number of seconds, more than 0")


def count(value: object) -> int:
    """Read a whole number, 0 or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise UnfitValueError("a whole number, 0 or more")


def duration(value: object) -> timedelta | None:
    """Read a duration; `none` is None."""
    if value == NONE:
        return None
    if isinstance(value, str):
        return parse_duration(value)
    raise UnfitValueError(DURATION_WORDS)


def some_duration(value: object) -> timedelta | None:
    """Read a duration that is more than 0; `none` is None."""
    found = duration(value)
    if found == timedelta():
        raise UnfitValueError(f"{DURATION_WORDS}, more than 0")
    return found


def path_from(home: Path) -> Callable[[object], Path]:
    """Return what reads an absolute path, or one that begins with `~/`, which is `home`."""

    def read(value: object) -> Path:
        if isinstance(value, str) and "\0" not in value:
            found = home / value[2:] if value.startswith("~/") else Path(value)
            if found.is_absolute():
                return found
        raise UnfitValueError("an absolute path")

    return read


def path_or_none_from(home: Path) -> Callable[[object], Path | None]:
    """Return what reads a path as `path_from` does; `none` is None."""
    read_path = path_from(home)

    def read(value: object) -> Path | None:
        return None if value == NONE else read_path(value)

    return read


def written_file_from(home: Path) -> Callable[[object], Path | None]:
    """Return what reads the path of a file to write; `none` and /dev/null are None."""
    read_path = path_or_none_from(home)

    def read(value: object) -> Path | None:
        return None if value == os.devnull else read_path(value)

    return read


def word_of(words: type[Word]) -> Callable[[object], Word]:
    """Return what reads one of an Enum's words."""
    known = [str(word.value) for word in words]

    def read(value: object) -> Word:
        if value in known:
            return words(value)
        raise UnfitValueError(quoted_words(known), hint=nearest(value, known))

    return read


def list_of_words(known: tuple[str, ...], wanted: str) -> Callable[[object], tuple[str, ...]]:
    """Return what reads a list of some of the known words, at least one; `wanted` names them."""

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise UnfitValueError(wanted)
        for item in value:
            if item not in known:
                raise UnfitValueError(wanted, hint=nearest(item, known))
        return tuple(value)

    return read


def quoted_words(words: list[str] | tuple[str, ...]) -> str:
    """Write words as they stand in a file: "a", "b" or "c"."""
    *most, last = (f'"{word}"' for word in words)
    return f"{', '.join(most)} or {last}" if most else last


def nearest(value: object, known: list[str] | tuple[str, ...]) -> str:
    """Say in a hint which known word is nearest to a value, or which words there are."""
    from difflib import get_close_matches

    # What is longer than any word is none, and comparing takes time that grows with its square.
    looked_at = value[:64] if isinstance(value, str) else ""
    found = get_close_matches(looked_at.lower(), known, n=1)
    return f"perhaps '{found[0]}' is meant" if found else f"known: {', '.join(known)}"


def truth_from_text(given: str) -> object:
    """Turn a variable's text into true or false, or leave it."""
    if given.lower() in ("1", "true", "yes", "on"):
        return True
    if given.lower() in ("0", "false", "no", "off"):
        return False
    return given


def seconds_from_text(given: str) -> object:
    """Turn a variable's text into a number, or leave it."""
    try:
        return float(given)
    except ValueError:
        return given


FROM_TEXT: Mapping[Callable[[object], object], Callable[[str], object]] = {
    truth: truth_from_text,
    seconds: seconds_from_text,
}
"""How the text of a variable becomes what a file would hold; by what reads it then."""
