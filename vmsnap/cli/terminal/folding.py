"""Text broken into lines of so many columns, where a reader would break it."""

import re
from collections.abc import Iterator

from vmsnap.cli.terminal.text import width

_WORDS = re.compile(r"[^ ]* *")
# Names and paths: behind a blank, a hyphen, a slash and the like.
_SEAMS = re.compile(r"[^ \-/_.,:]*[ \-/_.,:]*")


def wrapped(text: str, columns: int) -> tuple[str, ...]:
    """Break a sentence between words; a word that is longer than a line stays whole."""
    return tuple(_lines(_WORDS.findall(text), columns))


def folded(text: str, columns: int) -> tuple[str, ...]:
    """Break a name or a path at its seams, and in the middle only where it has none."""
    pieces = (part for piece in _SEAMS.findall(text) for part in _cut(piece, columns))
    return tuple(_lines(pieces, columns))


def _lines(pieces: "Iterator[str] | list[str]", columns: int) -> Iterator[str]:
    line = ""
    for piece in pieces:
        if line and width(line) + width(piece.rstrip(" ")) > columns:
            yield line.rstrip(" ")
            line = ""
        line += piece
    yield line.rstrip(" ")


def _cut(piece: str, columns: int) -> Iterator[str]:
    rest = ""
    for character in piece:
        if rest and width(rest) + width(character) > columns:
            yield rest
            rest = ""
        rest += character
    yield rest
