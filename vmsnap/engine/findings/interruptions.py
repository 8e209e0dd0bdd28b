"""Findings on operations that did not end: journals, fences, registrations, standing guests."""

from collections.abc import Iterator
from shlex import quote

from vmsnap.engine.changing import preview_operation
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.engine.identity.publishing import refresh
from vmsnap.engine.journal import Run
from vmsnap.engine.steps.definition import lift_fence
from vmsnap.engine.steps.switching import INSTANT, SwitchDisks
from vmsnap.model import DomainState, Operation, Outcome, local_time
from vmsnap.ports import Ports

JOURNAL_LEFT = Kind(
    "journal_left",
    Severity.DANGER,
    Cure.SURELY,
    "what was interrupted has to be finished or taken back before anything else changes the domain",
)
JOURNAL_ELSEWHERE = Kind(
    "journal_of_other_database",
    Severity.DANGER,
    Cure.BY_HAND,
    "only the database that it was begun with knows what became of it",
)
JOURNAL_UNREADABLE = Kind(
    "journal_unreadable",
    Severity.DANGER,
    Cure.BY_HAND,
    "what was interrupted can be neither finished nor taken back by this program",
)
FENCE_LEFT = Kind(
    "fence_left",
    Severity.DANGER,
    Cure.SURELY,
    "the domain cannot be started before the interrupted operation is settled",
)
FENCE_WITHOUT_JOURNAL = Kind(
    "fence_without_journal",
    Severity.DANGER,
    Cure.ASKS,
    "the journal of what was interrupted is lost: disks, NVRAM and TPM state may be of different"
    " times, so look at them before the domain is started",
)
PENDING_LEFT = Kind(
    "pending_without_journal",
    Severity.WARNING,
    Cure.ASKS,
    "the database counts an operation as under way that no journal on this host tells of; what it"
    " reserved keeps a name and contents",
)
PENDING_ELSEWHERE = Kind(
    "pending_on_other_host",
    Severity.WARNING,
    Cure.ASKS,
    "nothing changes the domain here meanwhile; if that host is alive its operation must be settled"
    " there: vmsnap recover; strike it off only if that host is gone for good",
)
GUEST_SUSPENDED = Kind(
    "guest_suspended",
    Severity.DANGER,
    Cure.SURELY,
    "an interrupted create stopped the guest's processors, and nobody let it go on",
)
GUEST_PERHAPS_SUSPENDED = Kind(
    "guest_perhaps_suspended",
    Severity.WARNING,
    Cure.ASKS,
    "the last operation on it was never settled and its journal is lost; it may have left the guest"
    " standing",
)
GUEST_PAUSED = Kind(
    "guest_paused",
    Severity.NOTE,
    Cure.BY_HAND,
    "the guest stands still because somebody else wants it so",
)

RECOVER = "vmsnap recover"


def find_journal(scene: Scene) -> Iterator[Finding]:
    """Find a journal that was left, whole or not."""
    if scene.journal_problem is not None:
        message = scene.journal_problem.message
        yield scene.find(JOURNAL_UNREADABLE, "journal", message, RECOVER)
    elif scene.interrupted is not None:
        operation = scene.interrupted.operation
        when = local_time(operation.started_at)
        message = f"'{operation.verb}' of {when} was interrupted"
        if _is_elsewhere(scene):
            database = scene.interrupted.database
            message += f"; it was begun with database '{database}'"
            command = f"vmsnap --database {quote(database)} recover"
            yield scene.find(JOURNAL_ELSEWHERE, "journal", message, command)
        else:
            yield scene.find(JOURNAL_LEFT, "journal", message, RECOVER)
    elif scene.has_journal and not _is_fenced(scene):
        message = "a journal was left whose beginning was never whole, so nothing was begun"
        yield scene.find(JOURNAL_LEFT, "journal", message, RECOVER)


def find_fence(scene: Scene) -> Iterator[Finding]:
    """Find a fence that was left, with its journal or without."""
    if not _is_fenced(scene):
        return
    if scene.interrupted is not None or scene.journal_problem is not None:
        message = f"domain '{scene.name}' has the fence of an interrupted operation"
        yield scene.find(FENCE_LEFT, "fence", message, RECOVER)
        return
    message = f"domain '{scene.name}' has a fence, and no journal says why"
    command = f"{RECOVER} --lift-fences"
    yield scene.find(FENCE_WITHOUT_JOURNAL, "fence", message, command, _lifting(scene))


