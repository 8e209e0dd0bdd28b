"""Findings on the identity records beside the images, from which a lost database is rebuilt."""

from collections.abc import Iterator

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.engine.identity import is_stale, refresh
from vmsnap.model import DomainId
from vmsnap.ports import Ports

IDENTITY_STALE = Kind(
    "identity_stale",
    Severity.WARNING,
    Cure.SURELY,
    "should the database be lost, 'vmsnap db rebuild' would not bring back all that there is now",
)


def find_stale_identity(scene: Scene) -> Iterator[Finding]:
    """Find a domain whose groups and layers are not, or no longer so, written beside its images."""
    if scene.is_settled and is_stale(scene.ports, scene.id):
        message = "the record beside the images is missing, damaged or old"
        command = f"vmsnap doctor {operands(scene.name)} --fix"
        yield scene.find(IDENTITY_STALE, "record", message, command, _refreshing(scene.id))


def _refreshing(domain_id: DomainId) -> Mend:
    def write(ports: Ports) -> None:
        refresh(ports, domain_id)

    return write
