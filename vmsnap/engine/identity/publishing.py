"""Bringing the copies of a domain's identity record up to what the catalog says.

A record is a projection of the catalog. What it names and the catalog does not know is carried on:
a new database must not wipe out what is left of a lost one, nor an older copy of it what the files
prove.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from vmsnap.engine.codec import to_json
from vmsnap.engine.identity.outdated import Outdated, compare
from vmsnap.engine.identity.record import (
    FORMAT,
    IdentityRecord,
    decode,
    digest_of,
    encode,
    require_format,
)
from vmsnap.engine.paths import real
from vmsnap.errors import ContentError, DomainNotFoundError, HostFileError, VmsnapError
from vmsnap.model import (
    Digest,
    DomainId,
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


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog knew of a domain when an operation began."""

    folders: tuple[Path, ...] = ()
    groups: tuple[ResourceId, ...] = ()
    layers: tuple[LayerId, ...] = ()


class Standing(Enum):
    """How the copies of a record stand to the database."""

    CURRENT = "current"
    STALE = "stale"
    """One is missing or old, or is left where none should be: `db rebuild` would not do."""
    AHEAD = "ahead"
    """The files prove that they know more: the database is an older copy, or was made anew."""


@dataclass(frozen=True, slots=True)
class _State:
    """The record that is wanted, as JSON, where, and what each folder has in its place.

    `is_ahead` says that the record knows what the database has lost, or has older.
    """

    wanted: JsonObject
    homes: frozenset[Path]
    found: Mapping[Path, JsonObject]
    is_ahead: bool = False

    @property
    def is_current(self) -> bool:
        """Whether each copy is as it should be, and there are no others."""
        return self.found.keys() == self.homes and all(
            copy == self.wanted for copy in self.found.values()
        )


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
            _write(ports, domain_id, state)
    except VmsnapError as error:
        ports.reporter.warn(f"what 'vmsnap db rebuild' would need was not written: {error.message}")


def standing(ports: Ports, domain_id: DomainId) -> Standing:
    """Tell how the copies of a domain's record stand to the database.

    Raises what the catalog raises, and HostFileError for a copy that must not be overwritten.
    """
    host_id = ports.hypervisor.host_id()
    state = _look(ports, host_id, domain_id, known_before(ports, host_id, domain_id))
    if state is None:
        return Standing.CURRENT
    if state.is_ahead:
        return Standing.AHEAD
    return Standing.CURRENT if state.is_current else Standing.STALE


def refresh(ports: Ports, domain_id: DomainId) -> None:
    """Write the copies of a domain's record that are missing or old; the caller holds its lock."""
    host_id = ports.hypervisor.host_id()
    publish(ports, host_id, domain_id, known_before(ports, host_id, domain_id))


def _look(ports: Ports, host_id: HostId, domain_id: DomainId, before: Known) -> _State | None:
    layers = ports.catalog.layers(host_id, domain_id)
    folders = {*_folders(layers), *before.folders}
    if not folders:
        return None
    found = _read_all(ports, folders, (host_id, domain_id))
    newest = max(found.values(), key=_generation, default=JsonObject())
    record = ports.catalog.record(host_id, domain_id)
    groups = [
        group
        for group in ports.catalog.groups(host_id, domain_id)
        if group.state is not GroupState.CREATING
    ]
    outdated = _outdated(ports, newest, domain_id, (layers, groups))
    ghosts = {group.id for group in outdated.ghosts}
    more_layers: tuple[Layer, ...] = ()
    more_groups: tuple[Group, ...] = ()
    known = replace(
        before,
        groups=(*before.groups, *(group.id for group in groups)),
        layers=(*before.layers, *(layer.id for layer in layers)),
    )
    if not _ids(newest.get("groups")) | _ids(newest.get("layers")) <= _all(known):
        decoded = _readable(newest, domain_id)
        more_layers, more_groups = _carried(ports, decoded, before, known) if decoded else ((), ())
    groups = [outdated.corrected(group) for group in groups if group.id not in ghosts]
    layers = tuple(outdated.layers.get(layer.id, layer) for layer in layers)
    wanted = IdentityRecord(
        format=FORMAT,
        generation=_generation(newest),
        host_id=host_id,
        domain_id=domain_id,
        domain_name=record.name if record else "",
        database=ports.catalog.status().identity,
        record=record,
        groups=(*groups, *more_groups),
        layers=(*layers, *more_layers),
        definitions=_definitions(ports, (*groups, *more_groups), newest),
    )
    found |= _read_all(ports, wanted.homes - found.keys(), (host_id, domain_id))
    is_newer = not outdated.is_empty or _can_come_back(ports, wanted, more_groups)
    return _State(encode(wanted), wanted.homes, found, is_newer)


def _write(ports: Ports, domain_id: DomainId, state: _State) -> None:
    generation = max(map(_generation, state.found.values()), default=0) + 1
    for folder in sorted(state.homes):
        ports.identities.write(folder, domain_id, {**state.wanted, "generation": generation})
    for folder in state.found.keys() - state.homes:
        ports.identities.remove(folder, domain_id)


