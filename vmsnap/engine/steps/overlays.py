"""Steps that make overlays, switch disks to them, and drop layers that nothing needs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.codec import to_json
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import Run
from vmsnap.engine.paths import is_among, is_same
from vmsnap.engine.steps.look import look, look_if_defined
from vmsnap.errors import DomainRunningError, ImageError, ImageExistsError, InUseError, LibvirtError
from vmsnap.model import Domain, DomainState, JsonObject
from vmsnap.ports import LiveMerge, MergeKind

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MakeOverlay:
    """Make one overlay; its name is new and random."""

    kind: ClassVar[str] = "make_overlay"
    is_commit: ClassVar[bool] = False
    path: Path
    backing: Path
    backing_format: str

    def do(self, run: Run) -> JsonObject | None:
        """Make the overlay; never over an existing file."""
        try:
            run.ports.images.create_overlay(self.path, self.backing, self.backing_format)
        except ImageExistsError:
            run.facts[f"foreign:{self.path}"] = True
            raise
        return {f"made:{self.path}": to_json(run.ports.images.facts(self.path))}

    def undo(self, run: Run) -> None:
        """Remove the overlay, unless it is somebody else's, in use, or holds what was written."""
        if run.facts.get(f"foreign:{self.path}") or not run.ports.images.exists(self.path):
            return
        if not self._is_ours(run):
            run.ports.reporter.warn(f"'{self.path}' is not vmsnap's and was left alone")
            return
        domain = look_if_defined(run)
        if domain is not None and is_among(self.path, _paths_in_use(domain)):
            message = f"the domain still uses '{self.path}'"
            raise InUseError(message)
        if _was_written(run, self.path) and not run.facts.get(f"merged:{self.path}"):
            # Somebody took the fence away and started the domain.
            run.ports.reporter.warn(f"'{self.path}' was written to, so it was left in place")
            return
        run.ports.images.remove_overlay(self.path)

    def _is_ours(self, run: Run) -> bool:
        try:
            info = run.ports.images.info(self.path, "qcow2")
            return is_same(info.backing_path, self.backing)
        except ImageError:
            # A kill in the middle of qemu-img create leaves a file without a whole header.
            return True


@dataclass(frozen=True, slots=True)
class SwitchDisks:
    """Make the domain use its new overlays, by one call of libvirt.

    `bases` names for each target the path and format that it used before.
    """

    kind: ClassVar[str] = "switch_disks"
    is_commit: ClassVar[bool] = False
    overlays: Mapping[str, Path]
    bases: Mapping[str, tuple[Path, str]]

    def do(self, run: Run) -> JsonObject | None:
        """Switch; after an error believe what the domain really uses, not the error."""
        failure: LibvirtError | None = None
        try:
            run.ports.hypervisor.switch_disks(run.operation.domain_id, self.overlays)
        except LibvirtError as error:
            failure = error
        domain = look(run)
        behind = [
            target
            for target, path in self.overlays.items()
            if not is_same(domain.active_paths.get(target), path)
        ]
        if behind and failure is not None:
            raise failure
        if behind:
            message = f"libvirt did not switch disk {', '.join(behind)}"
            raise LibvirtError(message)
        if domain.state is not DomainState.SHUT_OFF:
            message = f"domain '{domain.name}' was started in the meantime"
            raise DomainRunningError(message, hint=f"virsh shutdown {operands(domain.name)}")
        if failure is not None:
            log.warning("libvirt reported a failure after it had switched all disks")
        return None

    def undo(self, run: Run) -> None:
        """Make the domain use its former layers; a running one by active commit and pivot."""
        domain = look_if_defined(run)
        if domain is None:
            return
        switched = [
            target
            for target, path in self.overlays.items()
            if is_same(path, domain.active_paths.get(target))
            or is_same(path, _inactive_path(domain, target))
        ]
        if not switched:
            return
        if domain.state is DomainState.SHUT_OFF:
            self._merge_what_was_written(run, switched)
        else:
            self._merge_live(run, domain, switched)
        sources = {target: self.bases[target] for target in switched}
        today = look(run)
        run.ports.hypervisor.define(run.ports.definitions.with_sources(today.xml, sources))

    def _merge_what_was_written(self, run: Run, switched: list[str]) -> None:
        """Keep what a guest wrote that was started and stopped before this is taken back."""
        for target in switched:
            overlay, (base, format_) = self.overlays[target], self.bases[target]
            if _was_written(run, overlay):
                run.ports.images.commit(overlay, base, child_format="qcow2", parent_format=format_)
                run.facts[f"merged:{overlay}"] = True

    def _merge_live(self, run: Run, domain: Domain, switched: list[str]) -> None:
        for target in switched:
            overlay = self.overlays[target]
            if is_same(domain.active_paths.get(target), overlay):
                run.ports.hypervisor.merge_live(
                    domain.id,
                    LiveMerge(MergeKind.COMMIT_ACTIVE, target, overlay, self.bases[target][0]),
                    lambda _done, _total: None,
                )
                run.facts[f"merged:{overlay}"] = True


@dataclass(frozen=True, slots=True)
class DropLayer:
    """Unlink a layer that vmsnap made and that nothing stands on any more (behind the commit)."""

    kind: ClassVar[str] = "drop_layer"
    is_commit: ClassVar[bool] = False
    path: Path

    def do(self, run: Run) -> JsonObject | None:
        """Unlink it, unless the domain uses it after all."""
        domain = look_if_defined(run)
        if domain is not None and is_among(self.path, _paths_in_use(domain)):
            run.ports.reporter.warn(f"'{self.path}' is in use and was left in place")
            return None
        run.ports.images.remove_overlay(self.path)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


def _was_written(run: Run, overlay: Path) -> bool:
    """Tell whether an overlay is known to hold more than when it was made."""
    made = run.facts.get(f"made:{overlay}")
    return made is not None and made != to_json(run.ports.images.facts(overlay))


def _paths_in_use(domain: Domain) -> set[Path]:
    inactive = {disk.path for disk in domain.definition.disks if disk.path is not None}
    return inactive | set(domain.active_paths.values())


def _inactive_path(domain: Domain, target: str) -> Path | None:
    return next((disk.path for disk in domain.definition.disks if disk.target == target), None)
