"""The identity record of a domain: its groups and layers, as a file beside its images has them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.paths import real
from vmsnap.errors import HostFileError
from vmsnap.model import (
    Digest,
    DomainId,
    DomainRecord,
    Group,
    HostId,
    JsonObject,
    Layer,
)
from vmsnap.ports import Ports

FORMAT = 1
PINNED_FORMAT = 2
"""That of a record with pinned groups, which earlier versions cannot read."""
FORMATS = (FORMAT, PINNED_FORMAT)


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


def read_record(ports: Ports, folder: Path, domain_id: DomainId) -> IdentityRecord | None:
    """Read the copy of a domain's record in a folder; None if there is none.

    Raises HostFileError if it is damaged, of another version, or one of another domain.
    """
    data = ports.identities.read(folder, domain_id)
    return None if data is None else decode(data, domain_id, f" in '{folder}'")


def decode(data: JsonObject, domain_id: DomainId, where: str = "") -> IdentityRecord:
    """Make a record of a file's JSON; raises what `read_record` raises, `where` for its words."""
    where = f"the record of domain '{domain_id}'{where}"
    require_format(data, where)
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


def encode(record: IdentityRecord) -> JsonObject:
    """Make a file's JSON of a record.

    Without a pinned group it is what versions write and read that know of no pins.
    """
    said = {item.name: to_json(getattr(record, item.name)) for item in fields(record)}
    if any(group.is_pinned for group in record.groups):
        return {**said, "format": PINNED_FORMAT}
    return {**said, "groups": [_without_pin(group) for group in record.groups]}


def require_format(data: JsonObject, where: str) -> None:
    """Raise HostFileError for a record of another version."""
    if data.get("format") not in FORMATS:
        message = f"{where} was written by another version"
        raise HostFileError(message, hint="use the version of vmsnap that wrote it")


def digest_of(definition: str) -> Digest:
    """Return the digest by which a definition is known."""
    return Digest(hashlib.sha256(definition.encode("utf-8", "surrogatepass")).hexdigest())


def _without_pin(group: Group) -> JsonObject:
    named = (item.name for item in fields(group) if item.name != "is_pinned")
    return {name: to_json(getattr(group, name)) for name in named}
