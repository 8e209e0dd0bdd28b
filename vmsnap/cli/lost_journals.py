"""Set aside the journals whose database is lost for good, so that a new one can be made."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vmsnap.cli.wiring import database_status
from vmsnap.config import Settings
from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.locks import FileLocks
from vmsnap.model import DomainId


@dataclass(frozen=True, slots=True)
class LostJournal:
    """An interrupted operation that nothing can finish or take back any more."""

    domain_id: DomainId
    domain_name: str
    verb: str


def lost_journals(settings: Settings, domains: Collection[str]) -> tuple[LostJournal, ...]:
    """Find the journals of some domains, by name or UUID, that name a database that is missing.

    Only an SQLite file can be known to be missing; a server may just not answer.
    """
    status = database_status(settings)
    if status.exists or not status.url.startswith("sqlite:"):
        return ()
    journals = FolderJournals(settings.state_folder)
    found = []
    for domain_id in journals.pending():
        header = next(iter(journals.load(domain_id)), {})
        operation = header.get("operation")
        said = operation if isinstance(operation, dict) else {}
        lost = LostJournal(domain_id, str(said.get("domain_name")), str(said.get("verb")))
        if header.get("database") == status.url and {domain_id, lost.domain_name} & {*domains}:
            found.append(lost)
    return tuple(found)


def set_aside(settings: Settings, lost: LostJournal) -> Path | None:
    """Rename a journal so that it counts no more; return its path, or None if it was settled.

    Raises BusyError while an operation is at work on the domain, HostFileError.
    """
    locks = FileLocks(settings.state_folder)
    with locks.hold(lost.domain_id, "db rebuild", settings.wait_seconds):
        if lost not in lost_journals(settings, (lost.domain_id,)):
            return None
        return FolderJournals(settings.state_folder).set_aside(lost.domain_id)
