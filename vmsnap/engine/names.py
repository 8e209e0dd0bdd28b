"""Names of groups and backups: the rules, and names that sort by time."""

import unicodedata
from collections.abc import Collection
from datetime import datetime

from vmsnap.errors import InvalidNameError

MAX_LENGTH = 255

# Several scripts cannot be written without these between letters, nor can joined emoji.
_JOINERS = frozenset("\u200c\u200d")


def check_name(name: str) -> str:
    """Return the name if it keeps the rules.

    1 to 255 characters of any script that can be seen and told apart: not only blanks, no '/', no
    control characters or invisible ones, no leading dash or dot.
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


def snapshot_name(group_name: str, target: str) -> str:
    """Name one disk's snapshot, GROUP/TARGET; a group's name that is too long for that is cut."""
    suffix = f"/{target}"
    return group_name[: MAX_LENGTH - len(suffix)] + suffix


def is_snapshot_name(name: str) -> bool:
    """Tell whether this can only be the name of a snapshot: no group or backup has a '/'."""
    return "/" in name


def _problem(name: str) -> str | None:
    if not name:
        return "cannot be empty"
    if len(name) > MAX_LENGTH:
        return f"has at most {MAX_LENGTH} characters, this one has {len(name)}"
    if "/" in name:
        return "cannot contain '/'"
    if name.isspace():
        return "cannot be all blanks"
    categories = {unicodedata.category(character) for character in set(name) - _JOINERS}
    # Lone surrogates come from bytes on the command line that are no text.
    if "Cs" in categories:
        return "cannot contain bytes that are no text"
    if not categories.isdisjoint({"Cc", "Zl", "Zp"}):
        return "cannot contain control characters"
    if "Cf" in categories or name[0] in _JOINERS:
        return "cannot contain characters that are invisible or turn the direction of text"
    if name[0] in "-.":
        return "cannot begin with a dash or a dot"
    return None
