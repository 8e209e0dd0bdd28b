"""Planning a change of host files alone, for restore and clone: what is there is kept first."""

from dataclasses import dataclass, replace

from vmsnap.engine.capture import Captured, capture, verdict_on, witnesses_of
from vmsnap.engine.groups import BackupPlan, draft_backup, taken_names
from vmsnap.engine.journal import Step
from vmsnap.engine.names import generated_name
from vmsnap.engine.placing import Placing
from vmsnap.engine.returning import SAFETY_PREFIX
from vmsnap.engine.steps.definition import Fence, LiftFence
from vmsnap.engine.steps.host_files import ConfirmUnchanged
from vmsnap.engine.steps.proof import ProveReturn
from vmsnap.engine.steps.rows import Commit, Finish, Reserve
from vmsnap.model import (
    Capture,
    CatalogChange,
    Digest,
    Domain,
    DomainRecord,
    HostFileType,
    Operation,
    ResourceId,
    ResourceKind,
)
from vmsnap.ports import Draft, Ports


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept of the present: a safety backup with its description, or None for nothing.

    `ends` (undo) names the safety backup that is used up.
    """

    description: str | None
    ends: ResourceId | None = None


@dataclass(frozen=True, slots=True)
class Replacing:
    """The whole plan of a change of host files.

    `can_undo` says whether `undo` could take any of it back; `notes` say of which it could not.
    """

    steps: tuple[Step, ...]
    drafts: tuple[Draft, ...]
    contents: dict[Digest, bytes]
    can_undo: bool
    notes: tuple[str, ...]


def plan_replacing(
    ports: Ports, operation: Operation, domain: Domain, placing: Placing, keeping: Keeping
) -> Replacing:
    """Plan all steps of replacing host files behind the fence; nothing is changed."""
    without = frozenset(
        type_ for type_ in HostFileType if verdict_on(domain.definition, type_).must_be_excluded
    )
    captured = capture(ports, domain.definition, without)
    drafts: tuple[Draft, ...] = ()
    contents: dict[Digest, bytes] = {}
    if keeping.description is not None:
        names = taken_names(ports, operation.host_id, domain.id)
        kept = BackupPlan(
            name=generated_name(ports.clock.now(), names, SAFETY_PREFIX),
            kind=ResourceKind.SAFETY,
            captured=captured,
            description=keeping.description,
        )
        draft, contents = draft_backup(ports, operation.host_id, domain, kept)
        drafts = (draft,)
    witnesses = dict.fromkeys((*witnesses_of(captured), *placing.witnesses))
    steps: list[Step] = [Reserve(), Fence(), ConfirmUnchanged(tuple(witnesses), ())]
    steps += [*placing.before, ProveReturn(None, (), (), placing.expected)]
    steps.append(Commit(_change(ports, operation, domain, drafts, keeping.ends)))
    steps += [*placing.behind, LiftFence(), Finish()]
    changed = {witness.type for witness in placing.witnesses}
    can_undo, notes = _way_back(captured, changed) if drafts else (False, ())
    return Replacing(tuple(steps), drafts, contents, can_undo, notes)


def _way_back(
    captured: tuple[Captured, ...], changed: set[HostFileType]
) -> tuple[bool, tuple[str, ...]]:
    """Tell whether `undo` can take a change of these types back, and note where it cannot.

    It removes no live file because a safety backup says 'not_created': that firmware had not
    written one yet says nothing of the one that is there when undo runs.
    """
    kept = {item.type for item in captured if item.capture in {Capture.CAPTURED, Capture.ABSENT}}
    notes = tuple(
        f"{item.type.value}: there was none yet; 'vmsnap undo' cannot take it away"
        for item in captured
        if item.type in changed and item.capture is Capture.NOT_CREATED
    )
    return bool(kept & changed if changed else kept), notes


def _change(
    ports: Ports,
    operation: Operation,
    domain: Domain,
    drafts: tuple[Draft, ...],
    ends: ResourceId | None,
) -> CatalogChange:
    record = ports.catalog.record(operation.host_id, operation.domain_id)
    base = record or DomainRecord(operation.host_id, operation.domain_id, domain.name)
    safety_id = drafts[0].resource.id if drafts else None
    return CatalogChange(
        ready=tuple(draft.resource.id for draft in drafts),
        removed_resources=(ends,) if ends else (),
        record=replace(
            base,
            name=domain.name,
            safety_id=safety_id,
            safety_base_id=base.current_id if safety_id else None,
        ),
    )
