"""Finding domains, groups and backups by what a user typed: a name, a UUID or a prefix of one."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from vmsnap.engine.hints import operands
from vmsnap.engine.names import is_snapshot_name, snapshot_name
from vmsnap.errors import (
    AmbiguousIdError,
    BackupNotFoundError,
    DomainNotFoundError,
    GroupNotFoundError,
    ResourceNotFoundError,
    StateError,
)
from vmsnap.model import (
    Domain,
    DomainId,
    DomainRecord,
    DomainSummary,
    Group,
    GroupKind,
    HostId,
    Resource,
    Snapshot,
)
from vmsnap.ports import Ports

Item = TypeVar("Item")

# A shorter one is too easily a name that was mistyped, or is no more, and would pick another
# thing to delete or to go back to.
_UUID_PREFIX = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")
_MISTYPED = 64


def find_domain_id(ports: Ports, text: str) -> DomainId:
    """Find a defined domain; raises DomainNotFoundError or AmbiguousIdError."""
    return _find_defined(ports, text).id


def find_domain_name(ports: Ports, text: str) -> str:
    """Return the name of a defined domain; errors as `find_domain_id`."""
    return _find_defined(ports, text).name


def _find_defined(ports: Ports, text: str) -> DomainSummary:
    domains = ports.hypervisor.domains()
    found = _find(text, domains, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is not None:
        return found
    record = _find_record(text, ports.catalog.records(ports.hypervisor.host_id()))
    names = {domain.id: domain.name for domain in domains}
    message, hint = f"no domain '{text}' on this host", "vmsnap vm list"
    if record is not None and record.id in names:
        message += f"; it is called '{names[record.id]}' now"
    elif record is not None:
        message += " any more; groups or backups of it may be left"
        hint = f"vmsnap purge {operands(text)}"
    else:
        message += _nearest(text, list(names.values()))
    raise DomainNotFoundError(message, hint=hint)


def _nearest(text: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    # What is longer is no mistyped name, and comparing takes time that grows with its square.
    found = get_close_matches(text, names, n=1) if len(text) <= _MISTYPED else []
    return f"; perhaps '{found[0]}' is meant" if found else ""


def find_domain(ports: Ports, text: str) -> Domain:
    """Find a defined domain and look at it."""
    return ports.hypervisor.domain(find_domain_id(ports, text))


def find_known_domain(ports: Ports, text: str, host_id: HostId | None) -> tuple[DomainId, str]:
    """Find a domain that is defined, or that the catalog remembers; return its UUID and name.

    The name is today's, wherever one of before was typed.
    """
    domains = ports.hypervisor.domains()
    found = _find(text, domains, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is not None:
        return found.id, found.name
    record = _find_record(text, ports.catalog.records(host_id))
    if record is None:
        message = f"no domain '{text}' on this host, and no groups or backups of one"
        hint = "vmsnap vm list"
        if host_id is not None and _records_elsewhere(ports, text):
            message += "; another host has some"
            hint = f"vmsnap group list --all-hosts {operands(text)}"
        raise DomainNotFoundError(message, hint=hint)
    names = {domain.id: domain.name for domain in domains}
    return record.id, names.get(record.id, record.name)


def find_domains_of_all_hosts(ports: Ports, text: str) -> tuple[DomainId, ...]:
    """Find the domains of all hosts that are called so: each host may have one of its own.

    Raises DomainNotFoundError, or AmbiguousIdError where one host alone has several.
    """
    elsewhere = {record.id: record for record in _records_elsewhere(ports, text)}
    try:
        here = find_known_domain(ports, text, ports.hypervisor.host_id())[0]
    except DomainNotFoundError:
        if not elsewhere:
            raise
        return tuple(elsewhere)
    return tuple(dict.fromkeys((here, *elsewhere)))


def find_left_domain(ports: Ports, text: str) -> DomainRecord:
    """Find a domain that the catalog remembers and that is not defined on this host any more.

    Raises StateError if it is defined, DomainNotFoundError or AmbiguousIdError.
    """
    domains = ports.hypervisor.domains()
    records = ports.catalog.records(ports.hypervisor.host_id())
    names = {domain.id: domain.name for domain in domains}
    gone = [record for record in records if record.id not in names]
    left = _find_record(text, gone)
    defined = _find(text, domains, name=lambda item: item.name, uuid=lambda item: item.id)
    if defined is not None:
        message = f"domain '{defined.name}' is defined on this host"
        if left is not None:
            message += f"; the one before it was '{left.id}'"
            raise StateError(message, hint=f"vmsnap purge {left.id}")
        raise StateError(message, hint=f"vmsnap group list {operands(defined.name)}")
    if left is not None:
        return left
    record = _find_record(text, records)
    if record is not None:
        message = f"domain '{text}' is defined on this host, as '{names[record.id]}'"
        raise StateError(message, hint=f"vmsnap group list {operands(names[record.id])}")
    message = f"no domain '{text}' on this host, and nothing is left of one"
    raise DomainNotFoundError(message, hint="vmsnap group list")


def find_group(ports: Ports, domain: Domain, text: str) -> Group:
    """Find a group of a domain on this host, in any state."""
    groups = ports.catalog.groups(ports.hypervisor.host_id(), domain.id)
    return pick_group(ports, groups, domain.name, text)


def pick_group(ports: Ports, groups: Sequence[Group], domain_name: str, text: str) -> Group:
    """Pick a group from those of a domain; raises GroupNotFoundError or AmbiguousIdError.

    A single snapshot, which is a row of the same kind, is none. Another host's is never picked,
    only pointed at.
    """
    whole = [group for group in groups if group.kind is not GroupKind.SINGLE]
    found = _find(text, whole, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is None:
        message = f"domain '{domain_name}' has no group '{text}'"
        verb = "snapshot" if is_snapshot_name(text) else "group"
        where, option = _elsewhere(ports, domain_name, text)
        hint = f"vmsnap {verb} list {option}{operands(domain_name)}"
        raise GroupNotFoundError(f"{message}{where}", hint=hint)
    return found


def pick_single(groups: Sequence[Group], domain_name: str, text: str) -> Group:
    """Pick the single snapshot of that name, or of that UUID as `snapshot list` shows it.

    Raises ResourceNotFoundError or AmbiguousIdError, and StateError for a group's member.
    """
    members = [(group, item) for group in groups for item in group.snapshots]
    found = _find(text, members, name=_member_name, uuid=lambda member: member[1].id)
    if found is None:
        message = f"domain '{domain_name}' has no snapshot '{text}'"
        hint = f"vmsnap snapshot list {operands(domain_name)}"
        raise ResourceNotFoundError(message, hint=hint)
    group = found[0]
    if group.kind is not GroupKind.SINGLE:
        message = (
            f"snapshot '{_member_name(found)}' belongs to group '{group.name}', which can only be"
            " deleted as a whole, or ungrouped first"
        )
        raise StateError(message, hint=f"vmsnap group ungroup {operands(domain_name, group.name)}")
    return group


def pick_resource(
    ports: Ports, resources: Sequence[Resource], domain_name: str, text: str
) -> Resource:
    """Pick what owns a backup; raises BackupNotFoundError or AmbiguousIdError.

    Another host's is never picked, only pointed at.
    """
    owners = [item for item in resources if not is_snapshot_name(item.name)]
    found = _find(text, owners, name=lambda item: item.name, uuid=lambda item: item.id)
    if found is None:
        message = f"domain '{domain_name}' has no backup '{text}'"
        where, option = _elsewhere(ports, domain_name, text)
        hint = f"vmsnap backup list {option}{operands(domain_name)}"
        raise BackupNotFoundError(f"{message}{where}", hint=hint)
    return found


def _member_name(member: tuple[Group, Snapshot]) -> str:
    group, item = member
    if group.kind is GroupKind.SINGLE:
        return group.name
    return snapshot_name(group.name, item.target)


def _elsewhere(ports: Ports, domain_name: str, text: str) -> tuple[str, str]:
    """Say which other host has what was not found here, and the option that lists it."""
    here = ports.hypervisor.host_id()
    for item in ports.catalog.resources():
        is_wanted = item.id == text or (item.domain_name, item.name) == (domain_name, text)
        if is_wanted and item.host_id != here:
            return f"; host '{item.host_id}' has one", "--all-hosts "
    return "", ""


def _records_elsewhere(ports: Ports, text: str) -> tuple[DomainRecord, ...]:
    """Return what is known of the domains of other hosts that have this name or UUID."""
    here = ports.hypervisor.host_id()
    others = [record for record in ports.catalog.records() if record.host_id != here]
    named = tuple(record for record in others if record.name == text)
    if named:
        return named
    found = _find_record(text, others)
    return () if found is None else (found,)


def _find_record(text: str, records: Sequence[DomainRecord]) -> DomainRecord | None:
    return _find(text, records, name=lambda item: item.name, uuid=lambda item: item.id)


def _find(
    text: str,
    items: Sequence[Item],
    *,
    name: Callable[[Item], str],
    uuid: Callable[[Item], str],
) -> Item | None:
    named = {uuid(item): item for item in items if name(item) == text}
    if len(named) > 1:
        message = f"several are called '{text}': {', '.join(sorted(named))}"
        raise AmbiguousIdError(message, hint="type the UUID, or the beginning of it")
    if named:
        return next(iter(named.values()))
    wanted = text.lower()
    if not _UUID_PREFIX.fullmatch(wanted):
        return None
    # The same domain may have been on several hosts.
    fitting = {uuid(item): item for item in items if uuid(item).startswith(wanted)}
    if len(fitting) > 1:
        names = ", ".join(f"'{name(item)}'" for item in fitting.values())
        message = f"'{text}' is the beginning of several UUIDs: {names}"
        raise AmbiguousIdError(message, hint="type more of the UUID, or the name")
    return next(iter(fitting.values()), None)