def find_pending(scene: Scene) -> Iterator[Finding]:
    """Find operations that the database counts as under way and that no journal tells of."""
    told = scene.interrupted.operation.id if scene.interrupted is not None else None
    if scene.journal_problem is not None:
        return
    for operation in scene.pending:
        if operation.id == told:
            continue
        when, verb = local_time(operation.started_at), operation.verb or "an operation"
        message = f"'{verb}' of {when} is still registered"
        if not operation.verb:
            message = f"what an operation of {when} reserved is left"
        yield scene.find(PENDING_LEFT, operation.id, message, _fix(scene), _ending(operation))


def find_pending_elsewhere(scene: Scene) -> Iterator[Finding]:
    """Find operations of another host on a domain that has the same UUID here."""
    if scene.domain is None:
        return
    for operation in scene.pending_elsewhere:
        message = (
            f"host '{operation.host_id}' has '{operation.verb}' pending since"
            f" {local_time(operation.started_at)} on domain '{operation.domain_name}', which has"
            " the same UUID there"
        )
        yield scene.find(PENDING_ELSEWHERE, operation.id, message, _fix(scene), _ending(operation))


def find_standing_guest(scene: Scene) -> Iterator[Finding]:
    """Find a guest that stands still, and say who is to blame."""
    if scene.domain is None or scene.domain.state is not DomainState.PAUSED:
        return
    message = f"domain '{scene.name}' is paused"
    resume = f"virsh resume {operands(scene.name)}"
    if _was_suspended(scene):
        yield scene.find(GUEST_SUSPENDED, "guest", message, RECOVER)
    elif scene.is_settled and _was_left(scene):
        yield scene.find(GUEST_PERHAPS_SUSPENDED, "guest", message, resume, _resuming(scene))
    else:
        yield scene.find(GUEST_PAUSED, "guest", message, resume)


def _is_fenced(scene: Scene) -> bool:
    return scene.domain is not None and scene.domain.definition.is_fenced


def is_stuck(scene: Scene) -> bool:
    """Tell whether what was interrupted cannot be settled from here, and so nothing be mended."""
    return scene.journal_problem is not None or _is_elsewhere(scene)


def _is_elsewhere(scene: Scene) -> bool:
    if scene.interrupted is None:
        return False
    status = scene.ports.catalog.status()
    if status.url != scene.interrupted.database:
        return True
    # One that was not opened may be the right one.
    return status.exists and status.identity != scene.interrupted.database_identity


def _was_suspended(scene: Scene) -> bool:
    """Tell whether the journal tells of a guest that was to be suspended, and not of its end."""
    if scene.interrupted is None or INSTANT in scene.interrupted.facts:
        return False
    steps = scene.interrupted.steps[: scene.interrupted.done + 1]
    return any(
        isinstance(step, SwitchDisks) and step.suspends and step.was is DomainState.RUNNING
        for step in steps
    )


def _was_left(scene: Scene) -> bool:
    last = scene.ports.catalog.history(scene.host_id, scene.id, limit=1)
    return any(entry.outcome is Outcome.LEFT for entry in last)


def _fix(scene: Scene) -> str:
    return f"vmsnap doctor --fix {operands(scene.name)}"


def _lifting(scene: Scene) -> Mend:
    def lift(ports: Ports) -> None:
        lift_fence(Run(ports, preview_operation(ports, scene.id, "doctor")))
        ports.journals.remove(scene.id)

    return lift


def _resuming(scene: Scene) -> Mend:
    return lambda ports: ports.hypervisor.resume(scene.id)


def _ending(operation: Operation) -> Mend:
    def end(ports: Ports) -> None:
        # After that nobody can commit it any more.
        if ports.catalog.was_committed(operation.id):
            ports.catalog.finish(operation.id)
            if operation.host_id == ports.hypervisor.host_id():
                refresh(ports, operation.domain_id)
        else:
            ports.catalog.discard(operation.id)

    return end
