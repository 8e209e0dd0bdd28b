"""Names of groups and backups: the rules, and names that sort by time."""

import unicodedata
from collections.abc import Collection
from datetime import datetime

from vmsnap.errors import InvalidNameError

MAX_LENGTH = 255


def check_name(name: str) -> str:
    """Return the name if it keeps the rules.

    1 to 255 characters of any script, no '/', no control characters, no leading dash or dot.
    Raises InvalidNameError otherwise.
    """
    problem = _problem(name)
    if problem is not None:
        message = f"a name {problem}"
        raise InvalidNameError(message, hint="for example: --name before-upgrade")
    return name


def generated_name(now: datetime, taken: Collection[str], prefix: str = "") -> str:
    """Make a name of the time in UTC, with a number behind it if that is taken."""
    stem = f"{prefix}{now:%Y-%m-%d-%H%M%S}"
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def _problem(name: str) -> str | None:
    if not name:
        return "cannot be empty"
    if len(name) > MAX_LENGTH:
        return f"has at most {MAX_LENGTH} characters, this one has {len(name)}"
    if "/" in name:
        return "cannot contain '/'"
    # Cs: lone surrogates come from bytes on the command line that are no text.
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        return "cannot contain control characters"
    if name[0] in "-.":
        return "cannot begin with a dash or a dot"
    return None
