"""The verb check: can a group be reverted, and if not, every reason why."""

import time
from collections.abc import Iterator, Mapping

from vmsnap.engine.assess import assess_disks
from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.find import find_domain_id, pick_group
from vmsnap.engine.hints import operands
from vmsnap.engine.paths import is_same, real
from vmsnap.engine.results import GroupCheck, Reason
from vmsnap.errors import BusyError, ContentError, HostFileError, ImageError
from vmsnap.model import (
    Backup,
    Capture,
    Domain,
    DomainId,
    DomainState,
    Group,
    GroupKind,
    GroupState,
    HostFileType,
    Layer,
    LayerId,
)
from vmsnap.ports import Images, Ports

DAMAGE = "damage"
STATE = "state"
DISK_CHANGES = ("disk_detached", "disk_replaced", "disk_added", "disk_on_frozen_layer")
INTERRUPTED = "interrupted"
DOMAIN_STATES = ("domain_running", "managed_save", INTERRUPTED)

LOOKS = 4
PAUSE_SECONDS = 0.2
"""How often, and how far apart, a group is looked at on whose domain an operation is at work."""


def check_groups(
    ports: Ports, domain: str, group: str | None, *, only_damage: bool = False
) -> tuple[GroupCheck, ...]:
    """Check one group of a domain, or all of them; nothing is changed, and no lock is taken.

    What seems to be amiss while an operation is at work on the domain may be its doing, so it is
    looked at again, for less than a second. `only_damage` says that nothing but damage matters.

    Raises BusyError if an operation is still at work then. A group that is whole is said to be so
    at once.
    """
    domain_id = find_domain_id(ports, domain)
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        before = traces(ports, domain_id)
        checks = _check_all(ports, ports.hypervisor.domain(domain_id), group)
        reasons = (reason for check in checks for reason in check.reasons)
        if not any(_may_pass(reason, only_damage=only_damage) for reason in reasons):
            return checks
        # The lock first: an operation that ends behind this look has left other traces.
        if ports.locks.holder(domain_id) is None and traces(ports, domain_id) == before:
            return checks
    raise _busy(ports, ports.hypervisor.domain(domain_id), group)


def _check_all(ports: Ports, found: Domain, group: str | None) -> tuple[GroupCheck, ...]:
    groups = ports.catalog.groups(ports.hypervisor.host_id(), found.id)
    if group is not None:
        groups = (pick_group(ports, groups, found.name, group),)
    shown = (
        item
        for item in groups
        if item.state is not GroupState.CREATING and item.kind is not GroupKind.SINGLE
    )
    return tuple(check_group(ports, found, item) for item in shown)


def _may_pass(reason: Reason, *, only_damage: bool) -> bool:
    """Tell whether an operation that is at work may be all that is behind a reason."""
    return reason.kind == DAMAGE or (reason.code == INTERRUPTED and not only_damage)


def traces(ports: Ports, domain_id: DomainId) -> tuple[object, ...]:
    """Read what no operation on a domain leaves as it was: one that failed is in the history."""
    host_id = ports.hypervisor.host_id()
    try:
        journal = ports.journals.load(domain_id)
    except HostFileError:
        journal = ()
    return (
        journal,
        ports.catalog.groups(host_id, domain_id),
        ports.catalog.layers(host_id, domain_id),
        ports.catalog.history(host_id, domain_id, limit=1),
    )


def _busy(ports: Ports, domain: Domain, group: str | None) -> BusyError:
    holder = ports.locks.holder(domain.id)
    words = str(holder) if holder is not None else "operations come and go on it"
    names = (domain.name,) if group is None else (domain.name, group)
    message = f"domain '{domain.name}' is busy: {words}"
    return BusyError(message, hint=f"vmsnap group check {operands(*names)}")


def check_group(ports: Ports, domain: Domain, group: Group) -> GroupCheck:
    """Collect all that stands against reverting a domain to a group, as it is now."""
    layers = {layer.id: layer for layer in ports.catalog.layers(group.resource.host_id, domain.id)}
    reasons = (
        *_state_of_group(group),
        *_layers(ports.images, group, layers),
        *_disk_changes(ports.images, domain, group, layers),
        *_definition(ports, group),
        *(reason for type_ in HostFileType for reason in _host_file(ports, domain, group, type_)),
        *_state_of_domain(domain),
    )
    return GroupCheck(group, reasons)


def _state_of_group(group: Group) -> Iterator[Reason]:
    if group.state is not GroupState.READY:
        yield Reason("group_not_ready", DAMAGE, f"the group's state is '{group.state.value}'")


def _layers(images: Images, group: Group, layers: Mapping[LayerId, Layer]) -> Iterator[Reason]:
    for snapshot in group.snapshots:
        layer = layers.get(snapshot.layer_id)
        if layer is None:
            yield Reason("layer_missing", DAMAGE, f"disk {snapshot.target}: its layer has no row")
            continue
        problems = list(chain_problems(images, layer, layers))
        yield from problems
        if not problems:
            try:
                images.chain(layer.path, layer.format)
            except ImageError as error:
                message = f"disk {snapshot.target}: {error.message}"
                yield Reason("layer_missing", DAMAGE, message)


