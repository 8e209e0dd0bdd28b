"""The verb recover: finish or take back what was interrupted, and lift fences that were left."""

from vmsnap.engine.history import record_recovered, record_success
from vmsnap.engine.journal import Interrupted, Run, load, settle
from vmsnap.engine.results import RecoverResult
from vmsnap.engine.steps.all import STEPS
from vmsnap.engine.steps.definition import lift_fence
from vmsnap.errors import (
    BusyError,
    DatabaseError,
    DomainNotFoundError,
    DomainRunningError,
    VmsnapError,
)
from vmsnap.model import Domain, DomainId, Operation, OperationId, Outcome
from vmsnap.ports import Ports

VERB = "recover"
_JOURNAL_LOST = (
    "it is fenced, but the journal of what was interrupted is lost: its disks, NVRAM and TPM state"
    " may be of different times"
)


def recover_all(
    ports: Ports, *, dry_run: bool, lift_fences: bool = False
) -> tuple[RecoverResult, ...]:
    """Recover every domain of this host that has a journal or a fence.

    A domain that cannot be recovered now (busy, running, its journal lost) does not keep the others
    from it. Nor does any other failure, which is said at once; the first of them is raised in the
    end. A second run finds nothing to do. `lift_fences` lifts also the fences whose journal is
    lost, whatever their machines are like then.
    """
    waiting = list(ports.journals.pending())
    fenced = {item.id for item in ports.hypervisor.definitions() if item.is_fenced}
    waiting += sorted(fenced - set(waiting))
    if dry_run:
        return tuple(_preview(ports, domain_id) for domain_id in waiting)
    results, failures = [], []
    for domain_id in waiting:
        try:
            results.append(_recover(ports, domain_id, lift_fences=lift_fences))
        except VmsnapError as error:
            ports.reporter.warn(f"domain '{domain_id}' is not recovered yet: {error.message}")
            failures.append(error)
    if failures:
        raise failures[0]
    return tuple(result for result in results if result is not None)


def recover_domain(ports: Ports, domain_id: DomainId) -> RecoverResult | None:
    """Settle the interrupted operation of one domain, if there is one; the caller holds its lock.

    Raises DomainRunningError if that has to wait for the domain to be shut off, DatabaseError if
    the journal belongs to another database or the database does not answer.
    """
    interrupted = load(ports, domain_id, STEPS)
    if interrupted is None:
        if domain_id in ports.journals.pending() and not _is_fenced(ports, domain_id):
            # Its header was never whole, so nothing was begun. A fence is only defined behind a
            # whole header: with one, the journal was damaged.
            ports.journals.remove(domain_id)
        return None
    _require_its_database(ports, interrupted)
    run = Run(ports, interrupted.operation, facts=interrupted.facts)
    finished = settle(run, interrupted.steps, interrupted.done)
    is_partial = any(fact.startswith("unmerged:") for fact in run.facts)
    ended = (Outcome.PARTIAL if is_partial else Outcome.DONE) if finished else Outcome.UNDONE
    record_recovered(ports, interrupted.operation, ended)
    ports.journals.remove(domain_id)
    outcome, words = ("finished", "was finished") if finished else ("undone", "was taken back")
    message = f"'{interrupted.operation.verb}' of {_when(interrupted.operation)} {words}"
    if is_partial:
        message += "; a group is left to be deleted again"
    ports.reporter.warn(f"domain '{interrupted.operation.domain_name}': interrupted {message}")
    return _result(ports, domain_id, interrupted, outcome, message)


def _recover(ports: Ports, domain_id: DomainId, *, lift_fences: bool) -> RecoverResult | None:
    try:
        with ports.locks.hold(domain_id, VERB, ports.wait_seconds):
            result = recover_domain(ports, domain_id)
            domain = _domain(ports, domain_id)
            if result is not None or domain is None or not domain.definition.is_fenced:
                return result
            if not lift_fences:
                return _result(ports, domain_id, None, "journal_lost", _JOURNAL_LOST)
            operation = _nothing(ports, domain)
            lift_fence(Run(ports, operation))
            ports.journals.remove(domain_id)
            record_success(ports, operation)
            message = "the fence was lifted without a journal; look at disks, NVRAM and TPM"
            return _result(ports, domain_id, None, "fence_lifted", message)
    except BusyError as error:
        return _result(ports, domain_id, None, "busy", error.message)
    except DomainRunningError as error:
        return _result(ports, domain_id, load(ports, domain_id, STEPS), "waiting", error.message)


def _preview(ports: Ports, domain_id: DomainId) -> RecoverResult:
    interrupted = load(ports, domain_id, STEPS)
    if interrupted is None:
        return _result(ports, domain_id, None, "journal_lost", _JOURNAL_LOST)
    verb = interrupted.operation.verb
    return _result(ports, domain_id, interrupted, "pending", f"'{verb}' would be settled")


def _require_its_database(ports: Ports, interrupted: Interrupted) -> None:
    status = ports.catalog.status()
    if (status.url, status.identity) == (interrupted.database, interrupted.database_identity):
        return
    message = (
        f"'{interrupted.operation.verb}' of domain '{interrupted.operation.domain_name}' was"
        f" interrupted; what became of it only its database '{interrupted.database}' knows"
    )
    raise DatabaseError(message, hint=f"vmsnap --database '{interrupted.database}' recover")


def _result(
    ports: Ports,
    domain_id: DomainId,
    interrupted: Interrupted | None,
    outcome: str,
    message: str,
) -> RecoverResult:
    domain = _domain(ports, domain_id)
    operation = interrupted.operation if interrupted else None
    name = domain.name if domain else (operation.domain_name if operation else None)
    return RecoverResult(
        domain_id=domain_id,
        domain_name=name,
        verb=operation.verb if operation else None,
        started_at=operation.started_at if operation else None,
        outcome=outcome,
        message=message,
    )


def _is_fenced(ports: Ports, domain_id: DomainId) -> bool:
    domain = _domain(ports, domain_id)
    return domain is not None and domain.definition.is_fenced


def _domain(ports: Ports, domain_id: DomainId) -> Domain | None:
    try:
        return ports.hypervisor.domain(domain_id)
    except DomainNotFoundError:
        return None


def _nothing(ports: Ports, domain: Domain) -> Operation:
    return Operation(
        id=OperationId(ports.clock.new_id()),
        verb=VERB,
        host_id=ports.hypervisor.host_id(),
        domain_id=domain.id,
        domain_name=domain.name,
        started_at=ports.clock.now(),
        user=ports.user,
    )


def _when(operation: Operation) -> str:
    return f"{operation.started_at:%Y-%m-%d %H:%M:%S} UTC"
