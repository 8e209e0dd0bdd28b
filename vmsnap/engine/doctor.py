"""The verb doctor: compare database, files, definitions and image headers, and mend them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmsnap.engine.changing import changing
from vmsnap.engine.find import find_known_domain
from vmsnap.engine.findings import interruptions
from vmsnap.engine.findings.all import OF_DOMAINS, OF_HOST, WITHOUT_DATABASE, OfDomain
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Severity, by_hand
from vmsnap.engine.findings.scene import Scene, read_scene
from vmsnap.engine.hints import operands
from vmsnap.errors import StateError, VmsnapError
from vmsnap.model import DomainId
from vmsnap.ports import Ports

VERB = "doctor"
LOOKS = 3
"""How often a domain is looked at while operations begin and end on it."""

UNREADABLE = Kind(
    "unreadable",
    Severity.DANGER,
    Cure.BY_HAND,
    "doctor cannot tell what else is wrong before this can be read",
)
AT_WORK = Kind(
    "operation_at_work",
    Severity.NOTE,
    Cure.BY_HAND,
    "the domain is being changed at this moment, so nothing else can be told of it",
)


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of one finding; `problem` says why it is not mended, None if it is."""

    finding: Finding
    problem: VmsnapError | None = None


def examine(ports: Ports, domain: str | None = None) -> tuple[Finding, ...]:
    """Find all that is not as it should be, of one domain or of this host; nothing is changed.

    No lock is taken: a domain that an operation works on is not judged. `domain` may be gone. What
    cannot be read is a finding too. Raises DomainNotFoundError or AmbiguousIdError.
    """
    if domain is not None:
        wanted = find_known_domain(ports, domain, ports.hypervisor.host_id())[0]
        return _of_domain(ports, wanted)
    found = [item for id_ in _domains(ports) for item in _examine(ports, id_, OF_DOMAINS)]
    return tuple(found) + tuple(_of_host(ports))


def examine_without_database(ports: Ports) -> tuple[Finding, ...]:
    """Find what can be told of all domains of this host without a database; nothing is changed."""
    ids = [item.id for item in ports.hypervisor.domains()]
    ids += [id_ for id_ in ports.journals.pending() if id_ not in ids]
    return tuple(item for id_ in ids for item in _examine(ports, id_, WITHOUT_DATABASE))


def mend(ports: Ports, findings: Sequence[Finding]) -> tuple[Mended, ...]:
    """Mend findings, each looked for again first: those of a domain under its lock.

    What was interrupted on the domain is recovered before. One that cannot be mended does not keep
    the others from it, but those of a domain that is busy or cannot be recovered are left; so are
    those of one on which another host has an operation pending, unless that is struck off too.
    """
    results: list[Mended] = []
    for domain_id in dict.fromkeys(finding.domain_id for finding in findings):
        chosen = [finding for finding in findings if finding.domain_id == domain_id]
        if domain_id is None:
            results += _mend_each(ports, chosen, tuple(_of_host(ports)))
            continue
        try:
            with changing(ports, domain_id, VERB, subject=_words(chosen), may_be_claimed=True):
                chosen.sort(key=lambda item: item.kind is not interruptions.PENDING_ELSEWHERE)
                now = _of_domain(ports, domain_id, is_held=True)
                results += _mend_each(ports, chosen, now)
        except VmsnapError as error:
            results += [Mended(finding, error) for finding in chosen]
    return tuple(results)


def _words(chosen: Sequence[Finding]) -> tuple[str, ...]:
    """Name for the history what is to be mended, each kind once."""
    kinds = dict.fromkeys(item.kind.code for item in chosen if item.mend is not None)
    return tuple(code.replace("_", " ") for code in kinds)


def _mend_each(ports: Ports, chosen: Sequence[Finding], now: Sequence[Finding]) -> Iterator[Mended]:
    today = {finding.key: finding for finding in now}
    for finding in chosen:
        found = today.get(finding.key)
        if found is None:
            # Recovery, or somebody else, has mended it.
            yield Mended(finding)
            continue
        try:
            _mend_one(ports, found)
        except VmsnapError as error:
            yield Mended(finding, error)
        else:
            yield Mended(finding)


