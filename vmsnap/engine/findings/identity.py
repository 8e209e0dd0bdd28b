"""Findings on the identity records beside the images, from which a lost database is rebuilt."""

from collections.abc import Iterator

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.records import has_foreign_record
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.engine.identity.publishing import Standing, refresh, standing
from vmsnap.model import DomainId
from vmsnap.ports import Ports

IDENTITY_STALE = Kind(
    "identity_stale",
    Severity.WARNING,
    Cure.SURELY,
    "should the database be lost, 'vmsnap db rebuild' would not bring back all that there is now",
)

DATABASE_OLDER = Kind(
    "database_older",
    Severity.DANGER,
    Cure.BY_HAND,
    "an older copy of the database is in use, or a new one: it lacks groups, or takes intact ones"
    " for damaged",
)


def find_stale_identity(scene: Scene) -> Iterator[Finding]:
    """Find a domain whose groups and layers are not, or no longer so, written beside its images."""
    if not scene.is_settled or has_foreign_record(scene):
        return
    found = standing(scene.ports, scene.id)
    if found is Standing.AHEAD:
        message = "the record beside the images knows more than the database, and the files fit it"
        command = f"vmsnap db rebuild {operands(scene.name)}"
        yield scene.find(DATABASE_OLDER, "record", message, command)
    if found is Standing.STALE:
        message = "the record beside the images is missing, damaged or old"
        command = f"vmsnap doctor {operands(scene.name)} --fix"
        yield scene.find(IDENTITY_STALE, "record", message, command, _refreshing(scene.id))


def _refreshing(domain_id: DomainId) -> Mend:
    def write(ports: Ports) -> None:
        refresh(ports, domain_id)

    return write
