"""The arguments and options that several verbs share, declared once."""

import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from vmsnap.model import HostFileType


class HostFileWord(Enum):
    """What can be typed for a type of host file (importing model here would cost 15 ms)."""

    NVRAM = "nvram"
    TPM = "tpm"


class WithoutWord(Enum):
    """What can be typed for a type of host file that is left out, or for none at all."""

    NVRAM = "nvram"
    TPM = "tpm"
    NONE = "none"


NONE = WithoutWord.NONE.value
"""The word that takes back what config.toml says, where an option can be repeated."""


def host_file_types(words: "Iterable[HostFileWord] | None") -> "frozenset[HostFileType]":
    """Turn what was typed into the model's words."""
    from vmsnap.model import HostFileType

    return frozenset(HostFileType(word.value) for word in words or ())


def left_out_types(words: "Sequence[WithoutWord] | None") -> "frozenset[HostFileType]":
    """Turn what was typed for `--without` into the model's words; raises UsageError."""
    typed = repeated("--without", [word.value for word in words or ()])
    return host_file_types(HostFileWord(word) for word in typed)


def repeated(option: str, words: "Sequence[str] | None") -> tuple[str, ...]:
    """Return what was typed for an option that can be repeated, nothing for `none`.

    Raises UsageError for `none` among others.
    """
    typed = tuple(words or ())
    if NONE not in typed:
        return typed
    if set(typed) != {NONE}:
        message = f"'{option} {NONE}' stands alone"
        raise UsageError(message)
    return ()


_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)", re.IGNORECASE)
_UNITS = {"K": 1 << 10, "": 1 << 20, "M": 1 << 20, "G": 1 << 30}


def bytes_per_second(rate: str | None) -> int:
    """Turn a typed bandwidth into bytes per second: MiB/s, or with K, M or G; None is 0: no limit.

    Raises UsageError for what is no rate, and for less than 1 KiB/s.
    """
    if rate is None:
        return 0
    found = _RATE.fullmatch(rate)
    bytes_ = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if bytes_ < _UNITS["K"]:
        message = f"'{rate}' is no bandwidth: a number of MiB/s, or one with K, M or G"
        raise UsageError(message)
    return bytes_


def rate(bytes_: int) -> str:
    """Write bytes per second so that `bytes_per_second` reads the same."""
    unit = next((unit for unit in "GM" if bytes_ % _UNITS[unit] == 0), "K")
    return f"{bytes_ / _UNITS[unit]:.10f}".rstrip("0").rstrip(".") + unit


def duration(text: str | None, option: str) -> "timedelta | None":
    """Turn a typed duration into one; raises UsageError, naming the option, for what is none."""
    from vmsnap.config import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} takes {error}") from None


Domain = Annotated[
    str,
    typer.Argument(metavar="DOMAIN", help="Name or UUID of a domain; 8 digits of a UUID suffice."),
]
AnyDomain = Annotated[
    str | None,
    typer.Argument(metavar="[DOMAIN]", help="Only this domain's; all domains' without it."),
]
Group = Annotated[
    str,
    typer.Argument(metavar="GROUP", help="Name or UUID of a group; 8 digits of a UUID suffice."),
]
Backup = Annotated[
    str,
    typer.Argument(
        metavar="BACKUP",
        help="Name or UUID of a backup, or of its group; 8 digits of a UUID suffice.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Its name; made from the time if not given."),
]
Description = Annotated[
    str, typer.Option("--description", metavar="TEXT", help="A remark to keep with it.")
]
Without = Annotated[
    list[WithoutWord] | None,
    typer.Option(
        "--without",
        help="Leave a type of host file out; can be repeated. 'none' undoes config.toml's.",
    ),
]
NoSafety = Annotated[
    bool, typer.Option("--no-safety", help="Keep nothing of the present state; asks first.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer all questions with yes.")]
Bandwidth = Annotated[
    str | None,
    typer.Option(
        "--bandwidth",
        metavar="RATE",
        help="Merge at most so fast while the domain runs: MiB/s, or with K, M or G.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
AllHosts = Annotated[
    bool, typer.Option("--all-hosts", help="Show what other hosts keep in this database too.")
]
Shutdown = Annotated[
    bool, typer.Option("--shutdown", help="Ask the guest of a running domain to shut down first.")
]
ShutdownTimeout = Annotated[
    int,
    typer.Option("--shutdown-timeout", metavar="SECONDS", min=1, help="How long it has for that."),
]
Start = Annotated[bool, typer.Option("--start", help="Start the domain afterwards.")]
