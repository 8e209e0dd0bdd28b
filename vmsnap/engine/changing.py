"""The frame of every verb that changes a domain: its lock, recovery first, an operation's id."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from vmsnap.engine.hints import operands
from vmsnap.engine.recover import recover_domain
from vmsnap.errors import (
    BusyError,
    DomainNotFoundError,
    DomainRunningError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import Domain, DomainId, DomainState, Operation, OperationId
from vmsnap.ports import Ports


@contextmanager
def changing(ports: Ports, domain_id: DomainId, verb: str) -> Iterator[Operation]:
    """Hold the domain's lock for one operation, after what was interrupted on it was recovered.

    Raises BusyError if the lock is not to be had, and what recovery raises if that cannot be done.
    """
    with _held(ports, domain_id, verb):
        recover_domain(ports, domain_id)
        yield Operation(
            id=OperationId(ports.clock.new_id()),
            verb=verb,
            host_id=ports.hypervisor.host_id(),
            domain_id=domain_id,
            domain_name=ports.hypervisor.domain(domain_id).name,
            started_at=ports.clock.now(),
        )


@contextmanager
def _held(ports: Ports, domain_id: DomainId, verb: str) -> Iterator[None]:
    """Hold the domain's lock; that it is busy is said with the domain's name."""
    with ExitStack() as stack:
        try:
            stack.enter_context(ports.locks.hold(domain_id, verb, ports.wait_seconds))
        except BusyError as error:
            message = f"domain '{_name(ports, domain_id)}' is busy: {error.message}"
            raise BusyError(message, hint=error.hint) from error
        yield


def _name(ports: Ports, domain_id: DomainId) -> str:
    try:
        return ports.hypervisor.domain(domain_id).name
    except DomainNotFoundError:
        return domain_id


def preview_operation(ports: Ports, domain_id: DomainId, verb: str) -> Operation:
    """Make an operation that is only planned, never run."""
    return Operation(
        id=OperationId(ports.clock.new_id()),
        verb=verb,
        host_id=ports.hypervisor.host_id(),
        domain_id=domain_id,
        domain_name="",
        started_at=ports.clock.now(),
    )


def require_changeable(domain: Domain, what: str, *, with_managed_save: bool = False) -> None:
    """Refuse what makes every change of a domain unsafe: it runs, is fenced, has a saved RAM image.

    `what` ends the sentence "... can only be <what> while it is shut off".
    """
    if not domain.is_persistent:
        message = f"domain '{domain.name}' is transient: it has no definition to come back to"
        raise UnsupportedError(
            message,
            hint=f"virsh dumpxml {operands(domain.name)} >machine.xml && virsh define machine.xml",
        )
    if domain.state is not DomainState.SHUT_OFF:
        message = f"domain '{domain.name}' is {domain.state.value}; {what} while it is shut off"
        raise DomainRunningError(message, hint=f"virsh shutdown {operands(domain.name)}")
    if domain.definition.is_fenced:
        message = f"domain '{domain.name}' still has the fence of an interrupted operation"
        raise StateError(message, hint="vmsnap recover")
    if domain.has_managed_save and not with_managed_save:
        message = f"domain '{domain.name}' has a managed-save image, which would no longer fit"
        raise StateError(message, hint=f"virsh start {operands(domain.name)}")


def refuse_unsafe(ports: Ports, domain: Domain, what: str) -> None:
    """Refuse libvirt's own unfinished business that would make switching disks unsafe."""
    if domain.block_jobs:
        message = f"domain '{domain.name}' has a block job: {', '.join(domain.block_jobs)}"
        raise StateError(message, hint=f"virsh blockjob --abort {operands(domain.name, 'DISK')}")
    if domain.checkpoints:
        message = f"domain '{domain.name}' has libvirt checkpoints; {what}"
        raise StateError(message, hint=f"virsh checkpoint-list {operands(domain.name)}")