def chain_problems(
    images: Images, layer: Layer, layers: Mapping[LayerId, Layer]
) -> Iterator[Reason]:
    """Compare the files of a layer, and of all that it stands on, with what is known of them."""
    found: Layer | None = layer
    while found is not None:
        facts = images.facts(found.path)
        if facts is None:
            message = f"disk {found.target}: layer '{found.path}' is missing"
            yield Reason("layer_missing", DAMAGE, message)
        elif found.facts is not None and facts != found.facts:
            yield Reason("layer_changed", DAMAGE, changed_words(found))
        found = layers.get(found.parent_id) if found.parent_id else None


def changed_words(layer: Layer) -> str:
    """Say that the file of a frozen layer is not what was frozen."""
    what = "was changed after it was frozen"
    if layer.facts is not None and layer.facts.is_damaged:
        what = "holds what was written to a layer after it was frozen"
    return f"disk {layer.target}: layer '{layer.path}' {what}"


def _disk_changes(
    images: Images, domain: Domain, group: Group, layers: Mapping[LayerId, Layer]
) -> Iterator[Reason]:
    assessed = {disk.disk.target: disk for disk in assess_disks(images, domain.definition)}
    for snapshot in group.snapshots:
        target = snapshot.target
        disk = assessed.get(target)
        if disk is None:
            yield Reason("disk_detached", DAMAGE, f"disk {target} was detached since")
            continue
        ours = {real(layer.path) for layer in layers.values() if layer.target == target}
        used = {real(image.path) for image in disk.chain}
        if disk.disk.path is not None:
            used.add(real(disk.disk.path))
        if not ours & used:
            message = f"disk {target} was replaced since, by '{disk.disk.path}'"
            yield Reason("disk_replaced", DAMAGE, message)
        elif any(is_same(disk.disk.path, layer.path) for layer in layers.values() if layer.facts):
            message = f"disk {target} was given '{disk.disk.path}', a frozen layer, by somebody"
            yield Reason("disk_on_frozen_layer", DAMAGE, message)
    known = {item.target for item in group.snapshots}
    known |= {item.target for item in group.left_out}
    for target, disk in assessed.items():
        if target not in known and (disk.verdict.is_taken or disk.verdict.must_be_excluded):
            yield Reason("disk_added", DAMAGE, f"disk {target} was added since")


def _definition(ports: Ports, group: Group) -> Iterator[Reason]:
    try:
        ports.catalog.content(group.definition_digest)
    except ContentError as error:
        yield Reason("definition_damaged", DAMAGE, error.message)


def _host_file(ports: Ports, domain: Domain, group: Group, type_: HostFileType) -> Iterator[Reason]:
    backup = group.resource.backup(type_)
    name = type_.value
    if backup is None:
        yield Reason(f"{name}_missing", DAMAGE, f"the group has no {name} backup")
    elif backup.capture is Capture.SKIPPED:
        message = f"the group was made without {name}; --leave {name} keeps the live one"
        yield Reason(f"{name}_skipped", STATE, message)
    elif backup.capture is Capture.LOST:
        message = (
            f"the group's {name} was lost with its database; --leave {name} keeps the live one"
        )
        yield Reason(f"{name}_lost", STATE, message)
    elif backup.capture is Capture.NOT_CREATED:
        spec = host_file_spec(domain.definition, type_)
        if spec is not None and ports.host_files.identity(spec.path) is not None:
            message = (
                f"the machine had no {name} file yet when the group was made;"
                f" --leave {name} keeps the live one"
            )
            yield Reason(f"{name}_not_created", STATE, message)
    elif backup.capture is Capture.CAPTURED:
        yield from _content(ports, backup)


def _content(ports: Ports, backup: Backup) -> Iterator[Reason]:
    name = backup.type.value
    try:
        if backup.digest is None:
            yield Reason(f"{name}_missing", DAMAGE, f"the {name} backup has no content")
            return
        ports.catalog.content(backup.digest)
    except ContentError as error:
        yield Reason(f"{name}_damaged", DAMAGE, error.message)
    if backup.secret_id is not None and not ports.hypervisor.has_secret(backup.secret_id):
        message = f"libvirt secret '{backup.secret_id}', which the TPM state needs, is not defined"
        yield Reason(f"{name}_secret_missing", DAMAGE, message)


def _state_of_domain(domain: Domain) -> Iterator[Reason]:
    if domain.state is not DomainState.SHUT_OFF:
        yield Reason("domain_running", STATE, f"the domain is {domain.state.value}")
    if domain.has_managed_save:
        message = "the domain has a managed-save image; --drop-managed-save drops it"
        yield Reason("managed_save", STATE, message)
    if domain.definition.is_fenced:
        message = "an interrupted operation waits for 'vmsnap recover'"
        yield Reason(INTERRUPTED, STATE, message)
