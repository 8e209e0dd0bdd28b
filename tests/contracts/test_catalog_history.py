"""What the Catalog port promises of instants and of the history, on SQLite and MariaDB alike."""

import dataclasses

import pytest

from vmsnap.errors import DatabaseError
from vmsnap.model import (
    CatalogChange,
    DomainId,
    DomainRecord,
    DomainState,
    GroupKind,
    GroupState,
    HistoryEntry,
    HostId,
    Instant,
    Outcome,
    Proof,
    ResourceId,
)
from vmsnap.ports import Draft
from vmsnap.store import history

OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")
OTHER_DOMAIN = DomainId("88888888-0000-0000-0000-000000000000")
INSTANTS = (
    Instant(Proof.OFFLINE, DomainState.SHUT_OFF),
    Instant(Proof.UNCHANGED, DomainState.RUNNING, 41.123456789, is_quiesced=True, frozen_ms=0.25),
    Instant(Proof.SUSPENDED, DomainState.PAUSED, 1_234_567.875),
)


def reserved(catalog, samples, name="monday", **changed):
    """Reserve a group as a create does before its commit; return its operation and it."""
    group = dataclasses.replace(samples.group(name), **changed)
    operation = samples.operation()
    contents = {samples.digest(item): item for item in (b"nvram", b"<domain/>")}
    catalog.reserve(operation, (Draft(group.resource, group),), contents)
    return operation, group


def entry(samples, outcome=Outcome.DONE, code=None, **changed):
    operation = samples.operation(**({"subject": "monday", "user": "ada"} | changed))
    return HistoryEntry(operation, samples.now(), outcome, code)


@pytest.mark.parametrize("instant", INSTANTS, ids=lambda instant: instant.proof.value)
def test_the_commit_records_the_instant_of_a_group(catalog, samples, instant):
    operation, group = reserved(catalog, samples)
    assert catalog.groups()[0].instant is None
    catalog.commit(operation.id, CatalogChange(ready=(group.id,), instants={group.id: instant}))
    (found,) = catalog.groups()
    assert found == dataclasses.replace(group, state=GroupState.READY, instant=instant)


def test_a_commit_that_fails_records_no_instant(catalog, samples):
    """H3: it is part of the commit's transaction."""
    operation, group = reserved(catalog, samples)
    missing = ResourceId(samples.id())
    change = CatalogChange(ready=(group.id, missing), instants={group.id: INSTANTS[1]})
    with pytest.raises(DatabaseError):
        catalog.commit(operation.id, change)
    assert catalog.groups() == (group,)


def test_an_instant_is_recorded_of_its_own_group_alone(catalog, samples):
    """H2: a second group keeps its own."""
    for name, instant in zip(("monday", "tuesday"), INSTANTS[:2], strict=True):
        operation, group = reserved(catalog, samples, name)
        catalog.commit(operation.id, CatalogChange(ready=(group.id,), instants={group.id: instant}))
    assert [group.instant for group in catalog.groups()] == list(INSTANTS[:2])


def test_a_draft_that_knows_its_instant_keeps_it(catalog, samples):
    operation, group = reserved(catalog, samples, instant=INSTANTS[0])
    catalog.commit(operation.id, CatalogChange(ready=(group.id,)))
    assert catalog.groups()[0].instant == INSTANTS[0]


def test_single_snapshots_are_a_kind_of_group(catalog, samples):
    _, group = reserved(catalog, samples, kind=GroupKind.SINGLE)
    assert catalog.groups() == (group,)


def test_the_history_of_an_empty_catalog_is_empty(catalog):
    assert catalog.history() == ()


@pytest.mark.parametrize("outcome", Outcome)
def test_how_an_operation_ended_comes_back_as_it_went_in(catalog, samples, outcome):
    code = None if outcome is Outcome.DONE else "host_file_changed"
    ended = entry(samples, outcome, code, domain_name="雪", subject="é " * 127, user="ada")
    catalog.add_history(ended)
    assert catalog.history() == (ended,)


def test_the_history_is_oldest_first_whatever_the_order_it_came_in(catalog, samples):
    first, second, third = (entry(samples, subject=name) for name in "abc")
    for ended in (second, third, first):
        catalog.add_history(ended)
    assert catalog.history() == (first, second, third)


def test_the_history_of_one_host_and_of_one_domain(catalog, samples):
    mine, other, elsewhere = (
        entry(samples),
        entry(samples, domain_id=OTHER_DOMAIN),
        entry(samples, host_id=OTHER_HOST),
    )
    for ended in (mine, other, elsewhere):
        catalog.add_history(ended)
    assert catalog.history() == (mine, other, elsewhere)
    assert catalog.history(samples.host_id) == (mine, other)
    assert catalog.history(domain_id=samples.domain_id) == (mine, elsewhere)
    assert catalog.history(samples.host_id, samples.domain_id) == (mine,)


def test_a_limited_history_has_the_last_entries(catalog, samples):
    entries = tuple(entry(samples) for _ in range(4))
    for ended in entries:
        catalog.add_history(ended)
    assert catalog.history(samples.host_id, limit=2) == entries[2:]
    assert catalog.history(limit=9) == entries


def test_a_purge_removes_the_record_of_its_domain_alone(catalog, samples):
    """H2: that of another host and of another domain stay."""
    mine = DomainRecord(samples.host_id, samples.domain_id, "web1")
    theirs = dataclasses.replace(mine, host_id=OTHER_HOST)
    other = dataclasses.replace(mine, id=OTHER_DOMAIN)
    for record in (mine, theirs, other):
        catalog.apply(CatalogChange(record=record))
    for _ in range(2):
        catalog.apply(CatalogChange(removed_record=mine))
    assert set(catalog.records()) == {theirs, other}


def test_what_recover_settled_replaces_what_was_left(catalog, samples):
    left = entry(samples, Outcome.LEFT, "left_changed")
    other = entry(samples)
    for ended in (left, other):
        catalog.add_history(ended)
    settled = dataclasses.replace(
        left, ended_at=samples.now(), outcome=Outcome.UNDONE, code=None, is_recovered=True
    )
    for _ in range(2):
        catalog.add_history(settled)
    assert catalog.history() == (settled, other)


def test_of_each_domain_only_the_last_entries_are_kept(catalog, samples, monkeypatch):
    """H2: those of another domain and of another host stay."""
    monkeypatch.setattr(history, "KEPT", 3)
    others = (
        entry(samples, domain_id=OTHER_DOMAIN),
        entry(samples, host_id=OTHER_HOST),
    )
    mine = tuple(entry(samples, subject=str(number)) for number in range(5))
    for ended in (*others, *mine):
        catalog.add_history(ended)
    assert catalog.history() == (*others, *mine[2:])


def test_the_history_outlives_its_groups(catalog, samples):
    group = samples.store_group(catalog, "monday")
    ended = entry(samples)
    catalog.add_history(ended)
    catalog.apply(CatalogChange(removed_resources=(group.id,)))
    assert catalog.history() == (ended,)
