"""Steps of a delete, all behind its commit: merge or drop layers, then end the groups."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.journal import Run
from vmsnap.engine.layers import Action
from vmsnap.engine.steps.look import look
from vmsnap.errors import ImageError, RefusedError, StateError, UndoneError
from vmsnap.model import (
    CatalogChange,
    Domain,
    DomainState,
    Group,
    JsonObject,
    Layer,
    LayerId,
    ResourceId,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeLayers:
    """Merge a layer with its only child, or drop it; a failure is kept as a fact, not raised.

    After a failure the other merges of the same disk are left for the next delete. What the
    domain's definition and the catalog say decides what is still to be done, so that a repeated run
    neither commits an old child over newer data nor forgets one. `stands_on` (path, format) is what
    the child stands on after a pull. `victim` is the file that goes, None if vmsnap did not make
    it.
    """

    kind: ClassVar[str] = "merge_layers"
    is_commit: ClassVar[bool] = False
    target: str
    action: Action
    layer_id: LayerId
    child_id: LayerId | None
    layer_path: Path
    victim: Path | None
    stands_on: tuple[Path, str] | None

    def do(self, run: Run) -> JsonObject | None:
        """Merge, or say why not."""
        fact = f"unmerged:{self.target}"
        if fact in run.facts:
            return None
        if run.is_interrupted:
            return {fact: ["interrupted", "interrupted before it was merged"]}
        run.ports.reporter.step(f"disk {self.target}: {self.action.value} {self.layer_path.name}")
        try:
            self._merge(run)
        except (UndoneError, RefusedError) as error:
            if error.code == "database":
                raise
            log.warning("disk %s: %s", self.target, error.message)
            return {fact: [error.code, error.message]}
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""

    def _merge(self, run: Run) -> None:
        domain = _fenced(run)
        layers = {
            layer.id: layer for layer in run.ports.catalog.layers(run.operation.host_id, domain.id)
        }
        if self.action is Action.COMMIT:
            self._commit(run, domain, layers)
        else:
            self._pull_or_drop(run, layers)
        if self.victim is not None:
            _unlink(run, self.victim)

    def _commit(self, run: Run, domain: Domain, layers: dict[LayerId, Layer]) -> None:
        child = layers.get(self.child_id) if self.child_id is not None else None
        if child is None:
            return
        layer = layers[self.layer_id]
        in_use = domain.active_paths.get(self.target)
        if child.is_active and in_use not in (child.path, layer.path):
            message = f"disk {self.target} uses '{in_use}', which vmsnap does not know"
            raise StateError(message)
        if not (child.is_active and in_use == layer.path):
            run.ports.images.commit(
                child.path, layer.path, child_format=child.format, parent_format=layer.format
            )
        if child.is_active:
            _point_to(run, domain, self.target, layer)
        self._record_commit(run, layer, child, layers)

    def _record_commit(
        self, run: Run, layer: Layer, child: Layer, layers: dict[LayerId, Layer]
    ) -> None:
        images = run.ports.images
        merged = replace(
            layer,
            is_active=child.is_active,
            facts=None if child.is_active else images.facts(layer.path),
        )
        changed = [merged]
        for grandchild in layers.values():
            if grandchild.parent_id == child.id:
                images.set_backing(grandchild.path, layer.path, layer.format)
                changed.append(_refrozen(run, replace(grandchild, parent_id=layer.id)))
        run.ports.catalog.apply(
            CatalogChange(
                layers=tuple(changed),
                moved_snapshots={child.id: layer.id},
                removed_layers=(child.id,),
            )
        )

    def _pull_or_drop(self, run: Run, layers: dict[LayerId, Layer]) -> None:
        layer = layers.get(self.layer_id)
        if layer is None:
            return
        changed: tuple[Layer, ...] = ()
        if self.child_id is not None:
            child = layers[self.child_id]
            backing, format_ = self.stands_on or (None, None)
            run.ports.images.rebase(child.path, backing, format_)
            changed = (_refrozen(run, replace(child, parent_id=layer.parent_id)),)
        run.ports.catalog.apply(CatalogChange(layers=changed, removed_layers=(layer.id,)))


@dataclass(frozen=True, slots=True)
class EndGroups:
    """Remove the groups whose disks were all merged, with their backups: the last rows to go."""

    kind: ClassVar[str] = "end_groups"
    is_commit: ClassVar[bool] = False
    group_ids: tuple[ResourceId, ...]

    def do(self, run: Run) -> JsonObject | None:
        """End those groups of which nothing is left to merge."""
        operation, catalog = run.operation, run.ports.catalog
        groups = {
            group.id: group for group in catalog.groups(operation.host_id, operation.domain_id)
        }
        ended = tuple(
            group_id
            for group_id in self.group_ids
            if group_id in groups and not _is_unmerged(run, groups[group_id])
        )
        record = catalog.record(operation.host_id, operation.domain_id)
        if record is not None:
            current = record.current_id
            while current is not None and current in ended:
                current = groups[current].parent_id
            safety = None if record.safety_id in ended else record.safety_id
            record = replace(record, current_id=current, safety_id=safety)
        left = {group_id: group for group_id, group in groups.items() if group_id not in ended}
        catalog.apply(
            CatalogChange(
                removed_resources=ended,
                removed_layers=_forgotten(
                    run, {item.target for group in left.values() for item in group.snapshots}
                ),
                record=record,
            )
        )
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


def _is_unmerged(run: Run, group: Group) -> bool:
    return any(f"unmerged:{item.target}" in run.facts for item in group.snapshots)


def _forgotten(run: Run, targets: set[str]) -> tuple[LayerId, ...]:
    """Name the layers that need no row any more: original files that nothing was left on."""
    layers = run.ports.catalog.layers(run.operation.host_id, run.operation.domain_id)
    parents = {layer.parent_id for layer in layers}
    return tuple(
        layer.id
        for layer in layers
        if layer.target not in targets
        and layer.parent_id is None
        and layer.id not in parents
        and not layer.is_made_by_vmsnap
    )


def _fenced(run: Run) -> Domain:
    domain = look(run)
    if domain.state is not DomainState.SHUT_OFF or not domain.definition.is_fenced:
        message = f"domain '{domain.name}' is not kept from being started any more"
        raise StateError(message)
    return domain


def _refrozen(run: Run, layer: Layer) -> Layer:
    """Record a frozen layer's file anew after vmsnap itself changed its header."""
    return replace(layer, facts=None if layer.is_active else run.ports.images.facts(layer.path))


def _point_to(run: Run, domain: Domain, target: str, layer: Layer) -> None:
    definitions = run.ports.definitions
    patched = definitions.with_sources(domain.xml, {target: (layer.path, layer.format)})
    run.ports.hypervisor.define(definitions.with_fence(patched))


def _unlink(run: Run, path: Path) -> None:
    """Unlink a merged layer's file, unless the domain names it after all (H41)."""
    if path in look(run).active_paths.values():
        message = f"the domain still uses '{path}'"
        raise ImageError(message)
    run.ports.images.remove_overlay(path)
