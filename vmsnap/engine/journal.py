"""The journal: how the steps of an operation are run, and how they are taken back or finished.

An operation is a list of steps, planned before anything is changed and written to the journal as a
whole. One of them is the commit. If the run ends early, by an error, a signal, a kill or a power
cut, `settle` takes back what may have been done before the commit, in reverse order, or finishes
what follows it. An exception and `vmsnap recover` run the same `settle`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

from vmsnap.engine.codec import from_json, to_json
from vmsnap.errors import HostFileError, LeftChangedError, VmsnapError
from vmsnap.model import Digest, DomainId, HostFileType, JsonObject, Operation
from vmsnap.ports import Draft, HostFileReading, Ports

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(slots=True)
class Run:
    """One run over the steps of an operation, first or repeated.

    `facts` is what finished steps reported, kept in the journal for an undo. `supply` gives the
    drafts to be reserved and their contents, and `readings` are the host files of the instant at
    which the disks were switched: both only in the first run, nothing that is repeated needs them.
    `is_interrupted` asks steps that can stop half-way to do so.
    """

    ports: Ports
    operation: Operation
    facts: JsonObject = field(default_factory=dict)
    supply: "Supply" = lambda _run: ((), {})
    readings: Mapping[HostFileType, HostFileReading | None] = field(default_factory=dict)
    is_interrupted: bool = False


Supply: TypeAlias = Callable[[Run], tuple[Sequence[Draft], Mapping[Digest, bytes]]]
"""Makes the drafts that an operation reserves, and their contents, when they are needed."""


class Step(Protocol):
    """One change, small enough to be repeated or taken back as a whole.

    `do` of a step behind the commit, and every `undo`, can be run again after a crash in their
    middle; `undo` copes with a `do` that never began.
    """

    kind: ClassVar[str]
    is_commit: ClassVar[bool]

    def do(self, run: Run) -> JsonObject | None:
        """Change something; return facts that the undo or a later step needs."""

    def undo(self, run: Run) -> None:
        """Take the change back."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An operation as its journal tells it."""

    operation: Operation
    steps: tuple[Step, ...]
    done: int
    facts: JsonObject
    database: str
    database_identity: str | None


def execute(
    ports: Ports,
    operation: Operation,
    steps: Sequence[Step],
    *,
    drafts: Sequence[Draft] = (),
    contents: Mapping[Digest, bytes] | None = None,
    supply: Supply | None = None,
) -> JsonObject:
    """Run all steps, or leave the host as it was; return the facts.

    `supply` is for drafts that can only be made on the way, in place of `drafts` and `contents`.

    Whatever ends the run early is raised again after it was settled: with the attribute
    `vmsnap_changed` telling whether the operation took effect, and with `vmsnap_partial` telling
    that something of it was left for another delete. An expected error behind the commit
    is swallowed if the rest could be finished. LeftChangedError means that settling failed, or that
    a step found it unsafe; only then a journal is left.
    """
    run = Run(ports, operation, supply=supply or (lambda _run: (drafts, contents or {})))
    header = _header(ports, operation, steps)
    done = 0
    try:
        ports.journals.start(operation.domain_id, header)
        for step in steps:
            refuse_if_cancelled(ports)
            _do(run, step, done)
            done += 1
        ports.journals.remove(operation.domain_id)
    except LeftChangedError:
        # A program that a step started may still write: nothing is done beside it.
        raise
    except BaseException as error:  # a signal must be settled too
        run.is_interrupted = not isinstance(error, Exception)
        committed = _settle_after(error, run, steps, done)
        error.vmsnap_changed = committed  # type: ignore[attr-defined] # read where errors are shown
        is_partial = committed and any(fact.startswith("unmerged:") for fact in run.facts)
        error.vmsnap_partial = is_partial  # type: ignore[attr-defined] # read where errors are shown
        if not (committed and isinstance(error, VmsnapError)):
            raise
        ports.reporter.warn(f"{error.message}; finished at the second try")
    return run.facts


