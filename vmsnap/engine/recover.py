"""The verb recover: finish or take back what was interrupted, and lift fences that were left."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from vmsnap.engine.delete import VERB as DELETE
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.history import record_success
from vmsnap.engine.journal import Run, load
from vmsnap.engine.requests import DeleteRequest
from vmsnap.engine.results import RecoverResult
from vmsnap.engine.settling import domain_if_defined, recover_domain, result_of
from vmsnap.engine.steps.all import STEPS
from vmsnap.engine.steps.definition import lift_fence
from vmsnap.errors import BusyError, DomainRunningError, HookError, StateError, VmsnapError
from vmsnap.model import (
    Domain,
    DomainId,
    DomainState,
    GroupKind,
    GroupState,
    Operation,
    OperationId,
)
from vmsnap.ports import Ports

VERB = "recover"
_JOURNAL_LOST = (
    "it is fenced, but the journal of what was interrupted is lost: its disks, NVRAM and TPM state"
    " may be of different times"
)


def recover_all(
    ports: Ports, *, dry_run: bool, lift_fences: bool = False
) -> tuple[RecoverResult, ...]:
    """Recover every domain of this host that has a journal or a fence, then finish deletes.

    Those are the deletes that had to wait until their domain is off, if it is so now. A domain that
    cannot be recovered now (busy, running, its journal lost) does not keep the others from it. Nor
    does any other failure: the first is raised in the end, the others are said at once. A second
    run finds nothing to do, but says again which deletes wait for a shutdown. `lift_fences` lifts
    also the fences whose journal is lost, whatever their machines are like then.
    """
    waiting = list(ports.journals.pending())
    fenced = {item.id for item in ports.hypervisor.definitions() if item.is_fenced}
    waiting += sorted(fenced - set(waiting))
    if dry_run:
        previews = [_preview(ports, domain_id) for domain_id in waiting]
        left = [item for item in _left_deletes(ports) if item not in waiting]
        previews += [_preview_delete(ports, domain_id) for domain_id in left]
        return (*previews, *_deletes_of_running(ports))
    results: list[RecoverResult | None] = []
    failures: list[VmsnapError] = []

    def attempt(
        settle: Callable[[Ports, DomainId], RecoverResult | None], domain_id: DomainId
    ) -> None:
        try:
            results.append(settle(ports, domain_id))
        except VmsnapError as error:
            _name_domain(error, _known_name(ports, domain_id))
            if failures:
                ports.reporter.warn(error.message)
            failures.append(error)

    for domain_id in waiting:
        attempt(partial(_recover, lift_fences=lift_fences), domain_id)
    for domain_id in _left_deletes(ports):
        attempt(_finish_delete, domain_id)
    if failures:
        raise failures[0]
    results += _deletes_of_running(ports)
    return tuple(result for result in results if result is not None)


def _name_domain(error: VmsnapError, name: str) -> None:
    """Make an error say of which domain it tells, unless it does."""
    if f"'{name}'" not in error.message:
        error.message = f"domain '{name}' is not recovered yet: {error.message}"
        error.args = (error.message,)


def _known_name(ports: Ports, domain_id: DomainId) -> str:
    """Name a domain as libvirt or the database does; its UUID if neither can."""
    try:
        domain = domain_if_defined(ports, domain_id)
        if domain is not None:
            return domain.name
        record = ports.catalog.record(ports.hypervisor.host_id(), domain_id)
    except VmsnapError:
        return domain_id
    return record.name if record is not None else domain_id


def _recover(ports: Ports, domain_id: DomainId, *, lift_fences: bool) -> RecoverResult | None:
    try:
        with ports.locks.hold(domain_id, VERB, ports.wait_seconds):
            result = recover_domain(ports, domain_id)
            domain = domain_if_defined(ports, domain_id)
            if result is not None or domain is None or not domain.definition.is_fenced:
                return result
            if not lift_fences:
                return result_of(ports, domain_id, None, "journal_lost", _JOURNAL_LOST)
            operation = _nothing(ports, domain)
            lift_fence(Run(ports, operation))
            ports.journals.remove(domain_id)
            record_success(ports, operation)
            message = "the fence was lifted without a journal; look at disks, NVRAM and TPM"
            return result_of(ports, domain_id, None, "fence_lifted", message)
    except BusyError as error:
        return result_of(ports, domain_id, None, "busy", error.message)
    except DomainRunningError as error:
        return result_of(ports, domain_id, load(ports, domain_id, STEPS), "waiting", error.message)


def _preview(ports: Ports, domain_id: DomainId) -> RecoverResult:
    interrupted = load(ports, domain_id, STEPS)
    holder = ports.locks.holder(domain_id)
    if holder is not None:
        return result_of(ports, domain_id, interrupted, "busy", str(holder))
    if interrupted is None:
        return result_of(ports, domain_id, None, "journal_lost", _JOURNAL_LOST)
    verb = interrupted.operation.verb
    return result_of(ports, domain_id, interrupted, "pending", f"'{verb}' would be settled")


def _left_deletes(ports: Ports) -> tuple[DomainId, ...]:
    """Return the domains that are off and have groups whose delete was not finished."""
    states = _states_with_deletes(ports)
    return tuple(key for key, state in states.items() if state is DomainState.SHUT_OFF)


def _deletes_of_running(ports: Ports) -> tuple[RecoverResult, ...]:
    """Say of each domain that is not off which deletes wait until it is."""
    results = []
    for domain_id, state in _states_with_deletes(ports).items():
        if state is not DomainState.SHUT_OFF:
            quoted = _quoted(sum(_deleting(ports, domain_id), ()))
            message = f"the delete of {quoted} waits until the domain is off, or for another delete"
            result = result_of(ports, domain_id, None, "waits_for_shutdown", message)
            results.append(replace(result, verb=DELETE))
    return tuple(results)


def _states_with_deletes(ports: Ports) -> dict[DomainId, DomainState]:
    """Return the domains with groups whose delete was not finished, unless a journal says it."""
    deleting = {
        group.resource.domain_id
        for group in ports.catalog.groups(ports.hypervisor.host_id())
        if group.state is GroupState.DELETING
    } - set(ports.journals.pending())
    found = {item.id: item.state for item in ports.hypervisor.domains() if item.id in deleting}
    return dict(sorted(found.items()))


def _finish_delete(ports: Ports, domain_id: DomainId) -> RecoverResult:
    """Delete the groups of a domain on that an earlier delete had to leave."""
    names, singles = _deleting(ports, domain_id)
    quoted = _quoted(names + singles)
    outcome, message = "finished", f"the delete of {quoted} was finished"
    try:
        result = delete_groups(ports, domain_id, names, DeleteRequest(singles=singles))
    except BusyError as error:
        outcome, message = "busy", error.message
    except (StateError, HookError) as error:
        outcome, message = "waiting", f"the delete of {quoted} cannot go on: {error.message}"
    else:
        for text in (*result.changes, *result.notes):
            if " stays" in text:
                ports.reporter.warn(text)
        left = next((item for item in result.results if not item.merged), None)
        if left is not None:
            outcome = "waiting"
            message = f"the delete of {quoted} is not finished yet: {left.message}"
    return replace(result_of(ports, domain_id, None, outcome, message), verb=DELETE)


def _preview_delete(ports: Ports, domain_id: DomainId) -> RecoverResult:
    names, singles = _deleting(ports, domain_id)
    message = f"the delete of {_quoted(names + singles)} would be finished"
    return replace(result_of(ports, domain_id, None, "pending", message), verb=DELETE)


def _deleting(ports: Ports, domain_id: DomainId) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the groups, and of the single snapshots, that are being deleted."""
    groups = [
        group
        for group in ports.catalog.groups(ports.hypervisor.host_id(), domain_id)
        if group.state is GroupState.DELETING
    ]
    return (
        tuple(group.name for group in groups if group.kind is not GroupKind.SINGLE),
        tuple(group.name for group in groups if group.kind is GroupKind.SINGLE),
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


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
