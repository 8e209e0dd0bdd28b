"""The verb db rebuild: bring back from beside the images what a lost database knew of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vmsnap.engine.changing import changing
from vmsnap.engine.identity.examining import examine, is_overlay_name
from vmsnap.engine.identity.search import Found, find_records
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.paths import real
from vmsnap.engine.rebuilding import RebuildPlan, plan_rebuild
from vmsnap.engine.side_by_side import Ended
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.errors import DomainNotFoundError, UsageError, VmsnapError
from vmsnap.model import DomainId, HostFileType
from vmsnap.ports import Ports

VERB = "db rebuild"


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """Options of `db rebuild`: all domains if none is named; `folders` are searched too."""

    domains: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RebuiltDomain:
    """What came back, or would come back, of one domain.

    `lost` are the host files whose contents are gone, by their group's name. `left_out` says of
    groups why they cannot come back, `nameless` which overlays nobody knows anything of.
    """

    domain_id: DomainId
    domain_name: str
    groups: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    layers: int = 0
    lost: tuple[tuple[str, HostFileType], ...] = ()
    left_out: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    is_done: bool = False
    notes: tuple[str, ...] = ()


def rebuild(ports: Ports, request: RebuildRequest) -> tuple[Ended[RebuiltDomain], ...]:
    """Add to the database what it lacks of the groups and layers that are recorded beside images.

    What it has is kept as it is, so a second run adds nothing. No image is touched. Each domain is
    all or nothing by itself, and its failure stands in the result. Raises DomainNotFoundError for a
    name that neither libvirt nor a record knows, UsageError for a folder that is none.
    """
    for folder in request.folders:
        if not folder.is_absolute() or not folder.is_dir():
            message = f"'{folder}' is no absolute path of a folder"
            raise UsageError(message)
    found = find_records(ports, request.folders)
    chosen = _chosen(found, request.domains)
    ended: list[Ended[RebuiltDomain]] = []
    try:
        ended.extend(_attempt(ports, item, request) for item in chosen)
    except BaseException as error:  # a signal ends the others too
        if any(one.result is not None and one.result.is_done for one in ended):
            error.vmsnap_changed = True  # type: ignore[attr-defined] # read where errors are shown
        raise
    return tuple(one for one in ended if request.domains or one.error or _is_worth_saying(one))


def _chosen(found: dict[DomainId, Found], texts: Sequence[str]) -> tuple[Found, ...]:
    by_name = sorted(found.values(), key=lambda item: (item.name, item.domain_id))
    if not texts:
        return tuple(by_name)
    chosen: dict[DomainId, Found] = {}
    for text in texts:
        fitting = [item for item in by_name if text in {item.name, item.domain_id}]
        if not fitting:
            message = f"no domain '{text}' on this host, and no record of one"
            raise DomainNotFoundError(message, hint="vmsnap vm list")
        chosen |= {item.domain_id: item for item in fitting}
    return tuple(chosen.values())


def _attempt(ports: Ports, item: Found, request: RebuildRequest) -> Ended[RebuiltDomain]:
    try:
        return Ended(item.name, result=_rebuild(ports, item, request))
    except VmsnapError as error:
        return Ended(item.name, error=error)


def _rebuild(ports: Ports, item: Found, request: RebuildRequest) -> RebuiltDomain:
    plan, notes = _plan(ports, item)
    if request.dry_run or plan.is_empty:
        return _result(ports, item, plan, notes, is_done=False)
    with changing(ports, item.domain_id, VERB) as operation:
        # Recovery may have changed the rows, and an operation that was awaited the images.
        again = find_records(ports, request.folders).get(item.domain_id, item)
        plan, notes = _plan(ports, again)
        result = _result(ports, again, plan, notes, is_done=not plan.is_empty)
        if plan.is_empty:
            return result
        ports.reporter.step(f"bringing back the groups of domain '{item.name}'")
        steps: list[Step] = [Reserve(), Commit(plan.change), Finish()]
        execute(ports, operation, steps, drafts=plan.drafts, contents=plan.contents)
        return result


def _plan(ports: Ports, item: Found) -> tuple[RebuildPlan, tuple[str, ...]]:
    if item.record is None:
        return RebuildPlan(), ()
    examined = examine(ports, item.record, item.scope)
    plan = plan_rebuild(ports, item.record, examined, item.name)
    notes = examined.notes if not plan.is_empty else ()
    if not item.is_defined:
        notes = (*notes, "it is not defined on this host any more")
    return plan, notes


def _result(
    ports: Ports, item: Found, plan: RebuildPlan, notes: tuple[str, ...], *, is_done: bool
) -> RebuiltDomain:
    return RebuiltDomain(
        domain_id=item.domain_id,
        domain_name=item.name,
        groups=plan.groups,
        snapshots=plan.snapshots,
        layers=len(plan.change.layers),
        lost=plan.lost,
        left_out=plan.left_out,
        nameless=tuple(_nameless(ports, item, plan)),
        is_done=is_done,
        notes=notes,
    )


def _nameless(ports: Ports, item: Found, plan: RebuildPlan) -> Iterable[str]:
    """Name the overlays that only vmsnap makes, and of which no row or record tells anything."""
    layers = [*ports.catalog.layers(ports.hypervisor.host_id(), item.domain_id)]
    layers += plan.change.layers
    known = {real(layer.path) for layer in layers}
    for target, files in item.chains.items():
        for path in files:
            if is_overlay_name(path) and path not in known:
                yield (
                    f"disk {target} stands on '{path}', which vmsnap made, but no record tells"
                    " of which group it is"
                )


def _is_worth_saying(one: Ended[RebuiltDomain]) -> bool:
    found = one.result
    return found is not None and bool(
        found.groups or found.snapshots or found.layers or found.left_out or found.nameless
    )
