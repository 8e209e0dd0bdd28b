"""The verb diff: what a revert to a group would change, told without changing anything."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmsnap.engine.assess import AssessedDisk, assess_disks
from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.check import check_group
from vmsnap.engine.find import find_domain, find_group
from vmsnap.engine.paths import is_same
from vmsnap.errors import ContentError, HostFileError
from vmsnap.model import Capture, Domain, Group, HostFileType, Layer, LayerId, local_time
from vmsnap.ports import Ports

HIDDEN_ONLY = "differs only in what is not shown: passwords, or the order of its parts"
_SIZE_UNIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DiskDifference:
    """How a disk differs from a group.

    `state` is written (it stands on the group's layer), on_branch (on another branch of its tree),
    replaced, detached, or added (no part of the group). `lost_bytes` is what its layers above the
    last one that both have in common take on disk; None where there is none in common.
    """

    target: str
    state: str
    path: Path | None
    frozen_path: Path | None
    lost_bytes: int | None


@dataclass(frozen=True, slots=True)
class HostFileDifference:
    """How a host file differs from what a group keeps.

    `state` is same, differs, gone (a revert makes it again), added (the group has none), not_kept
    (left out of the group), lost (with its database), or unknown; `remark` says more.
    """

    type: HostFileType
    state: str
    path: Path | None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class GroupDiff:
    """What a revert to a group would change.

    `definition` are the lines of a unified diff from now to the group: none if they are equal, None
    if the group's definition is damaged. `reasons` say what stands against a revert now.
    """

    domain_name: str
    group: Group
    age_seconds: float
    disks: tuple[DiskDifference, ...]
    host_files: tuple[HostFileDifference, ...]
    definition: tuple[str, ...] | None
    reasons: tuple[str, ...]


def diff_group(ports: Ports, domain: str, group: str) -> GroupDiff:
    """Tell how a domain differs now from one of its groups.

    The domain may run; its host files are then as they are at this moment.
    """
    found = find_domain(ports, domain)
    return compare(ports, found, find_group(ports, found, group))


def compare(ports: Ports, domain: Domain, group: Group) -> GroupDiff:
    """Tell how a domain, as it was looked at, differs from a group."""
    created_at = group.resource.created_at
    reasons = tuple(reason.message for reason in check_group(ports, domain, group).reasons)
    return GroupDiff(
        domain_name=domain.name,
        group=group,
        age_seconds=(ports.clock.now() - created_at).total_seconds(),
        disks=(*_disks(ports, domain, group), *_added(ports, domain, group)),
        host_files=tuple(_host_file(ports, domain, group, type_) for type_ in HostFileType),
        definition=_definition(ports, domain, group),
        reasons=reasons,
    )


def change_lines(
    diff: GroupDiff, *, leave: frozenset[HostFileType], keep_definition: bool
) -> tuple[str, ...]:
    """Tell a difference in lines, for a dry run of a revert."""
    lines = [f"the group is of {local_time(diff.group.resource.created_at)}"]
    lines += [
        f"disk {disk.target}: {_megabytes(disk.lost_bytes)} written since are left behind"
        for disk in diff.disks
        if disk.lost_bytes
    ]
    lines += [
        f"{file.type.value}: {file.state.replace('_', ' ')}"
        for file in diff.host_files
        if file.type not in leave and file.state != "same"
    ]
    if not keep_definition:
        lines += [f"  {line}" for line in diff.definition or ()]
    return tuple(lines)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / _SIZE_UNIT:.1f} MiB"


# --- disks ---------------------------------------------------------------------------------------


def _disks(ports: Ports, domain: Domain, group: Group) -> Iterator[DiskDifference]:
    layers = {layer.id: layer for layer in ports.catalog.layers(group.resource.host_id, domain.id)}
    today = {disk.disk.target: disk for disk in assess_disks(ports.images, domain.current)}
    for snapshot in group.snapshots:
        frozen = layers.get(snapshot.layer_id)
        disk = today.get(snapshot.target)
        path = disk.disk.path if disk is not None else None
        state, lost = ("detached", None) if disk is None else _loss(disk, frozen, layers)
        yield DiskDifference(snapshot.target, state, path, frozen.path if frozen else None, lost)


def _loss(
    disk: AssessedDisk, frozen: Layer | None, layers: Mapping[LayerId, Layer]
) -> tuple[str, int | None]:
    """Add up what lies above the group's layer, or above the last layer that both stand on."""
    lost = 0
    for image in disk.chain:
        shared: Layer | None = frozen
        while shared is not None:
            if is_same(image.path, shared.path):
                return ("written" if shared is frozen else "on_branch"), lost
            shared = layers.get(shared.parent_id) if shared.parent_id else None
        lost += image.allocated_bytes
    return "replaced", None


def _added(ports: Ports, domain: Domain, group: Group) -> Iterator[DiskDifference]:
    known = {item.target for item in group.snapshots}
    known |= {item.target for item in group.left_out}
    for disk in assess_disks(ports.images, domain.definition):
        is_part = disk.verdict.is_taken or disk.verdict.must_be_excluded
        if is_part and disk.disk.target not in known:
            yield DiskDifference(disk.disk.target, "added", disk.disk.path, None, None)


# --- host files ----------------------------------------------------------------------------------


def _host_file(
    ports: Ports, domain: Domain, group: Group, type_: HostFileType
) -> HostFileDifference:
    spec = host_file_spec(domain.definition, type_)
    path = spec.path if spec is not None else None
    backup = group.resource.backup(type_)
    if backup is None or backup.capture is Capture.SKIPPED:
        return HostFileDifference(type_, "not_kept", path)
    if backup.capture is Capture.LOST:
        return HostFileDifference(type_, "lost", path or backup.path)
    try:
        live = ports.host_files.read(spec) if spec is not None else None
    except HostFileError as error:
        return HostFileDifference(type_, "unknown", path, error.message)
    if backup.capture is not Capture.CAPTURED:
        return HostFileDifference(type_, "same" if live is None else "added", path)
    if live is None:
        return HostFileDifference(type_, "gone", path or backup.path)
    if live.digest != backup.digest:
        return HostFileDifference(type_, "differs", path)
    if live.meta != backup.meta:
        return HostFileDifference(type_, "differs", path, "only its owner, mode or attributes")
    return HostFileDifference(type_, "same", path)


# --- the definition ------------------------------------------------------------------------------


def _definition(ports: Ports, domain: Domain, group: Group) -> tuple[str, ...] | None:
    """Compare as a unified diff, apart from the files of disks and the name; () if they are equal.

    None if the group's definition is damaged.
    """
    try:
        xml = ports.catalog.content(group.definition_digest).decode()
    except ContentError:
        return None
    definitions = ports.definitions
    present = [item.target for item in group.left_out]
    xml = definitions.with_disks_of(definitions.with_name(xml, domain.name), domain.xml, present)
    targets = {disk.target for disk in definitions.parse(xml).disks}
    sources = {
        disk.target: (disk.path, disk.format or "raw")
        for disk in domain.definition.disks
        if disk.path is not None and disk.target in targets
    }
    xml = definitions.with_sources(xml, sources)
    if definitions.same(xml, domain.xml):
        return ()
    lines = difflib.unified_diff(
        definitions.shown_lines(domain.xml),
        definitions.shown_lines(xml),
        "now",
        f"group '{group.name}'",
        lineterm="",
    )
    return tuple(lines) or (HIDDEN_ONLY,)
