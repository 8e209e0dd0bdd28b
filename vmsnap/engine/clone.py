"""The verb clone: give other machines the NVRAM, and if wanted the TPM, of a source."""

from collections.abc import Sequence
from dataclasses import replace

from vmsnap.engine.capture import host_file_spec, verdict_on
from vmsnap.engine.changing import changing, preview_operation, require_changeable
from vmsnap.engine.cloning import GivenFile, Origin, fitting_spec, is_empty, read_origin
from vmsnap.engine.find import find_domain_id
from vmsnap.engine.hints import operands
from vmsnap.engine.journal import execute
from vmsnap.engine.placing import Placing, joined, place, set_aside
from vmsnap.engine.replacing import Keeping, plan_replacing
from vmsnap.engine.requests import CloneRequest, TpmChoice
from vmsnap.engine.results import ClonedTarget, CloneResult
from vmsnap.errors import DomainNotFoundError, UsageError, VmsnapError
from vmsnap.model import Definition, Domain, DomainId, FileMeta, HostFileType, Operation
from vmsnap.ports import Ports

VERB = "backup clone"
_NOTHING = "nothing: the host files are as the source has them"


def clone_backup(
    ports: Ports, source: str, targets: Sequence[str], request: CloneRequest
) -> CloneResult:
    """Give domains that are shut off the host files of a source: its present ones, or a backup's.

    Each target is all or nothing by itself, under its own lock, and keeps its present state as a
    safety backup first; one that has all of it already is left alone, so a second run changes
    nothing. Its paths, owners and modes stay. What failed stands in the result, target by target;
    only what fails before the first of them is raised.
    """
    origin = read_origin(ports, source, request)
    waiting = _find_all(ports, origin, targets)
    if request.tpm is TpmChoice.KEEP:
        ports.reporter.warn(_one_identity(origin))
    done: list[ClonedTarget] = []
    try:
        for text, found in waiting.items():
            done.append(_clone(ports, origin, (text, found), request))
    except BaseException as error:  # a signal ends the others too
        if any(target.is_changed for target in done):
            error.vmsnap_changed = True  # type: ignore[attr-defined] # read where errors are shown
        raise
    notes = [_one_identity(origin)] if request.tpm is TpmChoice.KEEP else []
    notes += [f"domain '{target.name}': {note}" for target in done for note in target.notes]
    return CloneResult(origin.domain_name, request.backup, tuple(done), tuple(notes))


def _one_identity(origin: Origin) -> str:
    return (
        f"the targets will have the TPM of domain '{origin.domain_name}': machines with one TPM"
        " identity can open each other's secrets"
    )


def _find_all(
    ports: Ports, origin: Origin, targets: Sequence[str]
) -> dict[str, DomainId | VmsnapError]:
    """Find all targets, each once; one that is not there is that target's failure."""
    found: dict[str, DomainId | VmsnapError] = {}
    for text in targets:
        try:
            domain_id = find_domain_id(ports, text)
        except DomainNotFoundError as error:
            found[text] = error
            continue
        if domain_id == origin.domain_id:
            message = f"domain '{text}' cannot be its own target"
            hint = f"vmsnap backup restore {operands(text, 'BACKUP')}"
            raise UsageError(message, hint=hint)
        if domain_id not in found.values():
            found[text] = domain_id
    return found


def _clone(
    ports: Ports,
    origin: Origin,
    target: tuple[str, DomainId | VmsnapError],
    request: CloneRequest,
) -> ClonedTarget:
    text, found = target
    if isinstance(found, VmsnapError):
        return ClonedTarget(text, error=found)
    try:
        if request.dry_run:
            operation = preview_operation(ports, found, VERB)
            return _clone_to(ports, origin, operation, dry_run=True)
        with changing(ports, found, VERB, subject=origin.domain_name) as operation:
            return _clone_to(ports, origin, operation, dry_run=False)
    except VmsnapError as error:
        return ClonedTarget(text, error=error)


def _clone_to(ports: Ports, origin: Origin, operation: Operation, *, dry_run: bool) -> ClonedTarget:
    domain = ports.hypervisor.domain(operation.domain_id)
    placing = _plan(ports, origin, operation, domain)
    if not placing.before:
        # Another safety backup would take from `undo` the state before the first run.
        changes = (dry_run and placing.changes) or (_NOTHING,)
        return ClonedTarget(domain.name, changes, is_done=not dry_run)
    keeping = Keeping(f"before {VERB} from {origin.words}")
    plan = plan_replacing(ports, operation, domain, placing, keeping)
    planned = ClonedTarget(domain.name, placing.changes, notes=plan.notes)
    if dry_run:
        return planned
    given = {item.digest: item.content for item in (origin.nvram, origin.tpm) if item is not None}
    ports.reporter.step(f"giving domain '{domain.name}' the host files of {origin.words}")
    contents = {**plan.contents, **given}
    execute(ports, operation, plan.steps, drafts=plan.drafts, contents=contents)
    safety = plan.drafts[0].resource
    return replace(planned, is_done=True, is_changed=True, can_undo=plan.can_undo, safety=safety)


def _plan(ports: Ports, origin: Origin, operation: Operation, domain: Domain) -> Placing:
    require_changeable(domain, "other host files can only be given to it")
    parts = [_placed(ports, origin, operation, domain.definition, HostFileType.NVRAM)]
    if origin.tpm is not None:
        parts.append(_placed(ports, origin, operation, domain.definition, HostFileType.TPM))
    else:
        parts.append(_reset(ports, operation, domain.definition))
    return joined(parts)


def _placed(
    ports: Ports,
    origin: Origin,
    operation: Operation,
    definition: Definition,
    type_: HostFileType,
) -> Placing:
    given = origin.nvram if type_ is HostFileType.NVRAM else origin.tpm
    spec = fitting_spec(ports, origin, definition, type_)
    if given is None:
        return Placing()
    live = ports.host_files.read(spec)
    meta = live.meta if live is not None else _plain(given)
    placing = place(ports, operation.id, spec, (given.digest, meta), live)
    changes = tuple(
        f"{type_.value}: '{spec.path}' becomes that of {origin.words}" for _ in placing.changes
    )
    return replace(placing, changes=changes)


def _plain(given: GivenFile) -> FileMeta:
    """Return the source's owner and mode; its labels are of another machine."""
    return FileMeta(given.meta.uid, given.meta.gid, given.meta.mode)


def _reset(ports: Ports, operation: Operation, definition: Definition) -> Placing:
    spec = host_file_spec(definition, HostFileType.TPM)
    if spec is None:
        if definition.tpm is None:
            return Placing()
        reason = verdict_on(definition, HostFileType.TPM).reason
        return Placing(changes=(f"tpm: stays as it is: {reason}",))
    live = ports.host_files.read(spec)
    if live is None or is_empty(HostFileType.TPM, live):
        return Placing()
    return set_aside(ports, operation.id, spec, "the machine's TPM starts anew")
