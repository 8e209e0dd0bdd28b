"""The verbs on backups of host files: create, list, show, verify, delete."""

import itertools
from dataclasses import dataclass, replace

from vmsnap.engine.capture import Captured, capture_present, witnesses_of
from vmsnap.engine.changing import changing, preview_operation, require_changeable
from vmsnap.engine.find import (
    find_domain_id,
    find_domains_of_all_hosts,
    find_known_domain,
    pick_resource,
)
from vmsnap.engine.groups import BackupPlan, draft_backup, taken_names
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.lost_overlays import warn_of_lost
from vmsnap.engine.names import check_name, generated_name
from vmsnap.engine.requests import CreateRequest
from vmsnap.engine.results import BackupResult, BackupView, VerifyResult
from vmsnap.engine.steps.host_files import ConfirmUnchanged
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import ContentError, HostFileChangedError, NameTakenError, StateError
from vmsnap.model import (
    Capture,
    CatalogChange,
    Domain,
    DomainId,
    DomainRecord,
    DomainState,
    Operation,
    OperationId,
    Resource,
    ResourceKind,
)
from vmsnap.ports import Ports

ATTEMPTS = 8
"""How often the host files of a running guest are read until they keep still."""


@dataclass(frozen=True, slots=True)
class _Plan:
    domain: Domain
    name: str
    replaced: Resource | None
    captured: tuple[Captured, ...]


def create_backup(ports: Ports, domain: str, request: CreateRequest) -> BackupResult:
    """Keep the host files of a domain, shut off or running, and no disks.

    They are read again when they moved meanwhile, some times. A taken name is refused; `replace`
    replaces a standalone backup of that name in one transaction.
    """
    if request.name is not None:
        check_name(request.name)
    verb = "backup create"
    domain_id = find_domain_id(ports, domain)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, verb)
        plan = _plan(ports, operation, request)
        warn_of_lost(ports, plan.domain.definition)
        return _created(plan, None)
    with changing(ports, domain_id, verb, subject=request.name or "") as operation:
        return _create(ports, operation, request)


def _create(ports: Ports, operation: Operation, request: CreateRequest) -> BackupResult:
    for attempt in itertools.count(1):
        plan = _plan(ports, operation, request)
        if attempt == 1:
            warn_of_lost(ports, plan.domain.definition)
        ports.reporter.step(f"keeping the host files of domain '{plan.domain.name}'")
        try:
            return _created(plan, _execute(ports, operation, plan, request))
        except HostFileChangedError:
            if attempt == ATTEMPTS or plan.domain.state is DomainState.SHUT_OFF:
                raise
        # The id of what was taken back is spent: it never commits.
        operation = replace(operation, id=OperationId(ports.clock.new_id()))
    raise AssertionError


def list_backups(
    ports: Ports, domain: str | None, *, all_hosts: bool = False
) -> tuple[BackupView, ...]:
    """List what is kept of host files, a row for each resource and type, oldest first."""
    host_id = None if all_hosts else ports.hypervisor.host_id()
    domain_ids: tuple[DomainId | None, ...] = (None,)
    if domain is not None and all_hosts:
        domain_ids = find_domains_of_all_hosts(ports, domain)
    elif domain is not None:
        domain_ids = (find_known_domain(ports, domain, host_id)[0],)
    found = [item for key in domain_ids for item in ports.catalog.resources(host_id, key)]
    in_order = sorted(found, key=lambda item: (item.created_at, item.id))
    return tuple(view for resource in in_order for view in _views(resource))


def show_backup(ports: Ports, domain: str, backup: str) -> tuple[BackupView, ...]:
    """Look at the rows of one backup; a group's has the group's name."""
    host_id = ports.hypervisor.host_id()
    domain_id, name = find_known_domain(ports, domain, host_id)
    return _views(pick_resource(ports, ports.catalog.resources(host_id, domain_id), name, backup))


def verify_backups(
    ports: Ports, domain: str | None, backup: str | None
) -> tuple[VerifyResult, ...]:
    """Read every captured content back and compare length and digest."""
    if domain is not None and backup is not None:
        views = show_backup(ports, domain, backup)
    else:
        views = list_backups(ports, domain)
    return tuple(VerifyResult(view, _problem(ports, view)) for view in views)


def delete_backup(ports: Ports, domain: str, backup: str, *, dry_run: bool) -> BackupResult:
    """Delete a standalone or safety backup; a group's backup goes only with its group."""
    verb = "backup delete"
    domain_id = find_domain_id(ports, domain)
    if dry_run:
        operation = preview_operation(ports, domain_id, verb)
        return _deleted(*_find_deletable(ports, operation, backup), is_done=False)
    with changing(ports, domain_id, verb, subject=backup) as operation:
        found, resource = _find_deletable(ports, operation, backup)
        record = ports.catalog.record(operation.host_id, domain_id)
        if record is not None and record.safety_id == resource.id:
            record = replace(record, safety_id=None, safety_base_id=None)
        change = CatalogChange(removed_resources=(resource.id,), record=record)
        execute(ports, operation, [Reserve(), Commit(change), Finish()])
        return _deleted(found, resource, is_done=True)


