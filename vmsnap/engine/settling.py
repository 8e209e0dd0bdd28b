"""Settle the interrupted operation of one domain: finish it, or take it back."""

from vmsnap.engine.hints import operands
from vmsnap.engine.history import record_recovered
from vmsnap.engine.journal import Interrupted, Run, load, settle
from vmsnap.engine.results import RecoverResult
from vmsnap.engine.steps.all import STEPS
from vmsnap.errors import DatabaseError, DomainNotFoundError
from vmsnap.model import Domain, DomainId, Outcome, local_time
from vmsnap.ports import Ports


def recover_domain(ports: Ports, domain_id: DomainId) -> RecoverResult | None:
    """Settle the interrupted operation of one domain, if there is one; the caller holds its lock.

    Raises DomainRunningError if that has to wait for the domain to be shut off, DatabaseError if
    the journal belongs to another database or the database does not answer.
    """
    interrupted = load(ports, domain_id, STEPS)
    if interrupted is None:
        if domain_id in ports.journals.pending() and not is_fenced(ports, domain_id):
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
    begun = local_time(interrupted.operation.started_at)
    message = f"'{interrupted.operation.verb}' of {begun} {words}"
    if is_partial:
        message += "; a group is left to be deleted again"
    ports.reporter.warn(f"domain '{interrupted.operation.domain_name}': interrupted {message}")
    return result_of(ports, domain_id, interrupted, outcome, message)


def result_of(
    ports: Ports,
    domain_id: DomainId,
    interrupted: Interrupted | None,
    outcome: str,
    message: str,
) -> RecoverResult:
    """Make the line that tells what became of a domain."""
    domain = domain_if_defined(ports, domain_id)
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


def domain_if_defined(ports: Ports, domain_id: DomainId) -> Domain | None:
    """Look at a domain; None if it is not defined."""
    try:
        return ports.hypervisor.domain(domain_id)
    except DomainNotFoundError:
        return None


def _require_its_database(ports: Ports, interrupted: Interrupted) -> None:
    status = ports.catalog.status()
    if (status.url, status.identity) == (interrupted.database, interrupted.database_identity):
        return
    message = (
        f"'{interrupted.operation.verb}' of domain '{interrupted.operation.domain_name}' was"
        f" interrupted; what became of it only its database '{interrupted.database}' knows"
    )
    raise DatabaseError(message, hint=f"vmsnap --database {operands(interrupted.database)} recover")


def is_fenced(ports: Ports, domain_id: DomainId) -> bool:
    """Tell whether a domain is defined with a fence now."""
    domain = domain_if_defined(ports, domain_id)
    return domain is not None and domain.definition.is_fenced
