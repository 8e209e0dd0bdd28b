"""The identity record of a domain: its groups and layers, kept beside its images as well.

It is a projection of the catalog, for `vmsnap db rebuild` once the database is gone. What it names
and the catalog does not know is carried on: a new database must not wipe out what is left of a lost
one.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.paths import real
from vmsnap.errors import ContentError, HostFileError, VmsnapError
from vmsnap.model import (
    Digest,
    DomainId,
    DomainRecord,
    Group,
    GroupState,
    HostId,
    JsonObject,
    JsonValue,
    Layer,
    LayerId,
    ResourceId,
    is_device_path,
)
from vmsnap.ports import Ports

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """What a file beside the images says of a domain.

    `generation` grows by one with each change: of several copies the highest is the newest.
    `definitions` are those of the groups, which nothing but the database holds otherwise.
    """

    format: int
    generation: int
    host_id: HostId
    domain_id: DomainId
    domain_name: str
    database: str | None
    record: DomainRecord | None
    groups: tuple[Group, ...]
    layers: tuple[Layer, ...]
    definitions: Mapping[Digest, str] = field(repr=False)

    @property
    def homes(self) -> frozenset[Path]:
        """The folders that hold a layer made by vmsnap: each has a copy."""
        made = (layer for layer in self.layers if layer.is_made_by_vmsnap)
        return frozenset(real(layer.path).parent for layer in made)


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog knew of a domain when an operation began."""

    folders: tuple[Path, ...] = ()
    groups: tuple[ResourceId, ...] = ()
    layers: tuple[LayerId, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """The record that is wanted, and what each folder has in its place."""

    wanted: IdentityRecord
    found: Mapping[Path, IdentityRecord | None]

    @property
    def is_current(self) -> bool:
        """Whether each copy is as it should be, and there are no others."""
        copies = {folder: copy for folder, copy in self.found.items() if copy is not None}
        if copies.keys() != self.wanted.homes:
            return False
        return all(copy == self.wanted for copy in copies.values())


def known_before(ports: Ports, host_id: HostId, domain_id: DomainId) -> Known:
    """Note what the catalog knows of a domain before an operation changes it."""
    layers = ports.catalog.layers(host_id, domain_id)
    groups = ports.catalog.groups(host_id, domain_id)
    return Known(
        folders=tuple(_folders(layers)),
        groups=tuple(group.id for group in groups),
        layers=tuple(layer.id for layer in layers),
    )


def publish(ports: Ports, host_id: HostId, domain_id: DomainId, before: Known) -> None:
    """Bring the copies of a domain's record up to what the catalog says; a failure is only warned.

    Nothing is written where they say it already. `before` tells what an operation removed from what
    the catalog never knew. Where no layer of vmsnap's is left, no copy is left either.
    """
    try:
        state = _look(ports, host_id, domain_id, before)
        if state is not None and not state.is_current:
            _write(ports, state)
    except VmsnapError as error:
        ports.reporter.warn(f"what 'vmsnap db rebuild' would need was not written: {error.message}")


def is_stale(ports: Ports, domain_id: DomainId) -> bool:
    """Tell whether a copy of a domain's record is missing or old, or is left where none should be.

    Then `db rebuild` would not bring back what there is. Raises what the catalog raises.
    """
    host_id = ports.hypervisor.host_id()
    before = known_before(ports, host_id, domain_id)
    state = _look(ports, host_id, domain_id, before)
    return state is not None and not state.is_current


def refresh(ports: Ports, domain_id: DomainId) -> None:
    """Write the copies of a domain's record that are missing or old; the caller holds its lock."""
    host_id = ports.hypervisor.host_id()
    publish(ports, host_id, domain_id, known_before(ports, host_id, domain_id))


def read_record(ports: Ports, folder: Path, domain_id: DomainId) -> IdentityRecord | None:
    """Read the copy of a domain's record in a folder; None if there is none.

    Raises HostFileError if it is damaged, of another version, or one of another domain.
    """
    data = ports.identities.read(folder, domain_id)
    if data is None:
        return None
    where = f"the record of domain '{domain_id}' in '{folder}'"
    if data.get("format") != FORMAT:
        message = f"{where} was written by another version"
        raise HostFileError(message, hint="use the version of vmsnap that wrote it")
    try:
        record = from_json(IdentityRecord, data)
    except (HostFileError, RecursionError) as error:
        message = f"{where} is damaged"
        raise HostFileError(message) from error
    owners = {(group.resource.host_id, group.resource.domain_id) for group in record.groups}
    owners |= {(layer.host_id, layer.domain_id) for layer in record.layers}
    owners |= {(item.host_id, item.id) for item in (record.record,) if item is not None}
    if record.domain_id != domain_id or owners - {(record.host_id, domain_id)}:
        message = f"{where} is that of another domain"
        raise HostFileError(message)
    return record


def _look(ports: Ports, host_id: HostId, domain_id: DomainId, before: Known) -> _State | None:
    layers = ports.catalog.layers(host_id, domain_id)
    folders = {*_folders(layers), *before.folders}
    if not folders:
        return None
    found = {folder: _readable(ports, folder, domain_id) for folder in sorted(folders)}
    copies = [copy for copy in found.values() if copy is not None and copy.host_id == host_id]
    newest = max(copies, key=lambda copy: copy.generation, default=None)
    record = ports.catalog.record(host_id, domain_id)
    groups = [
        group
        for group in ports.catalog.groups(host_id, domain_id)
        if group.state is not GroupState.CREATING
    ]
    more_layers = _carried_layers(ports, newest, before, layers)
    more_groups = _carried_groups(newest, before, groups, more_layers)
    groups += more_groups
    wanted = IdentityRecord(
        format=FORMAT,
        generation=newest.generation if newest else 0,
        host_id=host_id,
        domain_id=domain_id,
        domain_name=record.name if record else (newest.domain_name if newest else ""),
        database=ports.catalog.status().identity,
        record=record or (newest.record if newest else None),
        groups=tuple(groups),
        layers=(*layers, *more_layers),
        definitions=_definitions(ports, groups, newest),
    )
    if wanted.homes - found.keys():
        more = {home: _readable(ports, home, domain_id) for home in wanted.homes - found.keys()}
        found = {**found, **more}
    return _State(wanted, found)


def _write(ports: Ports, state: _State) -> None:
    wanted = state.wanted
    generations = [copy.generation for copy in state.found.values() if copy is not None]
    new = replace(wanted, generation=max(generations, default=0) + 1)
    data = _object(to_json(new))
    for folder in sorted(wanted.homes):
        ports.identities.write(folder, wanted.domain_id, data)
    for folder, copy in state.found.items():
        if copy is not None and folder not in wanted.homes:
            ports.identities.remove(folder, wanted.domain_id)


def _readable(ports: Ports, folder: Path, domain_id: DomainId) -> IdentityRecord | None:
    """Read a copy; one that is not to be read counts as none, and is replaced."""
    try:
        return read_record(ports, folder, domain_id)
    except HostFileError as error:
        log.warning("%s", error.message)
        return None


def _carried_layers(
    ports: Ports, newest: IdentityRecord | None, before: Known, layers: Iterable[Layer]
) -> tuple[Layer, ...]:
    """Return the layers that only the record names, and whose files are there."""
    known = {*before.layers, *(layer.id for layer in layers)}
    return tuple(
        layer
        for layer in (newest.layers if newest else ())
        if layer.id not in known and ports.images.exists(layer.path)
    )


def _carried_groups(
    newest: IdentityRecord | None,
    before: Known,
    groups: Iterable[Group],
    layers: Iterable[Layer],
) -> list[Group]:
    """Return the groups that only the record names, and of which a layer is left."""
    known = {*before.groups, *(group.id for group in groups)}
    left = {layer.id for layer in layers} | set(before.layers)
    return [
        group
        for group in (newest.groups if newest else ())
        if group.id not in known and any(item.layer_id in left for item in group.snapshots)
    ]


def _definitions(
    ports: Ports, groups: Iterable[Group], newest: IdentityRecord | None
) -> dict[Digest, str]:
    """Collect the groups' definitions; those that the record has are not read again."""
    kept = newest.definitions if newest else {}
    found: dict[Digest, str] = {}
    for digest in {group.definition_digest: None for group in groups}:
        text = kept.get(digest)
        if text is not None and digest_of(text) == digest:
            found[digest] = text
            continue
        try:
            found[digest] = ports.catalog.content(digest).decode()
        except (ContentError, UnicodeDecodeError):
            log.warning("definition '%s' is damaged and gets into no record", digest)
    return found


def digest_of(definition: str) -> Digest:
    """Return the digest by which a definition is known."""
    return Digest(hashlib.sha256(definition.encode("utf-8", "surrogatepass")).hexdigest())


def _folders(layers: Iterable[Layer]) -> list[Path]:
    """Return the folders of layers, each once; block devices are in none that could take a file."""
    paths = (layer.path for layer in layers if not is_device_path(layer.path))
    return list(dict.fromkeys(real(path).parent for path in paths))


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
