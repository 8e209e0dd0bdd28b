"""Steps that make overlays, and drop layers that nothing needs."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.codec import to_json
from vmsnap.engine.journal import Run
from vmsnap.engine.paths import is_among, is_same
from vmsnap.engine.steps.look import look_if_defined
from vmsnap.engine.steps.switching import was_written
from vmsnap.errors import ImageError, ImageExistsError, InUseError
from vmsnap.model import Domain, JsonObject

log = logging.getLogger(__name__)

MOST_EMPTY_BYTES = 1024 * 1024
"""An image in which nothing was written takes less, for any size of disk."""
PRIVATE_MODE = 0o600


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
        if was_written(run, self.path) and not run.facts.get(f"merged:{self.path}"):
            # Somebody took the fence away and started the domain.
            run.ports.reporter.warn(f"'{self.path}' was written to, so it was left in place")
            return
        run.ports.images.remove_overlay(self.path)

    def _is_ours(self, run: Run) -> bool:
        try:
            info = run.ports.images.info(self.path, "qcow2")
        except ImageError:
            # A kill in the middle of qemu-img create leaves a file without a whole header.
            return True
        if info.backing_path is not None:
            return is_same(info.backing_path, self.backing)
        return self._is_half_made(run)

    def _is_half_made(self, run: Run) -> bool:
        """Tell whether an image without a backing file is what a kill of qemu-img create left.

        The name of the backing file is the last that it writes. What is ours is empty, and nobody
        but its owner can read it.
        """
        images = run.ports.images
        is_empty = images.allocated_bytes(self.path) < MOST_EMPTY_BYTES
        return is_empty and images.mode(self.path) == PRIVATE_MODE


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


def _paths_in_use(domain: Domain) -> set[Path]:
    inactive = {disk.path for disk in domain.definition.disks if disk.path is not None}
    return inactive | set(domain.active_paths.values())
