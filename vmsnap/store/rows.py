"""Rows to model values and back: the only place that knows both."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from sqlalchemy import RowMapping

from vmsnap.model import (
    Backup,
    BackupId,
    Capture,
    Digest,
    DomainId,
    DomainRecord,
    DomainState,
    FileMeta,
    FrozenFacts,
    Group,
    GroupKind,
    GroupState,
    HistoryEntry,
    HostFileType,
    HostId,
    Instant,
    Layer,
    LayerId,
    LeftOutDisk,
    Operation,
    OperationId,
    Outcome,
    Proof,
    Resource,
    ResourceId,
    ResourceKind,
    Snapshot,
    SnapshotId,
)

Row = dict[str, object]


def name_key(name: str) -> Digest:
    """Return what makes a name unique: equal exactly where the names are equal."""
    return Digest(hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest())


# --- to rows -----------------------------------------------------------------------------------


def resource_row(resource: Resource, operation_id: OperationId, key: Digest | None) -> Row:
    """Return the row of a draft, which is not ready; `key` None keeps its name for later."""
    return {
        "uuid": resource.id,
        "kind": resource.kind.value,
        "host_uuid": resource.host_id,
        "domain_uuid": resource.domain_id,
        "domain_name": resource.domain_name,
        "name": resource.name,
        "name_key": key,
        "created_at": resource.created_at,
        "description": resource.description,
        "operation_uuid": operation_id,
        "is_ready": False,
    }


def group_row(group: Group) -> Row:
    """Return the row of a group that is being created."""
    left_out = [[disk.target, disk.reason] for disk in group.left_out]
    return {
        "resource_uuid": group.id,
        "kind": group.kind.value,
        "state": GroupState.CREATING.value,
        "parent_uuid": group.parent_id,
        "definition_sha256": group.definition_digest,
        "left_out": json.dumps(left_out, ensure_ascii=False),
        "is_pinned": group.is_pinned,
        **instant_row(group.instant),
    }


def instant_row(instant: Instant | None) -> Row:
    """Return the columns of a group that hold its instant: all NULL where it is not known."""
    return {
        "proof": None if instant is None else instant.proof.value,
        "domain_state": None if instant is None else instant.domain_state.value,
        "stood_still_ms": None if instant is None else instant.stood_still_ms,
        "is_quiesced": None if instant is None else instant.is_quiesced,
        "frozen_ms": None if instant is None else instant.frozen_ms,
    }


def snapshot_row(snapshot: Snapshot) -> Row:
    """Return the row of a snapshot."""
    return {
        "uuid": snapshot.id,
        "group_uuid": snapshot.group_id,
        "target": snapshot.target,
        "layer_uuid": snapshot.layer_id,
        "active_path": str(snapshot.active_path),
    }


def backup_row(backup: Backup) -> Row:
    """Return the row of a backup."""
    meta = backup.meta
    return {
        "uuid": backup.id,
        "resource_uuid": backup.resource_id,
        "type": backup.type.value,
        "capture": backup.capture.value,
        "captured_at": backup.captured_at,
        "sha256": backup.digest,
        "size_bytes": backup.size_bytes,
        "path": None if backup.path is None else str(backup.path),
        "uid": None if meta is None else meta.uid,
        "gid": None if meta is None else meta.gid,
        "mode": None if meta is None else meta.mode,
        "xattrs": None if meta is None else json.dumps(meta.xattrs, ensure_ascii=False),
        "secret_uuid": backup.secret_id,
    }


def layer_row(layer: Layer) -> Row:
    """Return the row of a layer."""
    facts = layer.facts
    return {
        "uuid": layer.id,
        "host_uuid": layer.host_id,
        "domain_uuid": layer.domain_id,
        "target": layer.target,
        "path": str(layer.path),
        "format": layer.format,
        "parent_uuid": layer.parent_id,
        "is_made_by_vmsnap": layer.is_made_by_vmsnap,
        "is_active": layer.is_active,
        "size_bytes": None if facts is None else facts.size_bytes,
        "mtime_ns": None if facts is None else facts.mtime_ns,
        "header_sha256": None if facts is None else facts.header_digest,
    }


def domain_row(record: DomainRecord) -> Row:
    """Return the row of a domain."""
    return {
        "host_uuid": record.host_id,
        "uuid": record.id,
        "name": record.name,
        "current_uuid": record.current_id,
        "safety_uuid": record.safety_id,
        "safety_base_uuid": record.safety_base_id,
    }


def pending_row(operation: Operation) -> Row:
    """Return the row of an operation that is under way."""
    return {
        "uuid": operation.id,
        "host_uuid": operation.host_id,
        "domain_uuid": operation.domain_id,
        "domain_name": operation.domain_name,
        "verb": operation.verb,
        "started_at": operation.started_at,
    }


def history_row(entry: HistoryEntry) -> Row:
    """Return the row of an operation that ended."""
    return {
        **pending_row(entry.operation),
        "subject": entry.operation.subject,
        "user_name": entry.operation.user,
        "ended_at": entry.ended_at,
        "outcome": entry.outcome.value,
        "code": entry.code,
        "is_recovered": entry.is_recovered,
    }


# --- from rows ---------------------------------------------------------------------------------


def read_backup(row: RowMapping) -> Backup:
    """Read a backup."""
    meta = None
    if row["uid"] is not None:
        xattrs = tuple((str(name), str(value)) for name, value in json.loads(row["xattrs"]))
        meta = FileMeta(row["uid"], row["gid"], row["mode"], xattrs)
    return Backup(
        id=BackupId(row["uuid"]),
        resource_id=ResourceId(row["resource_uuid"]),
        type=HostFileType(row["type"]),
        capture=Capture(row["capture"]),
        captured_at=row["captured_at"],
        digest=row["sha256"],
        size_bytes=row["size_bytes"],
        meta=meta,
        path=None if row["path"] is None else Path(row["path"]),
        secret_id=row["secret_uuid"],
    )


def read_resource(row: RowMapping, backups: Iterable[Backup]) -> Resource:
    """Read a resource with its backups."""
    return Resource(
        id=ResourceId(row["uuid"]),
        kind=ResourceKind(row["kind"]),
        host_id=HostId(row["host_uuid"]),
        domain_id=DomainId(row["domain_uuid"]),
        domain_name=row["domain_name"],
        name=row["name"],
        created_at=row["created_at"],
        description=row["description"],
        backups=tuple(backups),
    )


def read_snapshot(row: RowMapping) -> Snapshot:
    """Read a snapshot."""
    return Snapshot(
        id=SnapshotId(row["uuid"]),
        group_id=ResourceId(row["group_uuid"]),
        target=row["target"],
        layer_id=LayerId(row["layer_uuid"]),
        active_path=Path(row["active_path"]),
    )


def read_group(
    row: RowMapping,
    backups: Mapping[str, list[Backup]],
    snapshots: Mapping[str, list[Snapshot]],
) -> Group:
    """Read a group from a row of `resource` joined with `snapshot_group`.

    `group_kind` is the column `kind` of the group, for the resource has one too.
    """
    left_out = json.loads(row["left_out"])
    return Group(
        resource=read_resource(row, backups.get(row["uuid"], ())),
        kind=GroupKind(row["group_kind"]),
        state=GroupState(row["state"]),
        parent_id=row["parent_uuid"],
        definition_digest=Digest(row["definition_sha256"]),
        snapshots=tuple(snapshots.get(row["uuid"], ())),
        left_out=tuple(LeftOutDisk(target, reason) for target, reason in left_out),
        instant=_read_instant(row),
        is_pinned=row["is_pinned"],
    )


def _read_instant(row: RowMapping) -> Instant | None:
    if row["proof"] is None:
        return None
    return Instant(
        proof=Proof(row["proof"]),
        domain_state=DomainState(row["domain_state"]),
        stood_still_ms=row["stood_still_ms"],
        is_quiesced=row["is_quiesced"],
        frozen_ms=row["frozen_ms"],
    )


def read_layer(row: RowMapping) -> Layer:
    """Read a layer."""
    facts = None
    if row["header_sha256"] is not None:
        facts = FrozenFacts(row["size_bytes"], row["mtime_ns"], Digest(row["header_sha256"]))
    return Layer(
        id=LayerId(row["uuid"]),
        host_id=HostId(row["host_uuid"]),
        domain_id=DomainId(row["domain_uuid"]),
        target=row["target"],
        path=Path(row["path"]),
        format=row["format"],
        parent_id=row["parent_uuid"],
        is_made_by_vmsnap=row["is_made_by_vmsnap"],
        is_active=row["is_active"],
        facts=facts,
    )


def read_domain(row: RowMapping) -> DomainRecord:
    """Read the record of a domain."""
    return DomainRecord(
        host_id=HostId(row["host_uuid"]),
        id=DomainId(row["uuid"]),
        name=row["name"],
        current_id=row["current_uuid"],
        safety_id=row["safety_uuid"],
        safety_base_id=row["safety_base_uuid"],
    )


def read_operation(row: RowMapping) -> Operation:
    """Read an operation that is under way."""
    return Operation(
        id=OperationId(row["uuid"]),
        verb=row["verb"],
        host_id=HostId(row["host_uuid"]),
        domain_id=DomainId(row["domain_uuid"]),
        domain_name=row["domain_name"],
        started_at=row["started_at"],
    )


def read_history(row: RowMapping) -> HistoryEntry:
    """Read how an operation ended."""
    return HistoryEntry(
        operation=replace(read_operation(row), subject=row["subject"], user=row["user_name"]),
        ended_at=row["ended_at"],
        outcome=Outcome(row["outcome"]),
        code=row["code"],
        is_recovered=row["is_recovered"],
    )


def parents_first(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Sort layers by disk, and within a disk so that parents come before their children."""
    by_id = {layer.id: layer for layer in layers}

    def depth(layer: Layer) -> int:
        steps = 0
        parent = layer.parent_id
        # The bound ends the walk even if damage made a circle.
        while parent is not None and parent in by_id and steps < len(by_id):
            steps += 1
            parent = by_id[parent].parent_id
        return steps

    return tuple(sorted(by_id.values(), key=lambda item: (item.target, depth(item), item.id)))
