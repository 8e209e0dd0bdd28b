"""The history of operations as the JSON that scripts read."""

from typing import TYPE_CHECKING

from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from vmsnap.engine.history import HistoryLine
    from vmsnap.model import JsonObject


def history_line(line: "HistoryLine") -> "JsonObject":
    """Say who did what, when, with what result, and how it is taken back."""
    entry = line.entry
    operation = entry.operation
    return {
        "uuid": operation.id,
        "verb": operation.verb,
        "subject": operation.subject or None,
        "user": operation.user or None,
        "domain": operation.domain_name,
        "domain_uuid": operation.domain_id,
        "host_uuid": operation.host_id,
        "started_at": utc_time(operation.started_at),
        "ended_at": utc_time(entry.ended_at),
        "seconds": (entry.ended_at - operation.started_at).total_seconds(),
        "outcome": entry.outcome.value,
        "code": entry.code,
        "is_recovered": entry.is_recovered,
        "undo": line.undo,
    }