def refuse_if_cancelled(ports: Ports) -> None:
    """Raise what a signal raises, where one came in that only the main thread could see."""
    if ports.is_cancelled():
        raise KeyboardInterrupt


def settle(run: Run, steps: Sequence[Step], done: int) -> bool:
    """Finish a committed operation or take back one that is not; tell which: True is finished.

    Nothing is changed unless the database answers: only it knows whether a commit that was begun
    took place.
    """
    run.ports.catalog.ping()
    commit = next(index for index, step in enumerate(steps) if step.is_commit)
    if done > commit or (done == commit and run.ports.catalog.was_committed(run.operation.id)):
        for index in range(max(done, commit + 1), len(steps)):
            _do(run, steps[index], index)
        return True
    for step in reversed(steps[: done + 1]):
        log.info("taking back %s", step.kind)
        step.undo(run)
    return False


def load(ports: Ports, domain_id: DomainId, kinds: Mapping[str, type[Step]]) -> Interrupted | None:
    """Read the journal of a domain; None if there is none.

    `kinds` are the steps that this program knows. Raises HostFileError if the journal was written
    by a program that knew others.
    """
    entries = ports.journals.load(domain_id)
    if not entries:
        return None
    header = entries[0]
    is_known = header.get("format") == FORMAT
    steps = [_object(item) for item in _list(header.get("steps"))] if is_known else []
    if not is_known or any(_text(step.get("kind")) not in kinds for step in steps):
        message = f"the journal of domain '{domain_id}' was written by another version"
        raise HostFileError(message, hint="use the version of vmsnap that wrote it")
    facts: JsonObject = {}
    for entry in entries[1:]:
        facts.update(_object(entry.get("facts")))
    interrupted = Interrupted(
        operation=from_json(Operation, header.get("operation")),
        steps=tuple(from_json(kinds[str(step["kind"])], step.get("fields")) for step in steps),
        done=_done_in(entries),
        facts=facts,
        database=str(_text(header.get("database"))),
        database_identity=_text(header.get("database_identity")),
    )
    _require_whole(interrupted, domain_id)
    return interrupted


def _require_whole(interrupted: Interrupted, domain_id: DomainId) -> None:
    commits = [step.is_commit for step in interrupted.steps].count(True)
    is_its_own = interrupted.operation.domain_id == domain_id
    if commits != 1 or interrupted.done > len(interrupted.steps) or not is_its_own:
        message = f"the journal of domain '{domain_id}' is damaged"
        raise HostFileError(message)


def _done_in(entries: Sequence[JsonObject]) -> int:
    """Return how many steps are done: an entry whose sync failed may be there twice."""
    if len(entries) == 1:
        return 0
    last = entries[-1].get("done")
    if not isinstance(last, int) or last < 0:
        message = "the journal is damaged"
        raise HostFileError(message)
    return last + 1


def _do(run: Run, step: Step, index: int) -> None:
    log.info("doing %s", step.kind)
    facts = step.do(run) or {}
    run.facts.update(facts)
    run.ports.journals.append(run.operation.domain_id, {"done": index, "facts": facts})


def _settle_after(error: BaseException, run: Run, steps: Sequence[Step], done: int) -> bool:
    log.info("settling after %s", type(error).__name__)
    try:
        committed = settle(run, steps, done)
        run.ports.journals.remove(run.operation.domain_id)
    except VmsnapError as second:
        first = error.message if isinstance(error, VmsnapError) else type(error).__name__
        message = f"{first}; and then it could not be settled: {second.message}"
        raise LeftChangedError(message, hint="vmsnap recover") from error
    return committed


def _header(ports: Ports, operation: Operation, steps: Sequence[Step]) -> JsonObject:
    status = ports.catalog.status()
    return {
        "format": FORMAT,
        "operation": to_json(operation),
        "database": status.url,
        "database_identity": status.identity,
        "steps": [{"kind": step.kind, "fields": to_json(step)} for step in steps],
    }


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        message = "the journal is damaged"
        raise HostFileError(message)
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        message = "the journal is damaged"
        raise HostFileError(message)
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
