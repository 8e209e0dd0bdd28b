"""Findings that belong to no single domain: overlays and contents that nothing names."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap.engine.assess import left_out_by_kind
from vmsnap.engine.findings.claims import Claim, claims_on
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.hints import operands
from vmsnap.engine.overlay_names import is_overlay_name
from vmsnap.engine.paths import Mark, marks, real
from vmsnap.engine.settling import domain_if_defined
from vmsnap.errors import HostFileError, ImageError
from vmsnap.model import (
    Definition,
    DiskDefinition,
    DomainId,
    GroupState,
    JsonValue,
    Layer,
    is_device_path,
)
from vmsnap.ports import Ports

ORPHAN_OVERLAY = Kind(
    "orphan_overlay",
    Severity.WARNING,
    Cure.ASKS,
    "no row, no journal, no record beside it and no disk of a defined domain names it, but another"
    " database may; it takes space, and may hold what a guest wrote",
)
UNREFERENCED_CONTENTS = Kind(
    "contents_unreferenced",
    Severity.WARNING,
    Cure.SURELY,
    "no group and no backup needs these bytes any more, which may be NVRAM or TPM state",
)

# What a pull that was killed leaves beside its image.
_STAND_IN = re.compile(r"\.vmsnap-pull-[0-9a-f]{16}-[0-9a-f]{16}")


@dataclass
class _Known:
    """All files that somebody names, and which domain's they are."""

    owners: dict[Mark, DomainId] = field(default_factory=dict)
    recorded: dict[Mark, DomainId] = field(default_factory=dict)
    """Those of them that rows name, and whose rows these are."""
    texts: set[str] = field(default_factory=set)
    """Every text in a journal: paths are among them."""
    unreadable: list[str] = field(default_factory=list)
    """Disks whose chain cannot be read: they may stand on anything."""
    strangers: dict[Path, str] = field(default_factory=dict)
    """Folders with an overlay of vmsnap's that a disk uses and no row names, and which disk's."""
    is_ending: bool = False
    """Whether a delete is to go on, which takes up the stand-ins that are left."""

    def add(self, domain_id: DomainId, paths: Iterable[Path]) -> None:
        for path in paths:
            for mark in marks(path):
                self.owners.setdefault(mark, domain_id)

    def add_used(self, domain_id: DomainId, disk: str, chain: Sequence[Path]) -> None:
        """Add what a disk stands on, topmost first, and note its folder if that is not recorded."""
        self.add(domain_id, chain)
        for path in chain:
            owners = {self.recorded[mark] for mark in marks(path) if mark in self.recorded}
            # What a disk writes to is its own domain's; what it stands on may be another's.
            is_known = domain_id in owners if path == chain[0] else bool(owners)
            if is_overlay_name(path.name) and not is_known:
                self.strangers.setdefault(real(path).parent, disk)

    def covers(self, path: Path) -> bool:
        """Tell whether somebody names a file, or will take it up."""
        if self.owner(path) is not None or str(path) in self.texts:
            return True
        return self.is_ending and _STAND_IN.fullmatch(path.name) is not None

    def owner(self, path: Path) -> DomainId | None:
        return next((self.owners[mark] for mark in marks(path) if mark in self.owners), None)


def find_orphans(ports: Ports) -> Iterator[Finding]:
    """Find files that are called as vmsnap calls its overlays, and that nothing names.

    They are looked for in the folders of all disks and layers. What exists is listed first and what
    names it is read afterwards, so that an overlay that is just being made is no orphan: its
    journal, or later its row, was there before it. Nothing is found while a journal cannot be read.
    """
    host_id = ports.hypervisor.host_id()
    records = {record.id: record for record in ports.catalog.records(host_id)}
    definitions = ports.hypervisor.definitions()
    candidates = _candidates(ports, _folders(ports, definitions, records))
    if not candidates:
        return
    known = _Known()
    try:
        _add_journals(ports, known)
        _add_layers(ports, known)
        if any(not known.covers(path) for path in candidates):
            _add_machines(ports, known)
        _add_journals(ports, known)
    except HostFileError:
        # That the journal cannot be read is a finding of its own.
        return
    names = {record.id: record.name for record in records.values()}
    names |= {item.id: item.name for item in definitions}
    orphans = [path for path in candidates if not known.covers(path) and ports.images.exists(path)]
    claims = claims_on(ports, orphans, known.strangers)
    for path in orphans:
        yield _orphan(ports, path, known, names, claims.get(path))


def find_unreferenced_contents(ports: Ports) -> Iterator[Finding]:
    """Find contents that nothing names; what an operation under way reserved is not among them."""
    digests = ports.catalog.unreferenced()
    if digests:
        yield Finding(
            UNREFERENCED_CONTENTS,
            None,
            None,
            "contents",
            f"the database keeps {len(digests)} contents that nothing names",
            "vmsnap doctor --fix",
            lambda ports: ports.catalog.drop_unreferenced(ports.catalog.unreferenced()),
        )


