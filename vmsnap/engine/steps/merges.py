"""The step of a delete, behind its commit, that merges a layer with its only child or drops it."""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.journal import Run
from vmsnap.engine.layers import Action
from vmsnap.engine.paths import is_among, is_same
from vmsnap.engine.steps.definition import Fence
from vmsnap.engine.steps.live_merging import (
    commit_live,
    has_job,
    is_off,
    paths_in_use,
    require_unused,
    telling,
)
from vmsnap.engine.steps.look import look, look_if_defined, require_off
from vmsnap.errors import (
    DomainRunningError,
    ImageError,
    LibvirtError,
    RefusedError,
    StateError,
    UndoneError,
)
from vmsnap.model import (
    CatalogChange,
    Domain,
    JsonObject,
    Layer,
    LayerId,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeLayers:
    """Merge a layer with its only child, or drop it; a failure is kept as a fact, not raised.

    After a failure the other merges of the same disk are left for the next delete. What the
    domain's definition and the catalog say decides what is still to be done, so that a repeated run
    neither commits an old child over newer data nor forgets one. `stands_on` (path, format) is what
    the child stands on after a pull. `victim` is the file that goes, None if vmsnap did not make
    it. `changed` are those of the two layers, and of what stands on the child, that somebody had
    written to before this was planned: no file that they get into is ever recorded as whole. What
    else differs later was written by a merge that did not end.

    `is_live` says that this was planned for a running machine: QEMU commits what it has open, with
    `bandwidth` in bytes per second (0: no limit). If it is off by now, qemu-img does the same.
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
    changed: tuple[LayerId, ...] = ()
    is_live: bool = False
    bandwidth: int = 0

    def do(self, run: Run) -> JsonObject | None:
        """Merge, or say why not; what was begun beyond taking back is finished or raises."""
        fact = f"unmerged:{self.target}"
        if fact in run.facts:
            return None
        if run.is_interrupted and not self._has_moved(run):
            return {fact: ["interrupted", "interrupted before it was merged"]}
        run.ports.reporter.step(f"disk {self.target}: {self.action.value} {self.layer_path.name}")
        try:
            self._merge(run)
        except DomainRunningError:
            raise
        except BaseException as error:  # a signal, too, leaves files that were written to
            if self._has_moved(run) or (self.is_live and has_job(run, self.target)):
                raise
            self._refreeze(run)
            if not isinstance(error, UndoneError | RefusedError) or error.code == "database":
                raise
            log.warning("disk %s: %s", self.target, error.message)
            return {fact: [error.code, error.message]}
        return self._remove_victim(run, fact)

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""

    def _merge(self, run: Run) -> None:
        if self.is_live and not is_off(run):
            try:
                self._merge_live(run)
            except LibvirtError as error:
                if not is_off(run):
                    raise
                # The guest ended in the middle, and QEMU's job with it.
                log.info("disk %s: %s; going on without QEMU", self.target, error.message)
            else:
                return
        # Undefined since, there is nothing to be fenced; but what was begun has to be finished.
        is_gone = look_if_defined(run) is None and self._has_moved(run)
        domain = None if is_gone else _fenced(run)
        layers = _layers(run)
        if self.action is Action.COMMIT:
            self._commit(run, domain, layers)
        else:
            self._pull_or_drop(run, layers)

    def _merge_live(self, run: Run) -> None:
        layers = _layers(run)
        if self.action is Action.DROP:
            require_unused(run, self.layer_path)
            self._pull_or_drop(run, layers)
            return
        child = layers.get(self.child_id) if self.child_id is not None else None
        if child is None:
            return
        layer = layers[self.layer_id]
        commit_live(run, layer, child, layers, self.bandwidth)
        run.facts[self._moved] = True
        self._record_commit(run, layer, child, layers)

    def _remove_victim(self, run: Run, fact: str) -> JsonObject | None:
        """Unlink what was merged; if that fails, record it as a layer for the next delete."""
        if self.victim is None:
            return None
        try:
            _unlink(run, self.victim)
        except ImageError as error:
            log.warning("disk %s: %s", self.target, error.message)
            if _is_gone(run, self.victim):
                return None
            run.ports.catalog.apply(CatalogChange(layers=(self._left_over(run, self.victim),)))
            return {fact: [error.code, error.message]}
        return None

    def _left_over(self, run: Run, victim: Path) -> Layer:
        is_child = self.action is Action.COMMIT and self.child_id is not None
        return Layer(
            id=self.child_id if is_child and self.child_id is not None else self.layer_id,
            host_id=run.operation.host_id,
            domain_id=run.operation.domain_id,
            target=self.target,
            path=victim,
            format="qcow2",
            parent_id=None,
            is_made_by_vmsnap=True,
            is_active=False,
        )

    def _refreeze(self, run: Run) -> None:
        """Record files anew that this wrote to before it failed: other groups read the same."""
        layers = _layers(run)
        merged = [layers[key] for key in (self.layer_id, self.child_id) if key in layers]
        is_damaged = any(map(self._is_damaged, merged))
        written = tuple(
            self._refrozen(run, layer, is_damaged=is_damaged)
            for layer in merged
            if layer.id not in self.changed and _is_written(run, layer)
        )
        run.ports.catalog.apply(CatalogChange(layers=written))

    def _is_damaged(self, layer: Layer) -> bool:
        is_known = layer.facts is not None and layer.facts.is_damaged
        return is_known or layer.id in self.changed

    def _refrozen(self, run: Run, layer: Layer, *, is_damaged: bool = False) -> Layer:
        """Record a frozen layer's file anew after vmsnap itself wrote to it.

        What was damaged stays so. Of one that somebody wrote to, the old size and time stay too:
        they say that its file is kept.
        """
        if layer.is_active:
            return replace(layer, facts=None)
        found = layer.facts if layer.id in self.changed else run.ports.images.facts(layer.path)
        if found is not None and (is_damaged or self._is_damaged(layer)):
            found = found.as_damaged()
        return replace(layer, facts=found)

    def _has_moved(self, run: Run) -> bool:
        """Tell whether something stands on the merged layer already, so that rows must follow."""
        if self._moved in run.facts:
            return True
        layers = _layers(run)
        child = layers.get(self.child_id) if self.child_id is not None else None
        if child is None:
            return False
        if self.action is not Action.COMMIT:
            # On neither of the two that are planned, it is in the middle of the way.
            return _stands_on(run, child, self.layer_path) is False
        if not child.is_active:
            # Headers are changed only behind the commit, so one is enough.
            return any(
                _stands_on(run, layer, self.layer_path) is True
                for layer in layers.values()
                if layer.parent_id == child.id
            )
        domain = look_if_defined(run)
        in_use = domain.active_paths.get(self.target) if domain is not None else None
        return is_same(in_use, self.layer_path)

    def _may_be_torn(self, run: Run, child: Layer) -> bool:
        """Tell whether QEMU may have been killed between the header and what it stands for.

        Nobody writes to a layer that is not active, so committing it once more changes nothing.
        """
        return self.is_live and not child.is_active and run.ports.images.exists(child.path)

    @property
    def _moved(self) -> str:
        return f"moved:{self.layer_id}:{self.child_id}"

    def _commit(self, run: Run, domain: Domain | None, layers: dict[LayerId, Layer]) -> None:
        child = layers.get(self.child_id) if self.child_id is not None else None
        if child is None:
            return
        layer = layers[self.layer_id]
        in_use = domain.active_paths.get(self.target) if domain is not None else None
        if child.is_active and not (is_same(in_use, child.path) or is_same(in_use, layer.path)):
            message = f"disk {self.target} uses '{in_use}', which vmsnap does not know"
            raise StateError(message)
        if not self._has_moved(run) or self._may_be_torn(run, child):
            run.ports.images.commit(
                child.path,
                layer.path,
                child_format=child.format,
                parent_format=layer.format,
                progress=telling(run, self.target, child.path, layer.path),
            )
        if child.is_active:
            _point_to(run, self.target, layer)
        run.facts[self._moved] = True
        self._record_commit(run, layer, child, layers)

    def _record_commit(
        self, run: Run, layer: Layer, child: Layer, layers: dict[LayerId, Layer]
    ) -> None:
        is_damaged = self._is_damaged(layer) or self._is_damaged(child)
        merged = replace(layer, is_active=child.is_active)
        changed = [self._refrozen(run, merged, is_damaged=is_damaged)]
        for grandchild in layers.values():
            if grandchild.parent_id == child.id:
                # QEMU has changed the header of the one that it has open.
                if _stands_on(run, grandchild, layer.path) is not True:
                    run.ports.images.set_backing(grandchild.path, layer.path, layer.format)
                changed.append(self._refrozen(run, replace(grandchild, parent_id=layer.id)))
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
            run.ports.images.rebase(
                child.path,
                backing,
                format_,
                progress=telling(run, self.target, layer.path, child.path),
            )
            run.facts[self._moved] = True
            child = replace(child, parent_id=layer.parent_id)
            changed = (self._refrozen(run, child, is_damaged=self._is_damaged(layer)),)
        run.facts[self._moved] = True
        run.ports.catalog.apply(CatalogChange(layers=changed, removed_layers=(layer.id,)))


def _layers(run: Run) -> dict[LayerId, Layer]:
    operation = run.operation
    layers = run.ports.catalog.layers(operation.host_id, operation.domain_id)
    return {layer.id: layer for layer in layers}


def _fenced(run: Run) -> Domain:
    """Look at the domain, which has to be off; a fence that was taken away is put back."""
    require_off(run)
    if not look(run).definition.is_fenced:
        Fence().do(run)
    return look(run)


def _is_written(run: Run, layer: Layer) -> bool:
    """Tell whether a frozen layer's file is there, and was written to since it was recorded."""
    found = run.ports.images.facts(layer.path)
    return found is not None and layer.facts is not None and not layer.facts.is_untouched(found)


def _stands_on(run: Run, layer: Layer, backing: Path) -> bool | None:
    """Tell whether a layer's header names a backing file; None if it cannot be read."""
    with suppress(ImageError):
        return is_same(run.ports.images.info(layer.path, layer.format).backing_path, backing)
    return None


def _is_gone(run: Run, path: Path) -> bool:
    """Tell whether an unlink took effect although it failed (only the sync of its folder did)."""
    with suppress(ImageError):
        # Unlike exists(), this does not take what cannot be looked at for missing.
        return run.ports.images.facts(path) is None
    return False


def _point_to(run: Run, target: str, layer: Layer) -> None:
    """Give a disk a layer in today's definition: merging may have taken hours."""
    definitions = run.ports.definitions
    patched = definitions.with_sources(look(run).xml, {target: (layer.path, layer.format)})
    try:
        run.ports.hypervisor.define(definitions.with_fence(patched))
    except LibvirtError:
        if not is_same(look(run).active_paths.get(target), layer.path):
            raise
        log.warning("libvirt reported a failure after it had defined the domain")


def _unlink(run: Run, path: Path) -> None:
    """Unlink a merged layer's file, unless the domain names it after all (H41)."""
    domain = look_if_defined(run)
    if domain is None:
        message = f"the domain was undefined; '{path}' is left for a purge"
        raise ImageError(message)
    if is_among(path, paths_in_use(domain)):
        message = f"the domain still uses '{path}'"
        raise ImageError(message)
    run.ports.images.remove_overlay(path)
