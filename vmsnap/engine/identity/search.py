"""Find the identity records of domains, and believe of them only what can be believed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vmsnap.engine.identity.examining import Scope
from vmsnap.engine.identity.record import IdentityRecord, read_record
from vmsnap.engine.names import check_name
from vmsnap.engine.paths import real
from vmsnap.errors import HostFileError, ImageError, InvalidNameError
from vmsnap.model import (
    Definition,
    DiskDefinition,
    DomainId,
    Group,
    GroupKind,
    ResourceKind,
    is_device_path,
)
from vmsnap.ports import Images, Ports

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class Found:
    """What was found of one domain: its newest record, where its files may be, its overlays.

    `overlays` are the files of its disks by target, topmost first, as far as they can be read.
    """

    domain_id: DomainId
    name: str
    is_defined: bool = False
    record: IdentityRecord | None = None
    scope: Scope = field(default_factory=Scope)
    chains: dict[str, tuple[Path, ...]] = field(default_factory=dict)


def find_records(ports: Ports, folders: Iterable[Path] = ()) -> dict[DomainId, Found]:
    """Look for the records of all domains of this host, beside the images of defined ones.

    And in `folders`. What cannot be believed is warned of and passed over: a record that others
    could have written, a damaged one, one of another host. Of several the newest counts.
    """
    found: dict[DomainId, Found] = {}
    for definition in ports.hypervisor.definitions():
        item = found.setdefault(definition.id, Found(definition.id, definition.name))
        item.is_defined = True
        _add_disks(ports.images, item, definition)
    searched = {real(folder) for folder in folders}
    for item in found.values():
        searched |= {path.parent for path in item.scope.files if not is_device_path(path)}
    for folder in sorted(searched):
        _search(ports, found, folder)
    return found


def _add_disks(images: Images, item: Found, definition: Definition) -> None:
    for disk in definition.disks:
        if disk.path is None:
            continue
        files = _files(images, disk)
        item.chains[disk.target] = files
        item.scope.files.update(files)
        item.scope.tops.add(real(disk.path))


def _files(images: Images, disk: DiskDefinition) -> tuple[Path, ...]:
    if disk.path is None:
        return ()
    try:
        return tuple(map(real, images.files(disk.path, disk.format)))
    except ImageError:
        # Its folder is worth a look all the same.
        return (real(disk.path),)


def _search(ports: Ports, found: dict[DomainId, Found], folder: Path) -> None:
    """Read the records in a folder, and those in the folders that they name."""
    try:
        domain_ids = ports.identities.domains(folder)
    except HostFileError as error:
        ports.reporter.warn(error.message)
        return
    for domain_id in domain_ids:
        item = found.setdefault(domain_id, Found(domain_id, domain_id))
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            if here in item.scope.folders:
                continue
            record = _believed(ports, here, domain_id)
            if record is None:
                continue
            item.scope.folders.add(here)
            waiting += record.homes
            if item.record is None or record.generation > item.record.generation:
                item.record = record
            if not item.is_defined:
                item.name = item.record.domain_name


def _believed(ports: Ports, folder: Path, domain_id: DomainId) -> IdentityRecord | None:
    try:
        record = read_record(ports, folder, domain_id)
        if record is not None:
            _require_sound(record)
    except HostFileError as error:
        ports.reporter.warn(error.message)
        return None
    if record is not None and record.host_id != ports.hypervisor.host_id():
        message = f"the record of domain '{domain_id}' in '{folder}' is of another host"
        ports.reporter.warn(f"{message}, '{record.host_id}'")
        return None
    return record


def _require_sound(record: IdentityRecord) -> None:
    """Raise HostFileError for ids, names and words that vmsnap would not have written."""
    ids: list[str] = [layer.id for layer in record.layers]
    ids += [layer.parent_id for layer in record.layers if layer.parent_id is not None]
    words = [word for layer in record.layers for word in (layer.target, layer.format)]
    digests: list[str] = []
    for group in record.groups:
        ids += _ids(group)
        words += [item.target for item in group.snapshots]
        digests += [group.definition_digest]
        digests += [row.digest for row in group.resource.backups if row.digest is not None]
    is_sound = (
        all(_UUID.fullmatch(item) for item in ids)
        and len(record.layers) == len({layer.id for layer in record.layers})
        and all(_WORD.fullmatch(item) for item in words)
        and all(_DIGEST.fullmatch(item) for item in digests)
        and all(_is_named_soundly(group) for group in record.groups)
    )
    if not is_sound:
        message = f"the record of domain '{record.domain_id}' holds what vmsnap never writes"
        raise HostFileError(message)


def _ids(group: Group) -> list[str]:
    resource = group.resource
    owned = [item.group_id for item in group.snapshots]
    owned += [row.resource_id for row in resource.backups]
    # What does not belong to the group makes its list unsound.
    strange = ["" for owner in owned if owner != resource.id]
    ids: list[str] = [resource.id, *(item.id for item in group.snapshots)]
    ids += [item.layer_id for item in group.snapshots]
    ids += [row.id for row in resource.backups]
    ids += [group.parent_id] if group.parent_id is not None else []
    return ids + strange


def _is_named_soundly(group: Group) -> bool:
    if group.resource.kind is not ResourceKind.GROUP:
        return False
    name = group.name
    if group.kind is GroupKind.SINGLE:
        name, slash, target = name.rpartition("/")
        if not slash or not _WORD.fullmatch(target):
            return False
    try:
        check_name(name)
    except InvalidNameError:
        return False
    return True
