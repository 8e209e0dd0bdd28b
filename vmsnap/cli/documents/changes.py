"""What changing verbs did, as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.documents.values import time_text
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.results import MergeResult, RecoverResult
    from vmsnap.model import JsonObject, Resource


def merge(result: "MergeResult") -> "JsonObject":
    """Give the end of one disk of a deleted group."""
    return {
        "group": result.group,
        "target": result.target,
        "merged": result.merged,
        "code": result.code,
        "message": result.message,
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
        "started_at": time_text(result.started_at),
        "outcome": result.outcome,
        "message": result.message,
    }
