"""The language of manual pages: text and blocks that man(7) shows as they are meant."""

import re
from collections.abc import Iterable

# Characters that roff takes for something else, or prints as typographers like them: what is copied
# from a page has to be what was meant.
_SPECIAL = {
    "\\": "\\e",
    "-": "\\-",
    "'": "\\(aq",
    '"': "\\(dq",
    "`": "\\(ga",
    "^": "\\(ha",
    "~": "\\(ti",
}
_CODE = re.compile(r"`([^`]+)`")


def escaped(text: str) -> str:
    """Write text of one line so that it is shown as it is, wherever it stands."""
    shown = "".join(_SPECIAL.get(character, character) for character in text)
    # A dot at the start of a line makes it an order.
    return f"\\&{shown}" if shown.startswith(".") else shown


def bold(text: str) -> str:
    """Write what is typed as it stands."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """Write what is replaced by something else when it is typed."""
    return f"\\fI{escaped(text)}\\fR"


def prose(text: str) -> str:
    """Write a sentence or more; what stands between backticks is typed as it stands."""
    parts = _CODE.split(text)
    return "".join(bold(part) if index % 2 else escaped(part) for index, part in enumerate(parts))


def head(name: str, section: int, version: str) -> list[str]:
    """Begin a page. It has no date: made again from the same package it is the same."""
    heading = f'{escaped(name.upper())} {section} "" "vmsnap {escaped(version)}" "vmsnap manual"'
    # No word is divided and no line stretched: names and commands are to be found and copied.
    return ['.\\" Made by `make pages`.', f".TH {heading}", ".nh", ".ad l"]


def section(name: str, lines: Iterable[str]) -> list[str]:
    """Write a section; one with nothing in it is left out."""
    inside = _begun(lines)
    return [f'.SH "{escaped(name)}"', *inside] if inside else []


def subsection(name: str, lines: Iterable[str]) -> list[str]:
    """Write a part of a section."""
    return [f'.SS "{escaped(name)}"', *_begun(lines)]


def _begun(lines: Iterable[str]) -> list[str]:
    """Leave out the break before a first paragraph: its heading makes one."""
    inside = list(lines)
    return inside[1:] if inside[:1] == [".PP"] else inside


def paragraph(text: str) -> list[str]:
    """Write a paragraph of prose."""
    return [".PP", prose(text)]


def term(head: str, text: str) -> list[str]:
    """Write one entry of a list of terms; `head` is roff already."""
    return [".TP", head, prose(text)]


def example(lines: Iterable[str]) -> list[str]:
    """Write lines that are typed as they stand."""
    return [".PP", ".RS 4", ".EX", *(escaped(line) for line in lines), ".EE", ".RE"]
