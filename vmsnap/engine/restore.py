"""The verb restore: put a backup's host files back, or change nothing."""

from dataclasses import dataclass

from vmsnap.engine.changing import changing, preview_operation, require_changeable
from vmsnap.engine.find import find_domain_id, pick_resource
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import execute
from vmsnap.engine.placing import plan_placing
from vmsnap.engine.replacing import Keeping, Replacing, plan_replacing
from vmsnap.engine.requests import RestoreRequest
from vmsnap.engine.results import BackupResult, BackupView
from vmsnap.errors import ContentError, NotAvailableError
from vmsnap.model import (
    Backup,
    Capture,
    Domain,
    HostFileType,
    Operation,
    Resource,
    ResourceId,
)
from vmsnap.ports import Ports

VERB = "backup restore"
_HOLDS_NOTHING = frozenset({Capture.SKIPPED, Capture.NOT_CREATED, Capture.LOST})


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """The whole plan of a restore."""

    domain: Domain
    resource: Resource
    types: frozenset[HostFileType]
    replacing: Replacing
    changes: tuple[str, ...]

    @property
    def safety(self) -> Resource | None:
        """What is kept of the present."""
        drafts = self.replacing.drafts
        return drafts[0].resource if drafts else None

    def run(self, ports: Ports, operation: Operation) -> None:
        """Do it, or change nothing."""
        plan = self.replacing
        execute(ports, operation, plan.steps, drafts=plan.drafts, contents=plan.contents)


def restore_backup(ports: Ports, domain: str, backup: str, request: RestoreRequest) -> BackupResult:
    """Put the host files of a backup (a group's, too) back on a domain that is shut off.

    What is there now is kept first as a safety backup, unless that is renounced. A live file is
    removed only where the backup says that there was none; what the backup lacks refuses.
    """
    domain_id = find_domain_id(ports, domain)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        return restore_result(_plan(ports, operation, backup, request), is_done=False)
    with changing(ports, domain_id, VERB, subject=backup) as operation:
        plan = _plan(ports, operation, backup, request)
        ports.reporter.step(f"restoring '{plan.resource.name}' on domain '{plan.domain.name}'")
        plan.run(ports, operation)
        return restore_result(plan, is_done=True)


def plan_restore(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    resource: Resource,
    request: RestoreRequest,
    ends: ResourceId | None = None,
) -> RestorePlan:
    """Plan a restore; `ends` (undo) names the safety backup that is used up by it."""
    types = request.only or frozenset(HostFileType)
    require_changeable(domain, "host files can only be restored")
    _require_whole(ports, resource, types)
    definition = domain.definition
    placing = plan_placing(ports, operation.id, resource, types, (definition, definition))
    description = f"before {operation.verb} of '{resource.name}'" if request.with_safety else None
    replacing = plan_replacing(ports, operation, domain, placing, Keeping(description, ends))
    return RestorePlan(domain, resource, types, replacing, placing.changes)


def restore_result(plan: RestorePlan, *, is_done: bool) -> BackupResult:
    """Say what a restore did or would do."""
    return BackupResult(
        domain_name=plan.domain.name,
        name=plan.resource.name,
        rows=tuple(
            BackupView(plan.resource, backup)
            for backup in plan.resource.backups
            if backup.type in plan.types
        ),
        changes=plan.changes or ("nothing: the host files are as the backup has them",),
        is_done=is_done,
        safety=plan.safety,
        can_undo=plan.replacing.can_undo,
        notes=plan.replacing.notes,
    )


def require_kept(ports: Ports, resource: Resource, type_: HostFileType, hint: str) -> Backup:
    """Return the backup of a type; NotAvailableError with this hint if it holds no file."""
    backup = resource.backup(type_)
    if backup is None or backup.capture in _HOLDS_NOTHING:
        word = backup.capture.value if backup else "missing"
        message = f"backup '{resource.name}' holds no {type_.value}: {word}"
        raise NotAvailableError(message, hint=hint)
    require_secret(ports, backup.secret_id)
    _require_content(ports, resource, backup)
    return backup


def require_secret(ports: Ports, secret_id: str | None) -> None:
    """Refuse a TPM state whose libvirt secret is not defined on this host."""
    if secret_id is not None and not ports.hypervisor.has_secret(secret_id):
        message = f"libvirt secret '{secret_id}' of the TPM state is not defined"
        raise NotAvailableError(message, hint="virsh secret-define it first")


def _plan(ports: Ports, operation: Operation, backup: str, request: RestoreRequest) -> RestorePlan:
    domain = ports.hypervisor.domain(operation.domain_id)
    resources = ports.catalog.resources(operation.host_id, domain.id)
    resource = pick_resource(ports, resources, domain.name, backup)
    return plan_restore(ports, operation, domain, resource, request)


def _require_whole(ports: Ports, resource: Resource, types: frozenset[HostFileType]) -> None:
    """Refuse what a backup lacks, or has damaged, before anything changes."""
    for type_ in HostFileType:
        if type_ in types:
            rest = [other.value for other in HostFileType if other is not type_]
            require_kept(ports, resource, type_, f"--only {rest[0]}")


def _require_content(ports: Ports, resource: Resource, backup: Backup) -> None:
    if backup.digest is None:
        return
    try:
        ports.catalog.content(backup.digest)
    except ContentError as error:
        message = f"backup '{resource.name}', {backup.type.value}: {error.message}"
        hint = f"vmsnap backup verify {operands(resource.domain_name)}"
        raise NotAvailableError(message, hint=hint) from error
