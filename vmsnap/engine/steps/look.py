"""Looks at the domain that steps need before they change something."""

from vmsnap.engine.hints import turning_off
from vmsnap.engine.journal import Run
from vmsnap.errors import DomainNotFoundError, DomainRunningError
from vmsnap.model import Domain, DomainState


def look(run: Run) -> Domain:
    """Look at the operation's domain afresh."""
    return run.ports.hypervisor.domain(run.operation.domain_id)


def look_if_defined(run: Run) -> Domain | None:
    """Look at the operation's domain; None if somebody undefined it in the meantime."""
    try:
        return look(run)
    except DomainNotFoundError:
        return None


def require_off(run: Run) -> None:
    """Raise DomainRunningError unless the domain is shut off (or no longer defined)."""
    domain = look_if_defined(run)
    if domain is not None and domain.state is not DomainState.SHUT_OFF:
        message = f"domain '{domain.name}' is {domain.state.value}; this needs it shut off"
        raise DomainRunningError(message, hint=turning_off(domain))
