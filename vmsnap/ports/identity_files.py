"""Small files beside the images of a domain that say which groups and layers they are."""

from pathlib import Path
from typing import Protocol

from vmsnap.model import DomainId, JsonObject


class IdentityFiles(Protocol):
    """One hidden file per domain and folder, for the day when the database is gone.

    Readable by its owner alone, replaced as a whole, synced, the folder too. Folders are absolute
    and resolved; no link is followed. Failures are HostFileError.
    """

    def domains(self, folder: Path) -> tuple[DomainId, ...]:
        """Return the domains that have a file in a folder, sorted; () if there is no folder."""

    def path(self, folder: Path, domain_id: DomainId) -> Path:
        """Return where a domain's file in a folder is, or would be."""

    def read(self, folder: Path, domain_id: DomainId) -> JsonObject | None:
        """Read a file; None if there is none.

        Raises HostFileError for one that somebody else than root or the caller could have written,
        that has a second name, is too large, or is no JSON object.
        """

    def write(self, folder: Path, domain_id: DomainId, record: JsonObject) -> None:
        """Write a file in place of the one that is there."""

    def remove(self, folder: Path, domain_id: DomainId) -> None:
        """Remove a file, and what a killed `write` left; a missing one is fine."""
