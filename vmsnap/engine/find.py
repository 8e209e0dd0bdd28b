"""Finding domains, groups and backups by what a user typed: a name, a UUID or a prefix of one."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from vmsnap.engine.hints import operands
from vmsnap.errors import (
    AmbiguousIdError,
    BackupNotFoundError,
    DomainNotFoundError,
    GroupNotFoundError,
)
from vmsnap.model import Domain, DomainId, Group, HostId, Resource
from vmsnap.ports import Ports

Item = TypeVar("Item")

_UUID_PREFIX = re.compile(r"[0-9a-f-]{1,36}")


def find_domain_id(ports: Ports, text: str) -> DomainId:
    """Find a defined domain; raises DomainNotFoundError or AmbiguousIdError."""
    domains = ports.hypervisor.domains()
    found = _find(text, domains, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is None:
        message = f"no domain '{text}' on this host"
        raise DomainNotFoundError(message, hint="vmsnap vm list")
    return found.id


def find_domain(ports: Ports, text: str) -> Domain:
    """Find a defined domain and look at it."""
    return ports.hypervisor.domain(find_domain_id(ports, text))


def find_known_domain(ports: Ports, text: str, host_id: HostId | None) -> tuple[DomainId, str]:
    """Find a domain that is defined, or that the catalog remembers; return its UUID and name."""
    domains = ports.hypervisor.domains()
    found = _find(text, domains, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is not None:
        return found.id, found.name
    records = ports.catalog.records(host_id)
    record = _find(text, records, name=lambda item: item.name, uuid=lambda item: item.id)
    if record is None:
        message = f"no domain '{text}' on this host, and no groups or backups of one"
        raise DomainNotFoundError(message, hint="vmsnap vm list")
    return record.id, record.name


def find_group(ports: Ports, domain: Domain, text: str) -> Group:
    """Find a group of a domain on this host, in any state."""
    groups = ports.catalog.groups(ports.hypervisor.host_id(), domain.id)
    return pick_group(groups, domain.name, text)


def pick_group(groups: Sequence[Group], domain_name: str, text: str) -> Group:
    """Pick a group from those of a domain; raises GroupNotFoundError or AmbiguousIdError."""
    found = _find(text, groups, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is None:
        message = f"domain '{domain_name}' has no group '{text}'"
        raise GroupNotFoundError(message, hint=f"vmsnap group list {operands(domain_name)}")
    return found


def pick_resource(resources: Sequence[Resource], domain_name: str, text: str) -> Resource:
    """Pick what owns a backup; raises BackupNotFoundError or AmbiguousIdError."""
    found = _find(text, resources, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is None:
        message = f"domain '{domain_name}' has no backup '{text}'"
        raise BackupNotFoundError(message, hint=f"vmsnap backup list {operands(domain_name)}")
    return found


def _find(
    text: str,
    items: Sequence[Item],
    *,
    name: Callable[[Item], str],
    uuid: Callable[[Item], str],
) -> Item | None:
    named = [item for item in items if name(item) == text]
    if named:
        return named[0]
    wanted = text.lower()
    if not _UUID_PREFIX.fullmatch(wanted):
        return None
    fitting = [item for item in items if uuid(item).startswith(wanted)]
    if len(fitting) > 1:
        names = ", ".join(f"'{name(item)}'" for item in fitting)
        message = f"'{text}' is the beginning of several UUIDs: {names}"
        raise AmbiguousIdError(message, hint="type more of the UUID, or the name")
    return fitting[0] if fitting else None
