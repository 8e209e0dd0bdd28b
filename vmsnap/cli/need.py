"""How far the database has to be there for a verb."""

from enum import Enum


class Need(Enum):
    """What a verb needs of the database."""

    NOTHING = "nothing"
    """It is not opened, and counts as empty."""
    READ = "read"
    """One that is missing counts as empty."""
    WRITE = "write"
    """One that is missing counts as empty, but one that is there must be writable."""
    MAKE = "make"
    """One that is missing is made."""
