"""Who may need an overlay that no row of this host names: other hosts, databases and versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Severity
from vmsnap.engine.hints import operands
from vmsnap.engine.identity.record import IdentityRecord, read_record
from vmsnap.engine.paths import real
from vmsnap.errors import HostFileError
from vmsnap.model import DomainId, GroupState, Operation
from vmsnap.ports import Ports

PERHAPS_ORPHAN = Kind(
    "perhaps_orphan_overlay",
    Severity.NOTE,
    Cure.BY_HAND,
    "this host's rows, journals and machines do not name it, but somebody may need it: nothing here"
    " removes it, and nobody should before that is known",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Why a file may be needed, as the end of a sentence, and a command that tells more or ends it.

    Without a command the image itself is shown.
    """

    reason: str
    command: str | None = None

    def finding(
        self, path: Path, size_bytes: int, domain_id: DomainId | None, name: str | None
    ) -> Finding:
        """Make the finding of a file that is claimed."""
        message = f"nothing here names '{path}' ({size_bytes} bytes on disk), but {self.reason}"
        command = self.command or f"qemu-img info --backing-chain {operands(str(path))}"
        return Finding(PERHAPS_ORPHAN, domain_id, name, str(path), message, command)


@dataclass
class _Beside:
    """What the records in one folder claim: single files by name, or all that is in it.

    Names are compared, not paths: each is made once, and a shared folder has a path on each host.
    """

    of_names: dict[str, Claim] = field(default_factory=dict)
    of_all: Claim | None = None


def claims_on(
    ports: Ports, paths: Iterable[Path], strangers: Mapping[Path, str]
) -> dict[Path, Claim]:
    """Tell which files may be needed, and by whom; the others are nobody's.

    `strangers` are folders with a disk whose layer is not recorded, and whose disk that is: its
    groups may be lost, and then all of them are.
    """
    wanted = tuple(paths)
    hosts = _of_other_hosts(ports) if wanted else _Beside()
    records = {folder: _of_records(ports, folder) for folder in {path.parent for path in wanted}}
    found: dict[Path, Claim] = {}
    for path in wanted:
        beside = records[path.parent]
        stranger = strangers.get(real(path.parent))
        claims = (
            beside.of_names.get(path.name),
            hosts.of_names.get(path.name),
            beside.of_all,
            hosts.of_all,
            Claim(f"{stranger} is on a layer that is not recorded either") if stranger else None,
        )
        claim = next((item for item in claims if item is not None), None)
        if claim is not None:
            found[path] = claim
    return found


def operations_elsewhere(ports: Ports) -> tuple[Operation, ...]:
    """Return what other hosts that share the database have pending."""
    here = ports.hypervisor.host_id()
    return tuple(item for item in ports.catalog.pending() if item.host_id != here)


def _of_other_hosts(ports: Ports) -> _Beside:
    """Look at the rows of the other hosts, which may share a folder with this one."""
    found = _Beside()
    here = ports.hypervisor.host_id()
    for record in ports.catalog.records():
        if record.host_id == here:
            continue
        claim = Claim(
            f"it is recorded for domain '{record.name}' of host '{record.host_id}'",
            "vmsnap group list --all-hosts",
        )
        for layer in ports.catalog.layers(record.host_id, record.id):
            found.of_names.setdefault(layer.path.name, claim)
    # What is being made or merged at this moment has no row yet, or none any more.
    busy = [item.host_id for item in operations_elsewhere(ports)]
    busy += [
        group.resource.host_id
        for group in ports.catalog.groups()
        if group.state is GroupState.DELETING and group.resource.host_id != here
    ]
    if busy:
        found.of_all = Claim(f"host '{busy[0]}' has something pending that may need it")
    return found


def _of_records(ports: Ports, folder: Path) -> _Beside:
    found = _Beside()
    try:
        domain_ids = ports.identities.domains(folder)
    except HostFileError as error:
        found.of_all = Claim(error.message)
        return found
    for domain_id in domain_ids:
        try:
            record = read_record(ports, folder, domain_id)
        except HostFileError as error:
            found.of_all = Claim(f"{error.message}, so that it may name it")
            continue
        if record is not None:
            _add(found, folder, record, is_here=record.host_id == ports.hypervisor.host_id())
    return found


def _add(found: _Beside, folder: Path, record: IdentityRecord, *, is_here: bool) -> None:
    whose = f"of domain '{record.domain_name or record.domain_id}'"
    if not is_here:
        whose += f" of host '{record.host_id}'"
        # It says what there was when it was written; that host may be a step further.
        found.of_all = Claim(f"a record {whose} is beside it")
    rebuild = f"vmsnap db rebuild --folder {operands(str(folder), record.domain_id)}"
    claim = Claim(f"the record {whose} beside it does", rebuild if is_here else None)
    for layer in record.layers:
        found.of_names.setdefault(layer.path.name, claim)
        found.of_names.setdefault(real(layer.path).name, claim)