def _folders(
    ports: Ports, definitions: Iterable[Definition], records: Iterable[DomainId]
) -> set[Path]:
    paths = {disk.path for item in definitions for disk in item.disks if disk.path is not None}
    for domain_id in records:
        paths |= {layer.path for layer in _layers(ports, domain_id)}
    return {real(path).parent for path in paths if not is_device_path(path)}


def _candidates(ports: Ports, folders: set[Path]) -> tuple[Path, ...]:
    found = []
    for folder in sorted(folders):
        try:
            files = ports.images.files_in(folder)
        except ImageError as error:
            ports.reporter.warn(error.message)
            continue
        found += [path for path in files if _is_ours(path.name)]
    return tuple(found)


def _is_ours(name: str) -> bool:
    return is_overlay_name(name) or _STAND_IN.fullmatch(name) is not None


def _layers(ports: Ports, domain_id: DomainId) -> tuple[Layer, ...]:
    return ports.catalog.layers(ports.hypervisor.host_id(), domain_id)


def texts_of_journals(ports: Ports) -> frozenset[str]:
    """Return every text in any journal: all paths that operations under way name are among them.

    Raises HostFileError if a journal cannot be read.
    """
    entries = (entry for id_ in ports.journals.pending() for entry in ports.journals.load(id_))
    return frozenset(text for entry in entries for text in _texts(entry))


def _add_journals(ports: Ports, known: _Known) -> None:
    known.is_ending |= bool(ports.journals.pending())
    known.texts |= texts_of_journals(ports)


def _add_layers(ports: Ports, known: _Known) -> None:
    host_id = ports.hypervisor.host_id()
    for record in ports.catalog.records(host_id):
        known.add(record.id, (layer.path for layer in _layers(ports, record.id)))
    known.recorded = dict(known.owners)
    groups = ports.catalog.groups(host_id)
    known.is_ending |= any(group.state is GroupState.DELETING for group in groups)


def _add_machines(ports: Ports, known: _Known) -> None:
    """Add all that a defined domain stands on, also in what libvirt saved of it."""
    definitions = list(ports.hypervisor.definitions())
    for summary in ports.hypervisor.domains():
        domain = domain_if_defined(ports, summary.id)
        if domain is None:
            continue
        saved = ports.hypervisor.managed_save_xml(domain.id) if domain.has_managed_save else None
        if saved is not None:
            definitions.append(ports.definitions.parse(saved))
        for snapshot in domain.foreign_snapshots:
            known.add(domain.id, (*snapshot.kept_paths, *snapshot.made_paths))
        for target, chain in domain.chains.items():
            known.add_used(domain.id, _disk_words(target, domain.name), chain)
    for definition in definitions:
        for disk in definition.disks:
            _add_disk(ports, known, definition, disk)


def _add_disk(ports: Ports, known: _Known, definition: Definition, disk: DiskDefinition) -> None:
    if disk.path is None:
        return
    words = _disk_words(disk.target, definition.name)
    known.add_used(definition.id, words, (disk.path,))
    try:
        chain = ports.images.chain(disk.path, disk.format)
    except ImageError:
        if left_out_by_kind(disk) is None:
            known.unreadable.append(words)
        return
    known.add_used(definition.id, words, [image.path for image in chain])


def _disk_words(target: str, domain_name: str) -> str:
    return f"disk {target} of domain '{domain_name}'"


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield every text in a journal's entry; facts have paths in their names, behind a colon."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key.partition(":")[2]
            yield from _texts(item)


def _orphan(
    ports: Ports, path: Path, known: _Known, names: dict[DomainId, str], claim: Claim | None
) -> Finding:
    owner = _owner_of(ports, path, known)
    name = names.get(owner) if owner is not None else None
    size = ports.images.allocated_bytes(path)
    if claim is None and known.unreadable:
        claim = Claim(f"{known.unreadable[0]} cannot be read and may stand on it")
    if claim is not None:
        return claim.finding(path, size, owner, name)
    message = f"nothing names '{path}' ({size} bytes on disk)"
    command = f"vmsnap doctor --fix{f' {operands(name)}' if name else ''}"
    return Finding(ORPHAN_OVERLAY, owner, name, str(path), message, command, _removing(path))


def _owner_of(ports: Ports, path: Path, known: _Known) -> DomainId | None:
    """Tell whose disk an orphan was made for: whose file it stands on."""
    try:
        backing = ports.images.info(path, "qcow2").backing_path
    except ImageError:
        return None
    return known.owner(backing) if backing is not None else None


def _removing(path: Path) -> Mend:
    def remove(ports: Ports) -> None:
        ports.images.remove_overlay(path)

    return remove
