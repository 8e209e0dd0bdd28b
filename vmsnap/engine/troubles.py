"""What keeps a domain's status from being fine: old groups, and operations that did not end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from vmsnap.engine.assess import verdict_by_definition
from vmsnap.engine.completeness import Renounced
from vmsnap.engine.disks import deep_from, shortening
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import load
from vmsnap.engine.settling import is_fenced
from vmsnap.engine.steps.all import STEPS
from vmsnap.errors import HostFileError, ImageError
from vmsnap.model import Definition, DomainId, Group, GroupState, duration, local_time
from vmsnap.ports import Holder, Ports

RECOVER = "vmsnap recover"


class Level(Enum):
    """How bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is not fine; `code` is a word for scripts, `command` what sees to it."""

    level: Level
    code: str
    message: str
    command: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is wanted of a domain's groups; None is no limit of age."""

    max_age: timedelta | None = None
    warn_age: timedelta | None = None
    renounced: Renounced = field(default_factory=Renounced)

    @property
    def is_judging(self) -> bool:
        """Whether a group can be too old at all."""
        return self.max_age is not None or self.warn_age is not None


@dataclass(frozen=True, slots=True)
class Kept:
    """A group as its age counts: what it lacks, if anything, and how long ago it was made.

    The age is below 0 if the clock was set back since. `damage` is what of `lacks` its files lack.
    """

    group: Group
    size_bytes: int
    lacks: tuple[str, ...]
    age: timedelta
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Points:
    """What status found of the groups of a domain.

    `newest` is the newest one, `complete` the newest complete one, `damaged` are those made since
    then, newest first, whose files are not what they were. `below` says what is amiss with the
    layers that the domain's disks stand on now: what a new group would stand on.
    """

    newest: Kept | None = None
    complete: Kept | None = None
    damaged: tuple[Kept, ...] = ()
    below: tuple[str, ...] = ()


def troubles_of_age(name: str, expectation: Expectation, points: Points) -> Iterator[Trouble]:
    """Judge the newest complete group."""
    newest, complete = points.newest, points.complete
    # A new group would be as damaged as what it stands on.
    create = f"vmsnap {'doctor' if points.below else 'snapshot create'} {operands(name)}"
    limits = ((Level.CRITICAL, expectation.max_age), (Level.WARNING, expectation.warn_age))
    for level, limit in limits:
        if limit is None or (complete is not None and timedelta(0) <= complete.age <= limit):
            continue
        if complete is None:
            message = f"it has no complete group{_why(newest)}"
            yield Trouble(level, "no_complete_group", message, create)
        elif complete.age < timedelta(0):
            message = f"its newest complete group '{complete.group.name}' is of a time to come"
            yield Trouble(Level.WARNING, "group_in_future", message, "date")
        else:
            message = f"its newest complete group {_aged(complete)}, more than {_span(limit)}"
            yield Trouble(level, "group_too_old", message + _why(newest), create)
        return


def troubles_of_files(name: str, expectation: Expectation, points: Points) -> Iterator[Trouble]:
    """Say which groups since the newest complete one are damaged, and whether the disks are.

    Without a complete one, what `troubles_of_age` says of the newest is enough.
    """
    newest = points.newest
    if expectation.is_judging and points.complete is None and newest and newest.damage:
        return
    names = [f"'{kept.group.name}'" for kept in reversed(points.damaged)]
    if not names and not points.below:
        return
    what = "its disks stand on what is damaged"
    if names:
        what = f"group{'s' if names[1:] else ''} {', '.join(names)} {'are' if names[1:] else 'is'}"
        what += " damaged, and so is what its disks stand on" if points.below else " damaged"
    reasons = points.below or points.damaged[0].damage
    command = f"vmsnap {'doctor' if points.below else 'group check'} {operands(name)}"
    yield Trouble(Level.WARNING, "damaged", f"{what}: {reasons[0]}", command)


def interruption(ports: Ports, domain_id: DomainId, *, was_fenced: bool = False) -> Trouble | None:
    """Say what waits for a recovery on a domain; whether somebody is at work is not asked.

    Without a journal a fence is looked for where there was one.
    """
    code, message = "interrupted", "a journal was left"
    try:
        found = load(ports, domain_id, STEPS)
    except HostFileError as error:
        found, message = None, error.message
    if found is not None:
        begun = local_time(found.operation.started_at)
        message = f"'{found.operation.verb}' of {begun} was interrupted"
    elif domain_id not in ports.journals.pending():
        if not (was_fenced and is_fenced(ports, domain_id)):
            return None
        code, message = "fenced", "it has a fence, and no journal says why"
    return Trouble(Level.CRITICAL, code, message, RECOVER)


def worker(ports: Ports, domain_id: DomainId) -> Holder | None:
    """Say who is at work on a domain; one whose process has ended is no more."""
    holder = ports.locks.holder(domain_id)
    return holder if holder is not None and not holder.has_ended else None


def deep_chains(ports: Ports, definition: Definition) -> Iterator[Trouble]:
    """Say which disks will soon have too many layers for libvirt; with the limits of create."""
    limit = ports.hypervisor.max_chain_depth()
    for disk in definition.disks:
        if disk.path is None or not verdict_by_definition(disk).is_taken:
            continue
        try:
            depth = len(ports.images.files(disk.path, disk.format))
        except ImageError:
            # That its groups are damaged is told elsewhere.
            continue
        if depth >= deep_from(limit):
            message = f"disk {disk.target} has {depth} layers of at most {limit}"
            yield Trouble(Level.WARNING, "chain_deep", message, shortening(definition.name, limit))


def unfinished_deletes(groups: Sequence[Group]) -> Iterator[Trouble]:
    """Say which groups are left `deleting`."""
    names = [f"'{group.name}'" for group in groups if group.state is GroupState.DELETING]
    if names:
        message = f"the delete of {', '.join(names)} is not finished"
        yield Trouble(Level.WARNING, "deleting", message, RECOVER)


def _aged(kept: Kept) -> str:
    return f"'{kept.group.name}' is {_span(kept.age)} old"


def _span(span: timedelta) -> str:
    return duration(span.total_seconds())


def _why(newest: Kept | None) -> str:
    if newest is None or not newest.lacks:
        return ""
    return f"; '{newest.group.name}' is not complete: {', '.join(newest.lacks)}"
