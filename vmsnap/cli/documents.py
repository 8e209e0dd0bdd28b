"""Results as the JSON that scripts read; keys are only ever added."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vmsnap.cli.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.results import (
        BackupView,
        CreateResult,
        DiskView,
        DomainView,
        GroupCheck,
        GroupView,
        HostFileView,
        MergeResult,
        PartVerdict,
        Reason,
        RecoverResult,
        TreeNode,
        VerifyResult,
    )
    from vmsnap.model import (
        Capture,
        DatabaseStatus,
        ForeignSnapshot,
        HostFileType,
        ImageInfo,
        Instant,
        JsonObject,
        JsonValue,
        LeftOutDisk,
        Resource,
    )
    from vmsnap.ports import Holder


def texts(items: Iterable[str]) -> "list[JsonValue]":
    """Turn texts into a JSON array."""
    return list(items)


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else utc_time(moment)


def verdict(part: "PartVerdict") -> "JsonObject":
    """Say whether a snapshot would take one part of a machine."""
    return {
        "name": part.name,
        "is_taken": part.is_taken,
        "reason": part.reason,
        "must_be_excluded": part.must_be_excluded,
    }


def image(info: "ImageInfo") -> "JsonObject":
    """Describe one image file of a chain."""
    return {
        "path": str(info.path),
        "format": info.format,
        "virtual_size_bytes": info.virtual_size_bytes,
        "allocated_bytes": info.allocated_bytes,
        "backing_path": _path(info.backing_path),
        "backing_format": info.backing_format,
    }


def disk(view: "DiskView", *, with_chain: bool) -> "JsonObject":
    """Describe a disk of a domain; its chain is null where it was not looked at."""
    chain: JsonValue = [image(info) for info in view.chain]
    return {
        "target": view.target,
        "device": view.device,
        "source_type": view.source_type,
        "path": _path(view.path),
        "format": view.format,
        "chain": chain if with_chain else None,
        "problem": view.problem,
        **_verdict_of(view.verdict),
    }


def _verdict_of(part: "PartVerdict") -> "JsonObject":
    return {key: value for key, value in verdict(part).items() if key != "name"}


def foreign_snapshot(snapshot: "ForeignSnapshot") -> "JsonObject":
    """Describe a snapshot that libvirt keeps itself."""
    return {
        "name": snapshot.name,
        "is_external": snapshot.is_external,
        "kept_paths": texts(map(str, snapshot.kept_paths)),
        "made_paths": texts(map(str, snapshot.made_paths)),
    }


def domain(view: "DomainView", *, is_whole: bool) -> "JsonObject":
    """Describe a domain: a line of `vm list`, or with `is_whole` all of `vm show`."""
    found = view.domain
    definition = found.definition
    files = {file.type.value: file for file in view.host_files}
    return {
        "name": found.name,
        "uuid": found.id,
        "state": found.state.value,
        "is_persistent": found.is_persistent,
        "firmware": definition.firmware,
        "secure_boot": definition.secure_boot,
        "nvram": _nvram(view, files.get("nvram")),
        "tpm": _tpm(view, files.get("tpm")),
        "disks": [disk(item, with_chain=is_whole) for item in view.disks],
        "has_managed_save": found.has_managed_save,
        "is_fenced": definition.is_fenced,
        "foreign_snapshots": [foreign_snapshot(item) for item in found.foreign_snapshots],
        "checkpoints": texts(found.checkpoints),
        "jobs": [{"kind": job.kind, "target": job.target} for job in found.block_jobs],
        "busy": holder(view.holder),
        "notes": texts(view.notes),
    }


def holder(found: "Holder | None") -> "JsonObject | None":
    """Say who is at work on a domain with vmsnap; null if nobody is."""
    if found is None:
        return None
    return {
        "verb": found.verb,
        "pid": found.pid,
        "since": _time(found.since),
        "has_ended": found.has_ended,
    }


def _nvram(view: "DomainView", file: "HostFileView | None") -> "JsonObject | None":
    nvram = view.domain.definition.nvram
    if nvram is None:
        return None
    return {
        "kind": nvram.kind,
        "path": _path(nvram.path),
        "format": nvram.format,
        "is_derived": nvram.is_derived,
        **_host_file(file),
    }


def _tpm(view: "DomainView", file: "HostFileView | None") -> "JsonObject | None":
    tpm = view.domain.definition.tpm
    if tpm is None:
        return None
    return {
        "backend": tpm.backend,
        "version": tpm.version,
        "path": _path(tpm.path),
        "is_encrypted": tpm.secret_id is not None,
        "secret_uuid": tpm.secret_id,
        **_host_file(file),
    }


def _host_file(file: "HostFileView | None") -> "JsonObject":
    if file is None:
        return {"size_bytes": None, "is_taken": None, "reason": None, "must_be_excluded": None}
    return {"size_bytes": file.size_bytes, **_verdict_of(file.verdict)}


def group(view: "GroupView") -> "JsonObject":
    """Describe a group with its disks and what its backup says of each type."""
    found = view.group
    resource = found.resource
    return {
        "uuid": found.id,
        "name": found.name,
        "kind": found.kind.value,
        "domain": resource.domain_name,
        "domain_uuid": resource.domain_id,
        "host_uuid": resource.host_id,
        "created_at": utc_time(resource.created_at),
        "state": found.state.value,
        "domain_state": view.domain_state,
        "parent_uuid": found.parent_id,
        "is_current": view.is_current,
        "is_pinned": found.is_pinned,
        "description": resource.description,
        "size_bytes": view.size_bytes,
        "disks": [
            {
                "target": item.target,
                "frozen_path": str(item.frozen_path),
                "active_path": str(item.active_path),
                "format": item.format,
                "size_bytes": item.size_bytes,
            }
            for item in view.disks
        ],
        "left_out": left_out(found.left_out),
        "backup": captures({row.type: row.capture for row in resource.backups}),
        "instant": instant(found.instant),
    }


def instant(found: "Instant | None") -> "JsonObject | None":
    """Describe the instant of a group; None for one that is older than its record."""
    if found is None:
        return None
    return {
        "proof": found.proof.value,
        "domain_state": found.domain_state.value,
        "stood_still_ms": round(found.stood_still_ms, 3),
        "is_quiesced": found.is_quiesced,
        "frozen_ms": None if found.frozen_ms is None else round(found.frozen_ms, 3),
    }


def captures(found: "Mapping[HostFileType, Capture]") -> "JsonObject":
    """Give the capture word of each type; null where there is no row."""
    words = {type_.value: capture.value for type_, capture in found.items()}
    return {"nvram": words.get("nvram"), "tpm": words.get("tpm")}


def left_out(disks: "Iterable[LeftOutDisk]") -> "list[JsonValue]":
    """List the disks that a group does not hold."""
    return [{"target": item.target, "reason": item.reason} for item in disks]


def snapshots(view: "GroupView") -> "list[JsonValue]":
    """List the snapshots of a group, one per disk, or a single one, which is of no group."""
    resource = view.group.resource
    is_single = view.group.kind.value == "single"
    rows: list[JsonValue] = []
    for item in view.disks:
        snapshot = view.group.snapshot(item.target)
        row: JsonObject = {
            "uuid": snapshot.id if snapshot else None,
            "name": view.snapshot_name(item.target),
            "is_single": is_single,
            "group": None if is_single else view.group.name,
            "group_uuid": None if is_single else view.group.id,
            "state": view.group.state.value,
            "domain": resource.domain_name,
            "domain_uuid": resource.domain_id,
            "domain_state": view.domain_state,
            "host_uuid": resource.host_id,
            "target": item.target,
            "created_at": utc_time(resource.created_at),
            "frozen_path": str(item.frozen_path),
            "active_path": str(item.active_path),
            "format": item.format,
            "size_bytes": item.size_bytes,
        }
        rows.append(row)
    return rows


def created(result: "CreateResult") -> "JsonObject":
    """Give all of `snapshot create`; `groups` is empty after a dry run."""
    return {
        "domain": result.domain_name,
        "name": result.name,
        "groups": [] if result.group is None else [group(result.group)],
        "parts": [verdict(part) for part in result.disks],
        "captures": captures(dict(result.captures)),
        "left_out": left_out(result.left_out),
        "notes": texts(result.notes),
    }


def branch(node: "TreeNode") -> "JsonObject":
    """Describe a group of the tree with those that stand on it."""
    return {**group(node.view), "children": [branch(child) for child in node.children]}


def check(verdict_: "GroupCheck", reasons: "Iterable[Reason]") -> "JsonObject":
    """Give the verdict on one group, with the reasons that count."""
    found: list[JsonValue] = [
        {"code": reason.code, "kind": reason.kind, "message": reason.message} for reason in reasons
    ]
    return {
        "uuid": verdict_.group.id,
        "name": verdict_.group.name,
        "available": not found,
        "reasons": found,
    }


def merge(result: "MergeResult") -> "JsonObject":
    """Give the end of one disk of a deleted group."""
    return {
        "group": result.group,
        "target": result.target,
        "merged": result.merged,
        "code": result.code,
        "message": result.message,
    }


def backup(view: "BackupView") -> "JsonObject":
    """Describe one row of `backup list`."""
    resource, row = view.resource, view.backup
    return {
        "uuid": row.id,
        "resource_uuid": row.resource_id,
        "resource_kind": resource.kind.value,
        "name": resource.name,
        "domain": resource.domain_name,
        "domain_uuid": resource.domain_id,
        "host_uuid": resource.host_id,
        "type": row.type.value,
        "capture": row.capture.value,
        "size_bytes": row.size_bytes,
        "sha256": row.digest,
        "captured_at": utc_time(row.captured_at),
        "description": resource.description,
        "path": _path(row.path),
    }


def verified(result: "VerifyResult") -> "JsonObject":
    """Describe a verified row: whole, or what is wrong with it."""
    return {
        **backup(result.view),
        "is_whole": result.problem is None,
        "problem": result.problem,
    }


def resource(found: "Resource | None") -> "JsonObject | None":
    """Name what was kept for an undo."""
    if found is None:
        return None
    return {
        "uuid": found.id,
        "kind": found.kind.value,
        "name": found.name,
        "created_at": utc_time(found.created_at),
    }


def recovered(result: "RecoverResult") -> "JsonObject":
    """Say what became of one interrupted operation."""
    return {
        "domain": result.domain_name,
        "domain_uuid": result.domain_id,
        "verb": result.verb,
        "started_at": _time(result.started_at),
        "outcome": result.outcome,
        "message": result.message,
    }


def database(status: "DatabaseStatus") -> "JsonObject":
    """Describe the database; its URL carries no password."""
    return {
        "url": status.url,
        "exists": status.exists,
        "revision": status.revision,
        "expected": status.expected,
        "is_current": status.is_current,
    }
