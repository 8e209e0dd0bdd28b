"""Steps on the catalog: reserve, commit, finish."""

from dataclasses import dataclass, replace
from typing import ClassVar

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.identity.publishing import Known, known_before, publish
from vmsnap.engine.journal import Run
from vmsnap.engine.steps.switching import INSTANT, frozen_facts
from vmsnap.model import CatalogChange, FrozenFacts, Instant, JsonObject, Layer, ResourceId

KNOWN = "known"
"""The fact that says what the catalog knew before."""


@dataclass(frozen=True, slots=True)
class Register:
    """Register the operation; its drafts can only be made when the disks are switched."""

    kind: ClassVar[str] = "register"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Register it: no other host changes this domain from now on."""
        known = _known(run)
        run.ports.catalog.reserve(run.operation, (), {})
        return known

    def undo(self, run: Run) -> None:
        """Take the registration back."""
        run.ports.catalog.discard(run.operation.id)


@dataclass(frozen=True, slots=True)
class Reserve:
    """Register the operation and reserve its drafts: names are taken, contents are stored."""

    kind: ClassVar[str] = "reserve"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Reserve the run's drafts."""
        known = None if KNOWN in run.facts else _known(run)
        drafts, contents = run.supply(run)
        run.ports.catalog.reserve(run.operation, drafts, contents)
        return known

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
class CommitGroup:
    """The commit of a new group, with what only the switch of its disks could tell."""

    kind: ClassVar[str] = "commit_group"
    is_commit: ClassVar[bool] = True
    change: CatalogChange
    group_id: ResourceId

    def do(self, run: Run) -> JsonObject | None:
        """Apply the change with the instant, and with the frozen layers as they were left."""
        instant = run.facts[INSTANT]
        instants = {self.group_id: from_json(Instant, instant)} if isinstance(instant, dict) else {}
        layers = tuple(_as_frozen(run, layer) for layer in self.change.layers)
        change = replace(self.change, layers=layers, instants=instants)
        run.ports.catalog.commit(run.operation.id, change)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: an operation is taken back only if it did not commit."""


def _known(run: Run) -> JsonObject:
    operation = run.operation
    return {KNOWN: to_json(known_before(run.ports, operation.host_id, operation.domain_id))}


def _as_frozen(run: Run, layer: Layer) -> Layer:
    found = frozen_facts(run.facts, layer.path)
    if found is None or layer.is_active:
        return layer
    return replace(layer, facts=from_json(FrozenFacts, found))


@dataclass(frozen=True, slots=True)
class Finish:
    """Strike the operation from the list of pending ones: always the last step.

    What identifies groups and layers is written beside the images then.
    """

    kind: ClassVar[str] = "finish"
    is_commit: ClassVar[bool] = False

    def do(self, run: Run) -> JsonObject | None:
        """Remove the registration; publish what the catalog says of the domain now."""
        operation = run.operation
        run.ports.catalog.finish(operation.id)
        known = run.facts.get(KNOWN)
        before = from_json(Known, known) if known is not None else Known()
        publish(run.ports, operation.host_id, operation.domain_id, before)
        return None

    def undo(self, run: Run) -> None:
        """Nothing: it stands behind the commit."""
