"""Steps of a purge, all behind its commit: a gone domain's files go, and then all its rows."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vmsnap.engine.disks import require_no_other_users
from vmsnap.engine.journal import Run
from vmsnap.errors import ImageError, InUseError
from vmsnap.model import CatalogChange, JsonObject

log = logging.getLogger(__name__)

# With the prefix that says of every operation that something was left to be done again.
UNPURGED = "unmerged:purge"


@dataclass(frozen=True, slots=True)
class RemoveLeftFiles:
    """Unlink the layers that vmsnap made; a failure is kept as a fact, not raised.

    `files` go, those above before those that they stand on. None of `layers` may be in use: the
    domain may have been defined anew since this was planned.
    """

    kind: ClassVar[str] = "remove_left_files"
    is_commit: ClassVar[bool] = False
    files: tuple[Path, ...]
    layers: tuple[Path, ...]

    def do(self, run: Run) -> JsonObject | None:
        """Unlink them, or say why not; one that is gone already is fine."""
        if UNPURGED in run.facts:
            return None
        try:
            users = dict.fromkeys(self.layers, "")
            require_no_other_users(run.ports, run.operation.domain_id, users)
            for path in self.files:
                run.ports.reporter.step(f"removing {path.name}")
                run.ports.images.remove_overlay(path)
        except (InUseError, ImageError) as error:
            log.warning("%s", error.message)
            return {UNPURGED: [error.code, error.message]}
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""


@dataclass(frozen=True, slots=True)
class ForgetDomain:
    """Remove all rows of the domain, its backups with them, if all files went that had to go."""

    kind: ClassVar[str] = "forget_domain"
    is_commit: ClassVar[bool] = False
    change: CatalogChange

    def do(self, run: Run) -> JsonObject | None:
        """Remove the rows in one transaction; those that are gone are fine."""
        if UNPURGED not in run.facts:
            run.ports.catalog.apply(self.change)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""