def _plan(ports: Ports, operation: Operation, request: CreateRequest) -> _Plan:
    domain = ports.hypervisor.domain(operation.domain_id)
    name, replaced = _name(ports, operation, request)
    require_changeable(domain, "a backup of its host files can only be created", may_run=True)
    return _Plan(domain, name, replaced, capture_present(ports, domain, request.without))


def _name(
    ports: Ports, operation: Operation, request: CreateRequest
) -> tuple[str, Resource | None]:
    taken = taken_names(ports, operation.host_id, operation.domain_id)
    if request.name is None:
        return generated_name(ports.clock.now(), taken), None
    if request.name not in taken:
        return request.name, None
    resources = ports.catalog.resources(operation.host_id, operation.domain_id)
    old = next((item for item in resources if item.name == request.name), None)
    if old is not None and old.kind is ResourceKind.STANDALONE:
        if request.replace:
            return request.name, old
        message = f"the domain has a backup '{request.name}' already"
        raise NameTakenError(message, hint="--replace replaces it, or choose another --name")
    message = f"the domain has a group '{request.name}', whose backup cannot be replaced"
    raise NameTakenError(message, hint="choose another --name")


def _execute(ports: Ports, operation: Operation, plan: _Plan, request: CreateRequest) -> Resource:
    kept = BackupPlan(
        name=plan.name,
        kind=ResourceKind.STANDALONE,
        captured=plan.captured,
        description=request.description,
        replaces=plan.replaced.id if plan.replaced else None,
    )
    draft, contents = draft_backup(ports, operation.host_id, plan.domain, kept)
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    base = record or DomainRecord(operation.host_id, operation.domain_id, plan.domain.name)
    change = CatalogChange(
        ready=(draft.resource.id,),
        removed_resources=(plan.replaced.id,) if plan.replaced else (),
        record=replace(base, name=plan.domain.name),
    )
    steps: list[Step] = [
        Reserve(),
        ConfirmUnchanged(witnesses_of(plan.captured), (), may_run=True),
        Commit(change),
        Finish(),
    ]
    execute(ports, operation, steps, drafts=(draft,), contents=contents)
    return draft.resource


def _created(plan: _Plan, resource: Resource | None) -> BackupResult:
    words = {item.type: item.capture.value for item in plan.captured}
    notes: tuple[str, ...] = ()
    if all(item.capture is Capture.ABSENT for item in plan.captured):
        notes = (f"domain '{plan.domain.name}' has neither NVRAM nor TPM: nothing is kept",)
    replaced = (
        f", replacing the one of {plan.replaced.created_at:%Y-%m-%d}" if plan.replaced else ""
    )
    return BackupResult(
        domain_name=plan.domain.name,
        name=plan.name,
        rows=_views(resource) if resource else (),
        changes=tuple(f"{type_.value}: {word}{replaced}" for type_, word in words.items()),
        is_done=resource is not None,
        notes=notes,
    )


def _find_deletable(ports: Ports, operation: Operation, backup: str) -> tuple[Domain, Resource]:
    domain = ports.hypervisor.domain(operation.domain_id)
    resources = ports.catalog.resources(operation.host_id, domain.id)
    resource = pick_resource(ports, resources, domain.name, backup)
    if resource.kind is ResourceKind.GROUP:
        message = f"'{resource.name}' is the backup of a group and goes only with it"
        raise StateError(
            message, hint=f"vmsnap group delete {operands(domain.name, resource.name)}"
        )
    return domain, resource


def _deleted(domain: Domain, resource: Resource, *, is_done: bool) -> BackupResult:
    return BackupResult(
        domain_name=domain.name,
        name=resource.name,
        rows=_views(resource),
        changes=(f"backup '{resource.name}' is deleted",),
        is_done=is_done,
    )


def _views(resource: Resource) -> tuple[BackupView, ...]:
    return tuple(BackupView(resource, backup) for backup in resource.backups)


def _problem(ports: Ports, view: BackupView) -> str | None:
    if view.backup.capture is Capture.LOST:
        return "its content was lost with the database that held it"
    if view.backup.capture is not Capture.CAPTURED:
        return None
    if view.backup.digest is None:
        return "the row has no digest"
    try:
        ports.catalog.content(view.backup.digest)
    except ContentError as error:
        return error.message
    return None
