"""How domains stand as the JSON that scripts read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmsnap.cli.documents.domains import holder
from vmsnap.cli.documents.values import texts
from vmsnap.cli.terminal.text import utc_time

if TYPE_CHECKING:
    from datetime import timedelta

    from vmsnap.engine.status import DomainStatus
    from vmsnap.engine.troubles import Kept
    from vmsnap.model import GroupState, JsonObject, ResourceKind


def domain_status(found: "DomainStatus") -> "JsonObject":
    """Describe how a domain stands; its level is null if it was not judged and all else is fine."""
    expectation = found.expectation
    level = "fine" if expectation.is_judging else None
    return {
        "domain": found.domain_name,
        "domain_uuid": found.domain_id,
        "level": found.level.value if found.level is not None else level,
        "max_age_seconds": _seconds(expectation.max_age),
        "warn_age_seconds": _seconds(expectation.warn_age),
        "newest": _kept(found.newest),
        "newest_complete": _kept(found.complete),
        "troubles": [
            {
                "level": trouble.level.value,
                "code": trouble.code,
                "message": trouble.message,
                "command": trouble.command,
            }
            for trouble in found.troubles
        ],
        "groups": _counts(found.groups),
        "backups": _counts(found.backups),
        "busy": holder(found.holder),
    }


def _kept(kept: "Kept | None") -> "JsonObject | None":
    if kept is None:
        return None
    return {
        "uuid": kept.group.id,
        "name": kept.group.name,
        "created_at": utc_time(kept.group.resource.created_at),
        "age_seconds": kept.age.total_seconds(),
        "size_bytes": kept.size_bytes,
        "lacks": texts(kept.lacks),
    }


def _seconds(span: "timedelta | None") -> float | None:
    return None if span is None else span.total_seconds()


def _counts(counts: "Mapping[GroupState, int] | Mapping[ResourceKind, int]") -> "JsonObject":
    return {key.value: count for key, count in counts.items()}
