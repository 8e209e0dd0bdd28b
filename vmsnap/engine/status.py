"""The verb status: which domain has no complete group that is young enough."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vmsnap.engine.check import traces
from vmsnap.engine.completeness import damage, damage_below, lacks
from vmsnap.engine.find import find_domain_id
from vmsnap.engine.listing import view_of
from vmsnap.engine.troubles import (
    Expectation,
    Kept,
    Level,
    Points,
    Trouble,
    deep_chains,
    interruption,
    troubles_of_age,
    troubles_of_files,
    unfinished_deletes,
    worker,
)
from vmsnap.model import (
    Definition,
    DomainId,
    Group,
    GroupKind,
    GroupState,
    Layer,
    LayerId,
    ResourceKind,
)
from vmsnap.ports import Holder, Ports

_LOOKS = 3
"""How often a domain is looked at on which an operation came to its end meanwhile."""


@dataclass(frozen=True, slots=True)
class DomainStatus:
    """How one domain stands: `newest` is its newest group, `complete` its newest complete one.

    Safety groups and single snapshots are neither. `holder` is who is at work on it.
    """

    domain_id: DomainId
    domain_name: str
    expectation: Expectation
    newest: Kept | None = None
    complete: Kept | None = None
    troubles: tuple[Trouble, ...] = ()
    groups: Mapping[GroupState, int] = field(default_factory=dict)
    backups: Mapping[ResourceKind, int] = field(default_factory=dict)
    holder: Holder | None = None

    @property
    def level(self) -> Level | None:
        """The worst of the troubles; None if all is fine."""
        levels = {trouble.level for trouble in self.troubles}
        return next((level for level in (Level.CRITICAL, Level.WARNING) if level in levels), None)


def domain_statuses(
    ports: Ports, domains: Sequence[str], expect: Callable[[str], Expectation]
) -> tuple[DomainStatus, ...]:
    """Say how the named domains stand, or without names all that are defined on this host.

    Of all, domains that are gone are among them if an operation on them was interrupted. `expect`
    says what is wanted of a domain by its name. Nothing is changed, and no lock is taken. Raises
    DomainNotFoundError or AmbiguousIdError.
    """
    definitions = ports.hypervisor.definitions()
    fenced = {item.id for item in definitions if item.is_fenced}
    # Of a domain that runs otherwise than it would start again, the live one comes last.
    found = {item.id: item for item in definitions}
    ids = [find_domain_id(ports, text) for text in domains]
    if not domains:
        ids = sorted(found, key=lambda key: found[key].name)
    scenes = [
        _Scene(ports, found[key], expect(found[key].name), was_fenced=key in fenced)
        for key in dict.fromkeys(ids)
        if key in found
    ]
    gone = set() if domains else set(ports.journals.pending()) - set(found)
    return (*(_judged(scene) for scene in scenes), *_interrupted_and_gone(ports, gone))


@dataclass(frozen=True, slots=True)
class _Scene:
    ports: Ports
    definition: Definition
    expectation: Expectation
    was_fenced: bool


def _judged(scene: _Scene) -> DomainStatus:
    """Look at one domain; what seems amiss while somebody is at work on it may be their doing."""
    ports, domain_id = scene.ports, scene.definition.id
    for look in itertools.count(1):
        # What is fine at the first look is so; the traces cost as much as the look.
        before = traces(ports, domain_id) if look > 1 else None
        status = _look(scene)
        # The lock first: an operation that ends behind this look has left other traces.
        holder = worker(ports, domain_id)
        if holder is not None:
            return replace(_look(scene, trusts_rows=True), holder=holder)
        if status.level is None or look == _LOOKS:
            return status
        if before is not None and traces(ports, domain_id) == before:
            return status
    raise AssertionError


def _look(scene: _Scene, *, trusts_rows: bool = False) -> DomainStatus:
    """Judge a domain; with `trusts_rows` files, journal and deletes are left to who is at work."""
    ports, definition, expectation = scene.ports, scene.definition, scene.expectation
    host_id = ports.hypervisor.host_id()
    groups = ports.catalog.groups(host_id, definition.id)
    points = _points(scene, groups, trusts_rows=trusts_rows)
    troubles = list(troubles_of_age(definition.name, expectation, points))
    if not trusts_rows:
        found = interruption(ports, definition.id, was_fenced=scene.was_fenced)
        if found is not None:
            troubles.append(found)
        else:
            # What is half done may look like damage.
            troubles += troubles_of_files(definition.name, expectation, points)
        troubles += unfinished_deletes(groups)
        troubles += deep_chains(ports, definition)
    resources = ports.catalog.resources(host_id, definition.id)
    return DomainStatus(
        definition.id,
        definition.name,
        expectation,
        newest=points.newest,
        complete=points.complete,
        troubles=tuple(troubles),
        groups=Counter(group.state for group in groups if group.kind is not GroupKind.SINGLE),
        backups=Counter(item.kind for item in resources if item.kind is not ResourceKind.GROUP),
    )


def _points(scene: _Scene, groups: Sequence[Group], *, trusts_rows: bool) -> Points:
    """Look at the groups, newest first, as far as to the newest complete one."""
    ports, definition = scene.ports, scene.definition
    rows = ports.catalog.layers(ports.hypervisor.host_id(), definition.id)
    layers = {layer.id: layer for layer in rows}
    seen: list[Kept] = []
    for group in sorted(groups, key=lambda item: item.resource.created_at, reverse=True):
        if group.kind is not GroupKind.MANUAL or group.state is GroupState.CREATING:
            continue
        seen.append(_kept(scene, group, layers, trusts_rows=trusts_rows))
        if not seen[-1].lacks:
            break
    complete = next((kept for kept in seen if not kept.lacks), None)
    whole = complete.group if complete is not None else None
    targets = {disk.target for disk in definition.disks}
    return Points(
        newest=seen[0] if seen else None,
        complete=complete,
        damaged=tuple(kept for kept in seen if kept.damage),
        below=() if trusts_rows else damage_below(ports.images, targets, layers, whole),
    )


def _kept(scene: _Scene, group: Group, layers: dict[LayerId, Layer], *, trusts_rows: bool) -> Kept:
    ports = scene.ports
    missing = lacks(group, scene.definition, layers, scene.expectation.renounced)
    # The files of a group whose delete was begun may be merged already.
    is_looked_at = group.state is GroupState.READY and not trusts_rows
    broken = damage(ports.images, group, layers) if is_looked_at else ()
    size_bytes = view_of(ports, group, (layers, None), is_here=True).size_bytes
    age = ports.clock.now() - group.resource.created_at
    return Kept(group, size_bytes, (*missing, *broken), age, broken)


def _interrupted_and_gone(ports: Ports, ids: set[DomainId]) -> Iterator[DomainStatus]:
    for domain_id in sorted(ids):
        trouble = interruption(ports, domain_id)
        if trouble is not None and worker(ports, domain_id) is None:
            record = ports.catalog.record(ports.hypervisor.host_id(), domain_id)
            name = record.name if record is not None else domain_id
            yield DomainStatus(domain_id, name, Expectation(), troubles=(trouble,))
