"""The arguments and options that several verbs share, declared once."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmsnap.model import HostFileType


class HostFileWord(Enum):
    """What can be typed for a type of host file (importing model here would cost 15 ms)."""

    NVRAM = "nvram"
    TPM = "tpm"


def host_file_types(words: "Iterable[HostFileWord] | None") -> "frozenset[HostFileType]":
    """Turn what was typed into the model's words."""
    from vmsnap.model import HostFileType

    return frozenset(HostFileType(word.value) for word in words or ())


Domain = Annotated[
    str, typer.Argument(metavar="DOMAIN", help="Name, UUID or unique UUID prefix of a domain.")
]
AnyDomain = Annotated[
    str | None,
    typer.Argument(metavar="[DOMAIN]", help="Only this domain's; all domains' without it."),
]
Group = Annotated[
    str, typer.Argument(metavar="GROUP", help="Name, UUID or unique UUID prefix of a group.")
]
Backup = Annotated[
    str,
    typer.Argument(
        metavar="BACKUP", help="Name, UUID or unique UUID prefix of a backup, or of its group."
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Its name; made from the time if not.")
]
Description = Annotated[
    str, typer.Option("--description", metavar="TEXT", help="A remark to keep with it.")
]
Without = Annotated[
    list[HostFileWord] | None,
    typer.Option("--without", help="Leave a type of host file out; can be repeated."),
]
NoSafety = Annotated[
    bool, typer.Option("--no-safety", help="Keep nothing of the present state; asks first.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer all questions with yes.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]
AllHosts = Annotated[
    bool, typer.Option("--all-hosts", help="Show what other hosts keep in this database too.")
]
