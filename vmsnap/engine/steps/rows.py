"""Steps on the catalog: reserve, commit, finish."""

from dataclasses import dataclass
from typing import ClassVar

from vmsnap.engine.journal import Run
from vmsnap.model import CatalogChange, JsonObject


@dataclass(frozen=True, slots=True)
class Reserve:
    """Register the operation and reserve its drafts: names are taken, contents are stored."""

    kind: ClassVar[str] = "reserve"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Reserve the run's drafts."""
        run.ports.catalog.reserve(run.operation, run.drafts, run.contents)
        return None

    def undo(self, run: Run) -> None:
        """Discard what this operation reserved."""
        run.ports.catalog.discard(run.operation.id)


@dataclass(frozen=True, slots=True)
class Commit:
    """The one transaction after which the operation counts as done."""

    kind: ClassVar[str] = "commit"
    is_commit: ClassVar[bool] = True
    change: CatalogChange

    def do(self, run: Run) -> JsonObject | None:
        """Apply the change together with the operation's id."""
        run.ports.catalog.commit(run.operation.id, self.change)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: an operation is taken back only if it did not commit."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Strike the operation from the list of pending ones: always the last step."""

    kind: ClassVar[str] = "finish"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Remove the registration."""
        run.ports.catalog.finish(run.operation.id)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""
