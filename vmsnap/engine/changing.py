"""The frame of every verb that changes a domain: lock, recovery, an operation's id, hooks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from vmsnap.engine import hooks
from vmsnap.engine.hints import operands, turning_off
from vmsnap.engine.history import record_failure, record_success, subject_of
from vmsnap.engine.journal import refuse_if_cancelled
from vmsnap.engine.settling import recover_domain
from vmsnap.errors import (
    BusyError,
    DomainNotFoundError,
    DomainRunningError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import Domain, DomainId, DomainState, Job, Operation, OperationId
from vmsnap.ports import Ports

WAIT_SLICE = 1.0


@contextmanager
def changing(
    ports: Ports,
    domain_id: DomainId,
    verb: str,
    *,
    subject: str | Sequence[str] = "",
    may_be_claimed: bool = False,
) -> Iterator[Operation]:
    """Hold the domain's lock for one operation, run hooks around it and record how it ends.

    `subject` is what it is about: names or UUIDs of groups or backups as they were typed. Raises
    what `holding` and `recorded` raise.
    """
    with (
        holding(ports, domain_id, verb, may_be_claimed=may_be_claimed) as begun,
        recorded(ports, begun, subject) as operation,
    ):
        yield operation


@contextmanager
def holding(
    ports: Ports, domain_id: DomainId, verb: str, *, may_be_claimed: bool = False
) -> Iterator[Operation]:
    """Hold the domain's lock for one operation, after what was interrupted on it was recovered.

    Raises BusyError if the lock is not to be had, OtherHostError if another host is at work on a
    domain of that UUID (unless it `may_be_claimed`: the caller asks then), and what recovery raises
    if that cannot be done.
    """
    with _held(ports, domain_id, verb):
        recover_domain(ports, domain_id)
        if not may_be_claimed:
            ports.catalog.require_unclaimed(ports.hypervisor.host_id(), domain_id)
        yield Operation(
            id=OperationId(ports.clock.new_id()),
            verb=verb,
            host_id=ports.hypervisor.host_id(),
            domain_id=domain_id,
            domain_name=_name(ports, domain_id),
            started_at=ports.clock.now(),
            user=ports.user,
        )


@contextmanager
def recorded(
    ports: Ports, operation: Operation, subject: str | Sequence[str]
) -> Iterator[Operation]:
    """Run hooks around an operation, and record in the history how it ends.

    `subject` as for `changing`. Raises HookError if a hook stops it.
    """
    operation = replace(operation, subject=subject_of(ports, operation, subject))
    try:
        hooks.run_before(ports, operation)
        yield operation
    except BaseException as error:  # a signal ends it too
        record_failure(ports, operation, error)
        hooks.run_after(ports, operation, hooks.failed(error))
        raise
    operation, outcome = record_success(ports, operation)
    hooks.run_after(ports, operation, hooks.done(outcome))


@contextmanager
def _held(ports: Ports, domain_id: DomainId, verb: str) -> Iterator[None]:
    """Hold the domain's lock; that it is busy is said with the domain's name."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_wait_for(ports, domain_id, verb))
        except BusyError as error:
            message = f"domain '{_name(ports, domain_id)}' is busy: {error.message}"
            raise BusyError(message, hint=error.hint) from error
        yield


@contextmanager
def _wait_for(ports: Ports, domain_id: DomainId, verb: str) -> Iterator[None]:
    """Hold the lock; where others may cancel this, look every second whether they did."""
    until = ports.clock.ticks() + ports.wait_seconds
    has_said = False
    with ExitStack() as stack:
        while True:
            left = max(0.0, until - ports.clock.ticks())
            try:
                stack.enter_context(ports.locks.hold(domain_id, verb, min(left, WAIT_SLICE)))
                break
            except BusyError as error:
                if left <= WAIT_SLICE:
                    raise
                if not has_said:
                    ports.reporter.step(f"waiting: {error.message}")
                    has_said = True
            refuse_if_cancelled(ports)
        yield


def _name(ports: Ports, domain_id: DomainId) -> str:
    try:
        return ports.hypervisor.domain(domain_id).name
    except DomainNotFoundError:
        # Not defined any more; a verb that needs it finds that out when it looks itself.
        record = ports.catalog.record(ports.hypervisor.host_id(), domain_id)
        return record.name if record is not None else domain_id


def preview_operation(ports: Ports, domain_id: DomainId, verb: str) -> Operation:
    """Make an operation that is only planned, never run. Raises OtherHostError as `changing`."""
    ports.catalog.require_unclaimed(ports.hypervisor.host_id(), domain_id)
    return Operation(
        id=OperationId(ports.clock.new_id()),
        verb=verb,
        host_id=ports.hypervisor.host_id(),
        domain_id=domain_id,
        domain_name="",
        started_at=ports.clock.now(),
    )


def require_changeable(
    domain: Domain, what: str, *, with_managed_save: bool = False, may_run: bool = False
) -> None:
    """Refuse what makes every change of a domain unsafe: it runs, is fenced, has a saved RAM image.

    `what` ends the sentence "... can only be <what> while it is shut off". With `may_run` it may
    run or be paused as well, only not be in between.
    """
    if not domain.is_persistent:
        message = f"domain '{domain.name}' is transient: it has no definition to come back to"
        raise UnsupportedError(
            message,
            hint=f"virsh dumpxml {operands(domain.name)} >machine.xml && virsh define machine.xml",
        )
    if may_run and domain.state is DomainState.OTHER:
        message = f"domain '{domain.name}' is being started, stopped, saved or migrated"
        raise StateError(message, hint=f"virsh domstate --reason {operands(domain.name)}")
    if not may_run and domain.state is not DomainState.SHUT_OFF:
        message = f"domain '{domain.name}' is {domain.state.value}; {what} while it is shut off"
        raise DomainRunningError(message, hint=turning_off(domain))
    if domain.definition.is_fenced:
        message = f"domain '{domain.name}' still has the fence of an interrupted operation"
        raise StateError(message, hint="vmsnap recover")
    if domain.has_managed_save and not with_managed_save:
        message = f"domain '{domain.name}' has a managed-save image, which would no longer fit"
        raise StateError(message, hint=f"virsh start {operands(domain.name)}")


def refuse_unsafe(ports: Ports, domain: Domain, what: str) -> None:
    """Refuse libvirt's own unfinished business that would make switching disks unsafe.

    Checkpoints stand in the way only while the domain is off: `what` says of what. Of a running one
    libvirt carries their bitmaps from layer to layer itself.
    """
    if domain.block_jobs:
        jobs = ", ".join(map(str, domain.block_jobs))
        message = f"domain '{domain.name}' is busy with another job: {jobs}"
        raise StateError(message, hint=_ending(domain, domain.block_jobs[0]))
    if domain.checkpoints and domain.state is DomainState.SHUT_OFF:
        names = ", ".join(f"'{name}'" for name in domain.checkpoints)
        message = f"domain '{domain.name}' has libvirt checkpoints ({names}); {what}"
        # Without --metadata libvirt needs a running domain, and writes to frozen layers (seen).
        checkpoint = operands(domain.name, domain.checkpoints[0])
        raise StateError(message, hint=f"virsh checkpoint-delete {checkpoint} --metadata")


def _ending(domain: Domain, job: Job) -> str:
    if job.target is None:
        return f"virsh domjobabort {operands(domain.name)}"
    return f"virsh blockjob {operands(domain.name, job.target)} --abort"
