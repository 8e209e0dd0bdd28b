"""What is told to Prometheus: of each domain how it stands, of each verb how it ended last."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from vmsnap.cli.monitoring.exposition import Family

if TYPE_CHECKING:
    from vmsnap.engine.status import DomainStatus
    from vmsnap.engine.troubles import Kept
    from vmsnap.model import GroupState, HistoryEntry, ResourceKind

BUILD = Family("vmsnap_build_info", "Version of vmsnap that wrote this")
COLLECTION = Family(
    "vmsnap_collection_success", "Whether the figures of domains could be collected"
)
_COLLECTED = Family("vmsnap_collected_timestamp_seconds", "When they were collected")
_MAX_AGE = Family("vmsnap_domain_max_age_seconds", "How old the newest complete group may be")
_INTERRUPTED = Family("vmsnap_interrupted", "Whether an operation on it waits for vmsnap recover")
_NEWEST = Family("vmsnap_newest_group_timestamp_seconds", "When the newest group was made")
_IS_COMPLETE = Family("vmsnap_newest_group_complete", "Whether the newest group is complete")
_COMPLETE = Family(
    "vmsnap_newest_complete_group_timestamp_seconds", "When the newest complete group was made"
)
_SIZE = Family("vmsnap_newest_complete_group_size_bytes", "Space that this group takes")
_GROUPS = Family("vmsnap_groups", "Groups by state, safety groups included")
_BACKUPS = Family("vmsnap_backups", "Backups without a group, by kind")
_LAST = Family("vmsnap_last_operation_timestamp_seconds", "When the last one of this kind ended")
_TOOK = Family("vmsnap_last_operation_duration_seconds", "How long it took")
_SUCCEEDED = Family("vmsnap_last_operation_success", "Whether it was done, and nothing is left")
LAST_RUN = Family("vmsnap_last_run_timestamp_seconds", "When a run of the verb ended last")
LAST_STATUS = Family("vmsnap_last_run_exit_status", "Its exit status, of a refused one too")
RUNS = Family("vmsnap_runs_total", "Runs of the verb by exit status", "counter")

OF_DOMAINS = (
    *(_COLLECTED, _MAX_AGE, _INTERRUPTED, _NEWEST, _IS_COMPLETE, _COMPLETE, _SIZE),
    *(_GROUPS, _BACKUPS, _LAST, _TOOK, _SUCCEEDED),
)
"""The families that are written anew as a whole when domains are looked at."""

_WAITING = frozenset({"interrupted", "fenced"})


@dataclass(frozen=True, slots=True)
class Collected:
    """What the figures of domains are made of; the history is oldest first."""

    statuses: "Sequence[DomainStatus]"
    history: "Sequence[HistoryEntry]"
    at: datetime


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run of a changing verb ended."""

    verb: str
    exit_code: int
    at: datetime


def families_of(collected: Collected) -> Iterator[Family]:
    """Make all families of domains."""
    statuses = collected.statuses
    yield _COLLECTED.with_samples([({}, collected.at.timestamp())])
    yield _of_each(_MAX_AGE, statuses, _max_age)
    yield _of_each(_INTERRUPTED, statuses, _is_waiting)
    yield _of_each(_NEWEST, statuses, lambda item: _made_at(item.newest))
    yield _of_each(_IS_COMPLETE, statuses, _is_complete)
    yield _of_each(_COMPLETE, statuses, lambda item: _made_at(item.complete))
    yield _of_each(_SIZE, statuses, _size)
    yield _counts(_GROUPS, "state", [(item.domain_name, item.groups) for item in statuses])
    yield _counts(_BACKUPS, "kind", [(item.domain_name, item.backups) for item in statuses])
    yield from _operations(collected.history)


def _of_each(
    family: Family,
    statuses: "Sequence[DomainStatus]",
    value: "Callable[[DomainStatus], float | None]",
) -> Family:
    found = ((item.domain_name, value(item)) for item in statuses)
    return family.with_samples(
        ({"domain": name}, number) for name, number in found if number is not None
    )


def _max_age(item: "DomainStatus") -> float | None:
    limit = item.expectation.max_age
    return None if limit is None else limit.total_seconds()


def _is_waiting(item: "DomainStatus") -> float:
    return float(any(trouble.code in _WAITING for trouble in item.troubles))


def _is_complete(item: "DomainStatus") -> float | None:
    return None if item.newest is None else float(not item.newest.lacks)


def _made_at(kept: "Kept | None") -> float | None:
    return None if kept is None else kept.group.resource.created_at.timestamp()


def _size(item: "DomainStatus") -> float | None:
    return None if item.complete is None else float(item.complete.size_bytes)


def _counts(
    family: Family,
    label: str,
    counted: "Sequence[tuple[str, Mapping[GroupState, int] | Mapping[ResourceKind, int]]]",
) -> Family:
    return family.with_samples(
        ({"domain": name, label: key.value}, float(count))
        for name, counts in counted
        for key, count in counts.items()
    )


def _operations(history: "Sequence[HistoryEntry]") -> Iterator[Family]:
    # The newest of each comes last.
    last = {(entry.operation.domain_name, entry.operation.verb): entry for entry in history}
    found = [({"domain": name, "operation": verb}, entry) for (name, verb), entry in last.items()]
    yield _LAST.with_samples((labels, entry.ended_at.timestamp()) for labels, entry in found)
    yield _TOOK.with_samples((labels, _seconds(entry)) for labels, entry in found)
    yield _SUCCEEDED.with_samples(
        (labels, float(entry.outcome.value == "done")) for labels, entry in found
    )


def _seconds(entry: "HistoryEntry") -> float:
    return (entry.ended_at - entry.operation.started_at).total_seconds()
