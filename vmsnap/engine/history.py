"""The history: what is recorded of each operation when it ends, and the verb that shows it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.find import find_domains_of_all_hosts, find_known_domain
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import load
from vmsnap.engine.steps.all import STEPS
from vmsnap.errors import (
    BusyError,
    DomainNotFoundError,
    RefusedError,
    SignalError,
    TerminatedError,
    UsageError,
    VmsnapError,
)
from vmsnap.model import (
    DomainId,
    GroupState,
    HistoryEntry,
    HostId,
    Operation,
    Outcome,
    Resource,
    ResourceId,
)
from vmsnap.ports import Ports

log = logging.getLogger(__name__)

_CREATING = frozenset({"snapshot create", "backup create"})
_NAMED_ALREADY = _CREATING | {"backup clone"}
_ENDING = frozenset({"group delete", "snapshot delete", "prune", "purge"})


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """An operation that ended; `undo` is the command that takes it back, where there is one."""

    entry: HistoryEntry
    undo: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryList:
    """The last operations, oldest first; `is_cut` says that there are older ones."""

    lines: tuple[HistoryLine, ...]
    is_cut: bool


# --- recording -----------------------------------------------------------------------------------


def record_success(ports: Ports, operation: Operation) -> tuple[Operation, Outcome]:
    """Record an operation that ended without an error; return it with the name of what it made.

    A failure to record it is only warned of.
    """
    outcome = Outcome.DONE
    try:
        operation = _about_what_it_made(ports, operation)
        outcome = _outcome(ports, operation)
        _add(ports, operation, outcome)
    except VmsnapError as error:
        _warn(ports, operation, error)
    return operation, outcome


def record_failure(ports: Ports, operation: Operation, error: BaseException) -> None:
    """Record an operation that an error or a signal ended, unless it was refused.

    A refusal before anything was begun is no part of the history. A failure to record is only
    warned of: the error itself is what counts.
    """
    changed = getattr(error, "vmsnap_changed", None)
    is_refusal = isinstance(error, RefusedError | UsageError | BusyError)
    try:
        left = operation.domain_id in ports.journals.pending()
        if is_refusal and changed is None and not left:
            return
        if left:
            # The journal knows the operation as recover will: one that is tried again has a new id.
            interrupted = load(ports, operation.domain_id, STEPS)
            operation = interrupted.operation if interrupted is not None else operation
            outcome = Outcome.LEFT
        elif changed is True:
            outcome = _outcome(ports, operation)
        else:
            outcome = Outcome.UNDONE
        _add(ports, operation, outcome, code=error_class(error).code)
    except VmsnapError as second:
        _warn(ports, operation, second)


def record_recovered(ports: Ports, operation: Operation, outcome: Outcome) -> None:
    """Record that `recover` settled an operation; a failure to do so is only warned of."""
    try:
        if outcome is Outcome.DONE:
            operation = _about_what_it_made(ports, operation)
        _add(ports, operation, outcome, is_recovered=True)
    except VmsnapError as error:
        _warn(ports, operation, error)


def subject_of(ports: Ports, operation: Operation, texts: str | Sequence[str]) -> str:
    """Name what an operation is about: the names of groups or backups that were typed.

    A UUID, or the beginning of one, becomes the name of what there is.
    """
    typed = [texts] if isinstance(texts, str) else list(texts)
    if operation.verb in _NAMED_ALREADY or not any(typed):
        return ", ".join(typed)
    resources = ports.catalog.resources(operation.host_id, operation.domain_id)
    return ", ".join(_named(resources, text) for text in typed)


def _named(resources: Sequence[Resource], text: str) -> str:
    if any(item.name == text for item in resources):
        return text
    fitting = [item.name for item in resources if item.id.startswith(text.lower())]
    return fitting[0] if len(fitting) == 1 else text


def _about_what_it_made(ports: Ports, operation: Operation) -> Operation:
    """Name what a create made, if no name was asked for."""
    if operation.subject or operation.verb not in _CREATING:
        return operation
    # Under the domain's lock nothing else makes any; older ones look newer after a clock was set
    # back.
    made = [
        item.name
        for item in ports.catalog.resources(operation.host_id, operation.domain_id)
        if item.created_at >= operation.started_at
    ]
    return replace(operation, subject=made[0]) if made else operation


def _outcome(ports: Ports, operation: Operation) -> Outcome:
    """Tell whether a delete left groups to be deleted again: each takes those along that wait."""
    if operation.verb not in _ENDING:
        return Outcome.DONE
    groups = ports.catalog.groups(operation.host_id, operation.domain_id)
    is_left = any(group.state is GroupState.DELETING for group in groups)
    return Outcome.PARTIAL if is_left else Outcome.DONE


def error_class(error: BaseException) -> type[VmsnapError]:
    """Return the class whose exit status and code word the run will end with."""
    if isinstance(error, VmsnapError):
        return type(error)
    if isinstance(error, Exception):
        return VmsnapError
    return SignalError if isinstance(error, KeyboardInterrupt) else TerminatedError


def _add(
    ports: Ports,
    operation: Operation,
    outcome: Outcome,
    *,
    code: str | None = None,
    is_recovered: bool = False,
) -> None:
    entry = HistoryEntry(operation, ports.clock.now(), outcome, code, is_recovered)
    ports.catalog.add_history(entry)


def _warn(ports: Ports, operation: Operation, error: VmsnapError) -> None:
    log.info("no history of operation %s", operation.id)
    ports.reporter.warn(f"'{operation.verb}' is not in the history: {error.message}")


# --- showing -------------------------------------------------------------------------------------


def list_history(
    ports: Ports, domain: str | None, *, limit: int, all_hosts: bool = False
) -> HistoryList:
    """List the last operations on one domain or on all, also on such that are gone; oldest first.

    The one that `undo` would take back says so. Raises DomainNotFoundError or AmbiguousIdError.
    """
    host_id = None if all_hosts else ports.hypervisor.host_id()
    domain_ids: tuple[DomainId | None, ...] = (None,)
    if domain is not None:
        domain_ids = _find(ports, domain, host_id)
    found = [
        entry
        for domain_id in domain_ids
        for entry in ports.catalog.history(host_id, domain_id, limit=limit + 1)
    ]
    in_order = sorted(found, key=lambda item: (item.operation.started_at, item.operation.id))
    entries = in_order[-(limit + 1) :]
    undoable = _undoable(ports, {entry.operation.domain_id for entry in entries})
    lines = tuple(_line(entry, undoable) for entry in entries[-limit:])
    return HistoryList(lines, is_cut=len(entries) > limit)


def _find(ports: Ports, text: str, host_id: HostId | None) -> tuple[DomainId, ...]:
    """Find what is defined, has groups or backups, or once was worked on; of all hosts several."""
    try:
        if host_id is None:
            return find_domains_of_all_hosts(ports, text)
        return (find_known_domain(ports, text, host_id)[0],)
    except DomainNotFoundError:
        for entry in reversed(ports.catalog.history(host_id)):
            if text in (entry.operation.domain_name, entry.operation.domain_id):
                return (entry.operation.domain_id,)
        raise


_Undoable = dict[DomainId, tuple[str, Resource]]


def _undoable(ports: Ports, wanted: set[DomainId]) -> _Undoable:
    """Return today's name, and what would be undone, of each domain of this host."""
    host_id = ports.hypervisor.host_id()
    names = {item.id: item.name for item in ports.hypervisor.domains()}
    found: _Undoable = {}
    for record in ports.catalog.records(host_id):
        if record.id not in wanted or record.id not in names or record.safety_id is None:
            continue
        safety = _resource(ports, host_id, record.id, record.safety_id)
        if safety is not None:
            found[record.id] = (names[record.id], safety)
    return found


def _resource(
    ports: Ports, host_id: HostId, domain_id: DomainId, resource_id: ResourceId
) -> Resource | None:
    resources = ports.catalog.resources(host_id, domain_id)
    return next((item for item in resources if item.id == resource_id), None)


def _line(entry: HistoryEntry, undoable: _Undoable) -> HistoryLine:
    operation = entry.operation
    name, safety = undoable.get(operation.domain_id, ("", None))
    # What it left was kept in its course.
    is_undoable = (
        safety is not None
        and safety.host_id == operation.host_id
        and entry.outcome is Outcome.DONE
        and operation.started_at <= safety.created_at <= entry.ended_at
    )
    return HistoryLine(entry, undo=f"vmsnap undo {operands(name)}" if is_undoable else None)
