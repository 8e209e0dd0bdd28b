"""Findings on the database's own rows: contents, deletes that wait, domains that are gone."""

from collections.abc import Iterator

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands, turning_off
from vmsnap.errors import ContentError
from vmsnap.model import Digest, DomainState, GroupKind, GroupState

CONTENT_DAMAGED = Kind(
    "content_damaged",
    Severity.DANGER,
    Cure.BY_HAND,
    "what was kept cannot be given back; the next create or backup of the same bytes mends it",
)
DELETE_WAITS = Kind(
    "delete_waits",
    Severity.NOTE,
    Cure.BY_HAND,
    "a delete ended the group but could not merge all of its layers yet; its backup is whole",
)
DOMAIN_GONE = Kind(
    "domain_gone",
    Severity.NOTE,
    Cure.BY_HAND,
    "its groups and backups are kept until it is defined again, or purged",
)


def find_damaged_contents(scene: Scene) -> Iterator[Finding]:
    """Find definitions, NVRAM and TPM contents that are missing or do not match their digest."""
    found: dict[Digest, list[str]] = {}
    for group in scene.groups:
        if group.state is GroupState.READY and group.kind is not GroupKind.SINGLE:
            found.setdefault(group.definition_digest, []).append(f"{group.name}: definition")
    for resource in scene.resources:
        for backup in resource.backups:
            if backup.digest is not None:
                found.setdefault(backup.digest, []).append(f"{resource.name}: {backup.type.value}")
    for digest, users in found.items():
        try:
            scene.ports.catalog.content(digest)
        except ContentError as error:
            message = f"{error.message} ({', '.join(users)})"
            verb = "group check" if scene.domain is not None else "backup verify"
            command = f"vmsnap {verb} {operands(scene.name)}"
            yield scene.find(CONTENT_DAMAGED, digest, message, command)


def find_waiting_deletes(scene: Scene) -> Iterator[Finding]:
    """Find groups whose delete waits, and say for what."""
    if not scene.is_settled:
        return
    for group in scene.groups:
        if group.state is not GroupState.DELETING:
            continue
        command, reason = f"vmsnap purge {scene.id}", "the domain is gone"
        if scene.domain is not None and scene.domain.state is DomainState.SHUT_OFF:
            command, reason = "vmsnap recover", "nothing keeps it from being finished"
        elif scene.domain is not None:
            command, reason = turning_off(scene.domain), "it goes on when the domain is off"
        message = f"the delete of group '{group.name}' is not finished: {reason}"
        yield scene.find(DELETE_WAITS, group.name, message, command)


def find_gone_domain(scene: Scene) -> Iterator[Finding]:
    """Find a domain that has rows and no definition."""
    if scene.domain is None and scene.record is not None:
        message = (
            f"domain '{scene.name}' is not defined on this host any more: define it again, or purge"
            " what is kept of it"
        )
        yield scene.find(DOMAIN_GONE, "domain", message, f"vmsnap purge {scene.id}")