def _read_all(
    ports: Ports, folders: Iterable[Path], owner: tuple[HostId, DomainId]
) -> dict[Path, JsonObject]:
    """Read the copies in some folders; one that is not to be believed counts as none.

    Raises HostFileError for one of another host (H61) or version, which must not be overwritten.
    """
    host_id, domain_id = owner
    found: dict[Path, JsonObject] = {}
    for folder in sorted(folders):
        try:
            data = ports.identities.read(folder, domain_id)
        except HostFileError as error:
            log.warning("%s", error.message)
            continue
        if data is not None and data.get("host_id", host_id) != host_id:
            message = f"the record of domain '{domain_id}' in '{folder}' is another host's"
            raise HostFileError(message)
        if data is not None:
            require_format(data, f"the record of domain '{domain_id}' in '{folder}'")
            found[folder] = data
    return found


def _readable(data: JsonObject, domain_id: DomainId) -> IdentityRecord | None:
    """Decode a copy; a damaged one, of which nothing can be carried on, is replaced."""
    try:
        return decode(data, domain_id)
    except HostFileError as error:
        log.warning("%s", error.message)
        return None


def _generation(data: JsonObject) -> int:
    found = data.get("generation")
    return found if isinstance(found, int) else 0


def _carried(
    ports: Ports, newest: IdentityRecord, before: Known, known: Known
) -> tuple[tuple[Layer, ...], tuple[Group, ...]]:
    """Return the layers and groups that only a copy names: a lost database knew them.

    Of layers whose files are there, and of groups that have one of these left.
    """
    layers = tuple(
        layer
        for layer in newest.layers
        if layer.id not in known.layers and ports.images.exists(layer.path)
    )
    left = {*before.layers, *(layer.id for layer in layers)}
    return layers, tuple(
        group
        for group in newest.groups
        if group.id not in known.groups and any(item.layer_id in left for item in group.snapshots)
    )


def _outdated(
    ports: Ports,
    newest: JsonObject,
    domain_id: DomainId,
    known: tuple[Collection[Layer], Collection[Group]],
) -> Outdated:
    """Find what a copy knows better; it is decoded only if there may be something."""
    rows = {layer.id: layer for layer in known[0]}
    doubted = [
        item
        for item in _items(newest.get("layers"))
        if item.get("facts") is not None
        and (row := rows.get(LayerId(str(item.get("id"))))) is not None
        and to_json(row.facts) != item["facts"] == to_json(ports.images.facts(row.path))
    ]
    decoded = _readable(newest, domain_id) if doubted else None
    tops = _tops(ports, domain_id) if decoded is not None else None
    if decoded is None or tops is None:
        return Outdated()
    proven = {
        layer.id
        for layer in decoded.layers
        if _is_unchanged(ports, layer) and real(layer.path) not in tops
    }
    return compare(ports.images, (decoded.layers, decoded.groups), known, proven)


def _tops(ports: Ports, domain_id: DomainId) -> set[Path] | None:
    """Return the files that a domain's disks are on; None if that is not known."""
    try:
        domain = ports.hypervisor.domain(domain_id)
    except DomainNotFoundError:
        return None
    used = [disk.path for disk in (*domain.definition.disks, *domain.current.disks)]
    return {real(path) for path in used if path is not None}


def _can_come_back(ports: Ports, record: IdentityRecord, groups: Iterable[Group]) -> bool:
    """Tell whether of groups that only a copy names one has a layer that is as it was frozen."""
    layers = {layer.id: layer for layer in record.layers}
    return any(
        group.definition_digest in record.definitions
        and any(
            (layer := layers.get(item.layer_id)) is not None and _is_unchanged(ports, layer)
            for item in group.snapshots
        )
        for group in groups
    )


def _is_unchanged(ports: Ports, layer: Layer) -> bool:
    return layer.facts is not None and ports.images.facts(layer.path) == layer.facts


def _items(items: JsonValue) -> list[JsonObject]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _ids(items: JsonValue) -> set[JsonValue]:
    """Return the ids of groups or layers, as they stand in a copy: decoding it takes far longer."""
    found: set[JsonValue] = set()
    for item in items if isinstance(items, list) else []:
        owner = item.get("resource", item) if isinstance(item, dict) else None
        id_ = owner.get("id") if isinstance(owner, dict) else None
        found.add(id_ if isinstance(id_, str) else None)
    return found


def _all(known: Known) -> set[JsonValue]:
    return {*known.groups, *known.layers}


def _definitions(ports: Ports, groups: Iterable[Group], newest: JsonObject) -> dict[Digest, str]:
    """Collect the groups' definitions; those that the newest copy has are not read again."""
    copied = newest.get("definitions")
    kept = copied if isinstance(copied, dict) else {}
    found: dict[Digest, str] = {}
    for digest in dict.fromkeys(group.definition_digest for group in groups):
        text = kept.get(digest)
        if isinstance(text, str) and digest_of(text) == digest:
            found[digest] = text
            continue
        try:
            found[digest] = ports.catalog.content(digest).decode()
        except (ContentError, UnicodeDecodeError):
            log.warning("definition '%s' is damaged and gets into no record", digest)
    return found


def _folders(layers: Iterable[Layer]) -> list[Path]:
    """Return the folders of layers, each once; block devices are in none that could take a file."""
    paths = (layer.path for layer in layers if not is_device_path(layer.path))
    return list(dict.fromkeys(real(path).parent for path in paths))
