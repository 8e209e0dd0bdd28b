"""Backups as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.documents.values import path_text
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.results import BackupView, VerifyResult
    from vmsnap.model import JsonObject


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
        "path": path_text(row.path),
    }


def verified(result: "VerifyResult") -> "JsonObject":
    """Describe a verified row: whole, or what is wrong with it."""
    return {
        **backup(result.view),
        "is_whole": result.problem is None,
        "problem": result.problem,
    }