def _mend_one(ports: Ports, finding: Finding) -> None:
    if finding.mend is None:
        message = f"{finding.message}: nothing here mends it"
        raise StateError(message, hint=finding.command)
    if finding.domain_id is not None and finding.kind is not interruptions.PENDING_ELSEWHERE:
        ports.catalog.require_unclaimed(ports.hypervisor.host_id(), finding.domain_id)
    ports.reporter.step(f"mending: {finding.message}")
    finding.mend(ports)


def _domains(ports: Ports) -> tuple[DomainId, ...]:
    """Return all domains that are defined, have rows, or have a journal; by name, then the rest."""
    ids = [item.id for item in ports.hypervisor.domains()]
    host_id = ports.hypervisor.host_id()
    ids += [record.id for record in ports.catalog.records(host_id)]
    ids += [operation.domain_id for operation in ports.catalog.pending(host_id)]
    ids += ports.journals.pending()
    return tuple(dict.fromkeys(ids))


def _of_domain(ports: Ports, domain_id: DomainId, *, is_held: bool = False) -> tuple[Finding, ...]:
    found = _examine(ports, domain_id, OF_DOMAINS, is_held=is_held)
    return found + tuple(item for item in _of_host(ports) if item.domain_id == domain_id)


def _of_host(ports: Ports) -> Iterator[Finding]:
    for find in OF_HOST:
        try:
            yield from find(ports)
        except VmsnapError as error:
            yield _unreadable(None, None, find.__name__, error)


def _examine(
    ports: Ports, domain_id: DomainId, looks: Sequence[OfDomain], *, is_held: bool = False
) -> tuple[Finding, ...]:
    """Look at one domain; again, if an operation began or ended meanwhile."""
    for _ in range(LOOKS):
        if not is_held and (at_work := _at_work(ports, domain_id)):
            return (at_work,)
        try:
            scene = read_scene(ports, domain_id)
        except VmsnapError as error:
            return (_unreadable(domain_id, _name(ports, domain_id), "state", error),)
        if not is_held:
            ports.reporter.step(f"looking at domain '{scene.name}'")
        found = tuple(_look(scene, looks))
        if is_held or not any(item.counts for item in found) or _is_still(ports, scene):
            return found
    return (_at_work(ports, domain_id) or _busy(domain_id, _name(ports, domain_id)),)


def _look(scene: Scene, looks: Sequence[OfDomain]) -> Iterator[Finding]:
    is_stuck = interruptions.is_stuck(scene)
    for find in looks:
        try:
            for finding in find(scene):
                # Every change begins with settling what was interrupted, which fails here.
                yield by_hand(finding) if is_stuck else finding
        except VmsnapError as error:
            yield _unreadable(scene.id, scene.name, find.__name__, error)


def _is_still(ports: Ports, scene: Scene) -> bool:
    """Tell whether nothing that vmsnap keeps of a domain has moved since it was read."""
    if ports.locks.holder(scene.id) is not None:
        return False
    try:
        now = read_scene(ports, scene.id)
    except VmsnapError:
        return True
    return _traces(now) == _traces(scene)


def _traces(scene: Scene) -> tuple[object, ...]:
    return (
        scene.has_journal,
        scene.pending,
        scene.pending_elsewhere,
        scene.groups,
        scene.resources,
        scene.layers,
        scene.record,
    )


def _at_work(ports: Ports, domain_id: DomainId) -> Finding | None:
    holder = ports.locks.holder(domain_id)
    if holder is None:
        return None
    return _busy(domain_id, _name(ports, domain_id), str(holder))


def _busy(domain_id: DomainId, name: str, words: str = "operations come and go on it") -> Finding:
    command = f"vmsnap doctor {operands(name)}"
    return Finding(AT_WORK, domain_id, name, "lock", words, command)


def _unreadable(
    domain_id: DomainId | None, name: str | None, subject: str, error: VmsnapError
) -> Finding:
    command = f"vmsnap vm show {operands(name)}" if name else "vmsnap vm list"
    return Finding(UNREADABLE, domain_id, name, subject, error.message, command)


def _name(ports: Ports, domain_id: DomainId) -> str:
    names = {item.id: item.name for item in ports.hypervisor.domains()}
    return names.get(domain_id, domain_id)
