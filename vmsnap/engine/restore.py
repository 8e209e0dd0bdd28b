"""The verb restore: put a backup's host files back, or change nothing."""

from dataclasses import dataclass, replace

from vmsnap.engine.capture import capture, verdict_on, witnesses_of
from vmsnap.engine.changing import changing, preview_operation, require_changeable
from vmsnap.engine.find import find_domain_id, pick_resource
from vmsnap.engine.groups import BackupPlan, draft_backup, taken_names
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.names import generated_name
from vmsnap.engine.placing import plan_placing
from vmsnap.engine.requests import RestoreRequest
from vmsnap.engine.results import BackupResult, BackupView
from vmsnap.engine.returning import SAFETY_PREFIX
from vmsnap.engine.steps.definition import Fence, LiftFence
from vmsnap.engine.steps.host_files import ConfirmUnchanged
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import ContentError, NotAvailableError
from vmsnap.model import (
    Backup,
    Capture,
    CatalogChange,
    Digest,
    Domain,
    DomainRecord,
    HostFileType,
    Operation,
    Resource,
    ResourceId,
    ResourceKind,
)
from vmsnap.ports import Draft, Ports

VERB = "backup restore"


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """The whole plan of a restore."""

    domain: Domain
    resource: Resource
    types: frozenset[HostFileType]
    steps: tuple[Step, ...]
    drafts: tuple[Draft, ...]
    contents: dict[Digest, bytes]
    changes: tuple[str, ...]


def restore_backup(ports: Ports, domain: str, backup: str, request: RestoreRequest) -> BackupResult:
    """Put the host files of a backup (a group's, too) back on a domain that is shut off.

    What is there now is kept first as a safety backup, unless that is renounced. A live file is
    removed only where the backup says that there was none; what the backup lacks refuses.
    """
    domain_id = find_domain_id(ports, domain)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        return restore_result(_plan(ports, operation, backup, request), is_done=False)
    with changing(ports, domain_id, VERB) as operation:
        plan = _plan(ports, operation, backup, request)
        ports.reporter.step(f"restoring '{plan.resource.name}' on domain '{plan.domain.name}'")
        execute(ports, operation, plan.steps, drafts=plan.drafts, contents=plan.contents)
        return restore_result(plan, is_done=True)


def plan_restore(
    ports: Ports,
    operation: Operation,
    resource: Resource,
    types: frozenset[HostFileType],
    *,
    with_safety: bool,
    ends: ResourceId | None = None,
) -> RestorePlan:
    """Plan a restore; `ends` (undo) names the safety backup that is used up by it."""
    domain = ports.hypervisor.domain(operation.domain_id)
    require_changeable(domain, "host files can only be restored")
    _require_whole(ports, resource, types)
    definition = domain.definition
    placing = plan_placing(ports, operation.id, resource, types, (definition, definition))
    without = frozenset(
        type_ for type_ in HostFileType if verdict_on(definition, type_).must_be_excluded
    )
    captured = capture(ports, definition, without)
    drafts: tuple[Draft, ...] = ()
    contents: dict[Digest, bytes] = {}
    if with_safety:
        names = taken_names(ports, operation.host_id, domain.id)
        kept = BackupPlan(
            name=generated_name(ports.clock.now(), names, SAFETY_PREFIX),
            kind=ResourceKind.SAFETY,
            captured=captured,
            description=f"before {operation.verb} of '{resource.name}'",
        )
        draft, contents = draft_backup(ports, operation.host_id, domain, kept)
        drafts = (draft,)
    witnesses = dict.fromkeys((*witnesses_of(captured), *placing.witnesses))
    steps: list[Step] = [Reserve(), Fence(), ConfirmUnchanged(tuple(witnesses), ())]
    steps += placing.before
    steps.append(Commit(_change(ports, operation, domain, drafts, ends)))
    steps += [*placing.behind, LiftFence(), Finish()]
    return RestorePlan(domain, resource, types, tuple(steps), drafts, contents, placing.changes)


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
        safety=plan.drafts[0].resource if plan.drafts else None,
    )


def _plan(ports: Ports, operation: Operation, backup: str, request: RestoreRequest) -> RestorePlan:
    domain = ports.hypervisor.domain(operation.domain_id)
    resources = ports.catalog.resources(operation.host_id, domain.id)
    resource = pick_resource(resources, domain.name, backup)
    types = request.only or frozenset(HostFileType)
    return plan_restore(ports, operation, resource, types, with_safety=request.with_safety)


def _require_whole(ports: Ports, resource: Resource, types: frozenset[HostFileType]) -> None:
    """Refuse what a backup lacks, or has damaged, before anything changes."""
    for type_ in HostFileType:
        if type_ not in types:
            continue
        backup = resource.backup(type_)
        if backup is None or backup.capture in {Capture.SKIPPED, Capture.NOT_CREATED}:
            word = backup.capture.value if backup else "missing"
            message = f"backup '{resource.name}' holds no {type_.value}: {word}"
            rest = [other.value for other in HostFileType if other is not type_]
            raise NotAvailableError(message, hint=f"--only {rest[0]}")
        if backup.secret_id is not None and not ports.hypervisor.has_secret(backup.secret_id):
            message = f"libvirt secret '{backup.secret_id}' of the TPM state is not defined"
            raise NotAvailableError(message, hint="virsh secret-define it first")
        _require_content(ports, resource, backup)


def _require_content(ports: Ports, resource: Resource, backup: Backup) -> None:
    if backup.digest is None:
        return
    try:
        ports.catalog.content(backup.digest)
    except ContentError as error:
        message = f"backup '{resource.name}', {backup.type.value}: {error.message}"
        hint = f"vmsnap backup verify {operands(resource.domain_name)}"
        raise NotAvailableError(message, hint=hint) from error


def _change(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    drafts: tuple[Draft, ...],
    ends: ResourceId | None,
) -> CatalogChange:
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    base = record or DomainRecord(operation.host_id, operation.domain_id, domain.name)
    safety_id = drafts[0].resource.id if drafts else None
    return CatalogChange(
        ready=tuple(draft.resource.id for draft in drafts),
        removed_resources=(ends,) if ends else (),
        record=replace(base, name=domain.name, safety_id=safety_id),
    )
