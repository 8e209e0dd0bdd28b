"""What prune did, as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.documents.changes import merge
from vmsnap.cli.documents.values import texts
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.results import PruneResult
    from vmsnap.engine.retention import Verdict
    from vmsnap.model import JsonObject


def pruned(result: "PruneResult") -> "JsonObject":
    """Give each point of a domain with its verdict, and what became of those that go."""
    deletion = result.deletion
    return {
        "domain": result.domain_name,
        "points": [_point(result.domain_name, verdict) for verdict in result.verdicts],
        "is_ruled": result.is_ruled,
        "is_done": result.is_done,
        "is_complete": result.is_done and not result.unmerged,
        "merges": [merge(end) for end in deletion.results] if deletion else [],
        "changes": texts(deletion.changes if deletion else ()),
        "notes": texts(result.notes),
    }


def _point(domain_name: str, verdict: "Verdict") -> "JsonObject":
    point = verdict.point
    return {
        "domain": domain_name,
        "uuid": point.id,
        "name": point.name,
        "kind": "backup" if point.kind.is_backup else "group",
        "is_safety": point.kind.is_safety,
        "created_at": utc_time(point.created_at),
        "is_pinned": point.is_pinned,
        "damage": point.defect,
        "is_kept": verdict.is_kept,
        "reasons": texts(verdict.reasons),
    }
