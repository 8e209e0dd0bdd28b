"""The verb prune: end the points of a domain that no rule keeps, in one operation."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from vmsnap.engine.changing import holding, preview_operation, recorded
from vmsnap.engine.completeness import defects, losses
from vmsnap.engine.deleting import Deletion, deletion_result, deletion_steps, plan_deletion
from vmsnap.engine.find import find_domain_id, find_domain_name
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.requests import PruneRequest
from vmsnap.engine.results import PruneResult
from vmsnap.engine.retention import Point, PointKind, Verdict, judge
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import AmbiguousIdError, DomainNotFoundError, UsageError
from vmsnap.model import (
    CatalogChange,
    Group,
    GroupKind,
    GroupState,
    JsonObject,
    Operation,
    ResourceId,
    ResourceKind,
)
from vmsnap.ports import Ports

VERB = "prune"
_NAMED = 10
_GROUPS = {
    GroupKind.MANUAL: PointKind.GROUP,
    GroupKind.SAFETY: PointKind.SAFETY_GROUP,
}
_BACKUPS = {
    ResourceKind.STANDALONE: PointKind.BACKUP,
    ResourceKind.SAFETY: PointKind.SAFETY_BACKUP,
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """The points of a domain, judged: which groups and backups go, of all groups that are `known`.

    `names` are those of what goes, oldest first; `begun` are groups whose delete was left
    unfinished (none, where no groups are pruned).
    """

    domain_name: str
    verdicts: tuple[Verdict, ...]
    known: tuple[Group, ...]
    groups: tuple[Group, ...]
    backups: tuple[ResourceId, ...]
    names: tuple[str, ...]
    begun: tuple[Group, ...]
    notes: tuple[str, ...]


def names_among(ports: Ports, domains: Sequence[str], pruned: Sequence[str]) -> frozenset[str]:
    """Return the names of domains that were given to an option of prune, all of them pruned.

    Raises DomainNotFoundError or AmbiguousIdError for what is none, UsageError for another one.
    """
    meant = frozenset(find_domain_name(ports, text) for text in domains)
    if not meant:
        return meant
    known: set[str] = set()
    for text in pruned:
        # One that is not there is told of when its turn comes.
        with suppress(DomainNotFoundError, AmbiguousIdError):
            known.add(find_domain_name(ports, text))
    for name in sorted(meant - known):
        message = f"--allow-empty names domain '{name}', which is not to be pruned"
        raise UsageError(message, hint="name it among the domains, too, or say --all")
    return meant


def prune_domain(
    ports: Ports, domain: str, request_for: Callable[[str], PruneRequest]
) -> PruneResult:
    """Delete the groups and backups of a domain that no rule keeps, and say of each point why.

    `request_for` gives the options for a domain of that name. Groups end as `delete_groups` ends
    them, backups with their commit, all in one operation, and with them what an earlier delete left
    unfinished. Nothing is done where nothing goes and all that was begun waits for the machine to
    be off. Raises UsageError for a policy without a rule.
    """
    domain_id = find_domain_id(ports, domain)
    name = ports.hypervisor.domain(domain_id).name
    request = request_for(name)
    if not request.policy.has_rules:
        return _unruled(name, request)
    if request.dry_run:
        operation = preview_operation(ports, domain_id, VERB)
        plan = _plan(ports, operation, name, request)
        return _result(plan, _deletion(ports, operation, plan), None)
    with holding(ports, domain_id, VERB) as begun:
        plan = _plan(ports, begun, begun.domain_name, request)
        if not plan.names and _deletion(ports, begun, plan) is None:
            return _result(plan, None, None)
        names = plan.names or tuple(group.name for group in plan.begun)
        with recorded(ports, begun, _subject(names)) as operation:
            ports.reporter.step(f"pruning {len(names)} points of domain '{plan.domain_name}'")
            deletion = _deletion(ports, operation, plan)
            steps = _steps(deletion, plan.backups, request)
            return _result(plan, deletion, execute(ports, operation, steps))


def _subject(names: Sequence[str]) -> list[str]:
    """Name what goes, for the history and the hooks; of many, only the first."""
    more = len(names) - _NAMED
    return [*names[:_NAMED], f"and {more} more"] if more > 0 else list(names)


def _unruled(domain_name: str, request: PruneRequest) -> PruneResult:
    if request.skips_unruled:
        return PruneResult(domain_name, is_ruled=False)
    message = f"no rule says what to keep of domain '{domain_name}'"
    raise UsageError(message, hint=f"vmsnap prune --keep-daily 7 --dry-run {operands(domain_name)}")


def _plan(ports: Ports, operation: Operation, domain_name: str, request: PruneRequest) -> _Plan:
    host_id, domain_id = operation.host_id, operation.domain_id
    known = ports.catalog.groups(host_id, domain_id)
    points = (*_groups(ports, operation, known), *_backups(ports, operation))
    verdicts = judge(
        [point for point in points if point.kind in request.kinds],
        request.policy,
        ports.clock.now(),
        # Without a zone it is the host's own, as it was at that moment.
        datetime.astimezone,
        may_be_empty=request.may_be_empty,
    )
    going = {item.point.id: item.point for item in verdicts if not item.is_kept}
    return _Plan(
        domain_name=domain_name,
        verdicts=verdicts,
        known=known,
        groups=tuple(group for group in known if group.id in going),
        backups=tuple(id_ for id_, point in going.items() if point.kind.is_backup),
        names=tuple(point.name for point in going.values()),
        begun=_begun(known, request),
        notes=tuple(_notes(ports, operation, going)),
    )


def _begun(known: Sequence[Group], request: PruneRequest) -> tuple[Group, ...]:
    if PointKind.GROUP not in request.kinds:
        return ()
    return tuple(group for group in known if group.state is GroupState.DELETING)


def _groups(ports: Ports, operation: Operation, known: Sequence[Group]) -> tuple[Point, ...]:
    """Make points of the groups that are ready; single snapshots are no points to go back to."""
    ready = [group for group in known if group.state is GroupState.READY and group.kind in _GROUPS]
    layers = ports.catalog.layers(operation.host_id, operation.domain_id)
    damaged = defects(ports.images, ready, {layer.id: layer for layer in layers})
    return tuple(
        Point(
            id=group.id,
            kind=_GROUPS[group.kind],
            name=group.name,
            created_at=group.resource.created_at,
            is_pinned=group.is_pinned,
            defect=damaged.get(group.id),
        )
        for group in ready
    )


def _backups(ports: Ports, operation: Operation) -> tuple[Point, ...]:
    resources = ports.catalog.resources(operation.host_id, operation.domain_id)
    return tuple(
        Point(
            id=item.id,
            kind=_BACKUPS[item.kind],
            name=item.name,
            created_at=item.created_at,
            defect=next(iter(losses(item.backups)), None),
        )
        for item in resources
        if item.kind in _BACKUPS
    )


def _deletion(ports: Ports, operation: Operation, plan: _Plan) -> Deletion | None:
    """Plan the end of groups; None if none goes, and all that was begun has to wait."""
    if not plan.groups and not plan.begun:
        return None
    deletion = plan_deletion(ports, operation, plan.groups, plan.known)
    waits = not deletion.merges and any(item.waits for _, item in deletion.kept)
    return deletion if plan.groups or not waits else None


def _steps(
    deletion: Deletion | None, backups: tuple[ResourceId, ...], request: PruneRequest
) -> list[Step]:
    if deletion is None:
        return [Reserve(), Commit(CatalogChange(removed_resources=backups)), Finish()]
    return deletion_steps(deletion, request.bandwidth, backups)


def _notes(ports: Ports, operation: Operation, going: Collection[ResourceId]) -> Iterator[str]:
    """Yield what has to be said of an undo that ends."""
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    if record is not None and record.safety_id in going:
        yield "what 'vmsnap undo' goes back to is among them: there is no undo after this"


def _result(plan: _Plan, deletion: Deletion | None, facts: JsonObject | None) -> PruneResult:
    ended = deletion_result(deletion, facts) if deletion is not None else None
    return PruneResult(
        domain_name=plan.domain_name,
        verdicts=plan.verdicts,
        deletion=ended,
        is_done=facts is not None,
        notes=(
            *plan.notes,
            *_words_on_begun(plan, goes_on=ended is not None),
            *(ended.notes if ended is not None else ()),
        ),
    )


def _words_on_begun(plan: _Plan, *, goes_on: bool) -> Iterator[str]:
    names = ", ".join(f"'{group.name}'" for group in plan.begun)
    when = "goes on" if goes_on else "waits until the machine is off: 'vmsnap recover' finishes it"
    if names:
        yield f"the delete of {names}, begun before, {when}"
