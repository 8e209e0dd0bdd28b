"""Groups, their snapshots and what was found of them, as the JSON that scripts read."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from vmsnap.cli.documents.domains import verdict
from vmsnap.cli.documents.values import texts
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.results import CreateResult, GroupCheck, GroupView, Reason, TreeNode
    from vmsnap.model import Capture, HostFileType, Instant, JsonObject, JsonValue, LeftOutDisk


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
