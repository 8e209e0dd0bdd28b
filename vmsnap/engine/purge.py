"""The verb purge: remove all that vmsnap keeps of a domain that is not defined any more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vmsnap.engine.changing import changing
from vmsnap.engine.disks import require_no_other_users
from vmsnap.engine.find import find_left_domain
from vmsnap.engine.journal import Step, execute
from vmsnap.engine.requests import PurgeRequest
from vmsnap.engine.results import LeftFile, PurgeResult
from vmsnap.engine.steps.purging import UNPURGED, ForgetDomain, RemoveLeftFiles
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.model import (
    CatalogChange,
    DomainRecord,
    Group,
    GroupKind,
    JsonObject,
    Layer,
    LayerId,
    Resource,
    ResourceKind,
)
from vmsnap.ports import Ports

VERB = "purge"


@dataclass(frozen=True, slots=True)
class _Plan:
    record: DomainRecord
    groups: tuple[Group, ...]
    resources: tuple[Resource, ...]
    layers: tuple[Layer, ...]
    kept: dict[LayerId, str]
    notes: tuple[str, ...]


def purge_domain(ports: Ports, domain: str, request: PurgeRequest) -> PurgeResult:
    """Remove the groups, snapshots and backups of a domain that is gone, with vmsnap's files.

    Files that vmsnap did not make stay, and so does what they stand on. Refused (nothing is
    changed) while the domain is defined, or the chain of any defined domain contains one of the
    layers. The groups' state DELETING is the point of no return; while a file cannot be removed all
    rows stay, and the next purge goes on.
    """
    record = find_left_domain(ports, domain)
    if request.dry_run:
        return _result(ports, _plan(ports, record), None)
    with changing(ports, record.id, VERB) as operation:
        if ports.catalog.record(record.host_id, record.id) is None:
            note = "an interrupted purge was finished; nothing is left"
            return _result(ports, _Plan(record, (), (), (), {}, (note,)), {})
        # Recovery may have changed the rows, and somebody else the definitions.
        plan = _plan(ports, find_left_domain(ports, record.id))
        before = _result(ports, plan, {})
        ports.reporter.step(f"purging domain '{record.name}'")
        facts = execute(ports, operation, _steps(plan))
        return _with_problem(before, facts)


def _plan(ports: Ports, record: DomainRecord) -> _Plan:
    ports.catalog.require_unclaimed(record.host_id, record.id)
    layers = ports.catalog.layers(record.host_id, record.id)
    require_no_other_users(ports, record.id, {layer.path: "" for layer in layers})
    others = [
        other.host_id
        for other in ports.catalog.records()
        if other.id == record.id and other.host_id != record.host_id
    ]
    return _Plan(
        record=record,
        groups=ports.catalog.groups(record.host_id, record.id),
        resources=ports.catalog.resources(record.host_id, record.id),
        layers=layers,
        kept=_kept(ports, layers),
        notes=tuple(
            f"host '{host_id}' knows this domain too; if it went there, its disks went along"
            for host_id in others
        ),
    )


def _kept(ports: Ports, layers: Sequence[Layer]) -> dict[LayerId, str]:
    """Say of the files that stay why: vmsnap did not make them, or one that it did not make."""
    by_id = {layer.id: layer for layer in layers}
    kept: dict[LayerId, str] = {}
    for layer in layers:
        if layer.is_made_by_vmsnap or not ports.images.exists(layer.path):
            continue
        kept[layer.id] = "vmsnap did not make it"
        below = by_id.get(layer.parent_id) if layer.parent_id else None
        while below is not None:
            kept.setdefault(below.id, f"'{layer.path}', which vmsnap did not make, stands on it")
            below = by_id.get(below.parent_id) if below.parent_id else None
    return kept


def _steps(plan: _Plan) -> list[Step]:
    # Children stand behind their parents in the list.
    files = tuple(layer.path for layer in reversed(plan.layers) if _goes(plan, layer))
    owners = dict.fromkeys([group.id for group in plan.groups])
    owners |= dict.fromkeys([resource.id for resource in plan.resources])
    rows = CatalogChange(
        removed_resources=tuple(owners),
        removed_layers=tuple(layer.id for layer in plan.layers),
        removed_record=plan.record,
    )
    return [
        Reserve(),
        Commit(CatalogChange(deleting=tuple(group.id for group in plan.groups))),
        RemoveLeftFiles(files, tuple(layer.path for layer in plan.layers)),
        ForgetDomain(rows),
        Finish(),
    ]


def _goes(plan: _Plan, layer: Layer) -> bool:
    return layer.is_made_by_vmsnap and layer.id not in plan.kept


def _result(ports: Ports, plan: _Plan, facts: JsonObject | None) -> PurgeResult:
    is_single = {group.id: group.kind is GroupKind.SINGLE for group in plan.groups}
    files = [
        (layer, LeftFile(layer.path, ports.images.allocated_bytes(layer.path), _why(plan, layer)))
        for layer in plan.layers
        if ports.images.exists(layer.path)
    ]
    return PurgeResult(
        domain_id=plan.record.id,
        domain_name=plan.record.name,
        groups=tuple(group.name for group in plan.groups if not is_single[group.id]),
        snapshots=tuple(group.name for group in plan.groups if is_single[group.id]),
        backups=tuple(item.name for item in plan.resources if item.kind is not ResourceKind.GROUP),
        removed=tuple(file for layer, file in files if _goes(plan, layer)),
        kept=tuple(file for layer, file in files if not _goes(plan, layer)),
        is_done=facts is not None,
        notes=plan.notes,
        pinned=tuple(group.name for group in plan.groups if group.is_pinned),
    )


def _why(plan: _Plan, layer: Layer) -> str | None:
    return plan.kept.get(layer.id)


def _with_problem(result: PurgeResult, facts: JsonObject) -> PurgeResult:
    left = facts.get(UNPURGED)
    if not isinstance(left, list):
        return result
    code, message = left
    return replace(result, problem=(str(code), str(message)))
