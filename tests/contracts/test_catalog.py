"""What the Catalog port promises of rows, on SQLite and on MariaDB alike."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from vmsnap.errors import ContentError, DatabaseError, NameTakenError
from vmsnap.model import (
    Backup,
    BackupId,
    Capture,
    CatalogChange,
    Digest,
    DomainId,
    DomainRecord,
    FrozenFacts,
    GroupState,
    HostFileType,
    HostId,
    OperationId,
    ResourceId,
)
from vmsnap.ports import Draft

OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")
OTHER_DOMAIN = DomainId("88888888-0000-0000-0000-000000000000")
NAMES = ("snow", "雪の前", "a", "a ", "A", "é", "e\u0301", "x" * 255, "𝄞" * 255, 'it\'s "x"; --')


def test_a_catalog_without_rows_answers_with_nothing(catalog, samples):
    catalog.ping()
    assert catalog.groups() == ()
    assert catalog.resources() == ()
    assert catalog.records() == ()
    assert catalog.record(samples.host_id, samples.domain_id) is None
    assert catalog.layers(samples.host_id, samples.domain_id) == ()


def test_the_status_names_database_schema_and_identity(catalog, open_again):
    status = catalog.status()
    assert status.exists
    assert status.is_current
    assert status.identity == open_again().status().identity
    assert len(status.identity) == 36


def test_a_reserved_group_is_seen_as_creating_and_its_resource_not_at_all(catalog, samples):
    group = samples.group("monday")
    contents = {samples.digest(b"nvram"): b"nvram", group.definition_digest: b"<domain/>"}
    catalog.reserve(samples.operation(), (Draft(group.resource, group),), contents)
    assert catalog.groups() == (group,)
    assert catalog.resources() == ()
    assert catalog.content(group.definition_digest) == b"<domain/>"


def test_a_committed_group_comes_back_as_it_went_in(catalog, samples):
    group = samples.group("monday")
    contents = {samples.digest(b"nvram"): b"nvram", group.definition_digest: b"<domain/>"}
    operation = samples.operation()
    catalog.reserve(operation, (Draft(group.resource, group),), contents)
    catalog.commit(operation.id, CatalogChange(ready=(group.id,)))
    catalog.finish(operation.id)
    assert catalog.groups() == (dataclasses.replace(group, state=GroupState.READY),)
    assert catalog.resources() == (group.resource,)


def test_a_backup_that_captured_nothing_comes_back_without_contents(catalog, samples):
    resource_id = ResourceId(samples.id())
    rows = tuple(
        Backup(BackupId(samples.id()), resource_id, type_, capture, samples.now())
        for type_, capture in (
            (HostFileType.NVRAM, Capture.NOT_CREATED),
            (HostFileType.TPM, Capture.SKIPPED),
        )
    )
    resource = samples.resource("bare", id=resource_id, backups=rows)
    samples.store(catalog, Draft(resource), {})
    assert catalog.resources() == (resource,)


def test_resources_are_listed_oldest_first_whatever_the_order_they_came_in(catalog, samples):
    late = samples.resource("a", created_at=samples.now() + timedelta(days=1))
    early = samples.resource("b", created_at=samples.now() - timedelta(days=1))
    for resource in (late, early):
        samples.store(catalog, Draft(resource), {samples.digest(b"nvram"): b"nvram"})
    assert [item.name for item in catalog.resources()] == ["b", "a"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_and_length_come_back_exactly(catalog, samples, name):
    """H51: names are kept as they are."""
    samples.store_backup(catalog, name, domain_name=name)
    (resource,) = catalog.resources()
    assert (resource.name, resource.domain_name) == (name, name)


def test_names_that_are_only_alike_are_not_the_same(catalog, samples):
    """H51: 'a' is not 'a ' nor 'A', whatever a collation thinks."""
    for name in NAMES:
        samples.store_backup(catalog, name)
    assert [resource.name for resource in catalog.resources()] == list(NAMES)


def test_paths_of_4096_bytes_and_long_descriptions_fit(catalog, samples):
    path = Path("/" + "雪" * 1365)
    resource = samples.resource("long", description="é" * 40_000)
    backup = dataclasses.replace(resource.backups[0], path=path)
    resource = dataclasses.replace(resource, backups=(backup,))
    samples.store(catalog, Draft(resource), {samples.digest(b"nvram"): b"nvram"})
    assert catalog.resources() == (resource,)


def test_a_taken_name_is_refused_and_nothing_of_the_second_stays(catalog, samples, rows):
    samples.store_group(catalog, "monday")
    operation = samples.operation()
    late = samples.resource("monday", b"other")
    with pytest.raises(NameTakenError, match="domain 'web1' has a group or backup 'monday'"):
        catalog.reserve(operation, (Draft(late),), {samples.digest(b"other"): b"other"})
    assert [item.name for item in catalog.resources()] == ["monday"]
    with pytest.raises(ContentError):
        catalog.content(samples.digest(b"other"))
    assert rows("SELECT * FROM pending") == []


def test_the_same_name_is_free_on_another_domain_and_on_another_host(catalog, samples):
    samples.store_backup(catalog, "monday")
    samples.store_backup(catalog, "monday", domain_id=OTHER_DOMAIN)
    samples.store_backup(catalog, "monday", host_id=OTHER_HOST)
    assert len(catalog.resources()) == 3
    assert len(catalog.resources(samples.host_id)) == 2
    assert len(catalog.resources(samples.host_id, samples.domain_id)) == 1


def test_two_backups_of_one_type_and_resource_are_refused(catalog, samples):
    """H8: the unique key (resource, type) decides."""
    resource = samples.resource("monday")
    twice = (*resource.backups, samples.backup(resource.id, b"nvram"))
    draft = Draft(dataclasses.replace(resource, backups=twice))
    with pytest.raises(DatabaseError):
        catalog.reserve(samples.operation(), (draft,), {samples.digest(b"nvram"): b"nvram"})
    assert catalog.resources() == ()


def test_a_draft_that_names_an_unknown_content_is_refused(catalog, samples):
    with pytest.raises(DatabaseError):
        catalog.reserve(samples.operation(), (Draft(samples.resource("monday")),), {})


def test_a_discarded_reservation_leaves_no_row(catalog, samples, rows):
    """H9: nothing stays parked after a failure."""
    group = samples.group("monday")
    contents = {
        samples.digest(b"nvram"): b"nvram",
        group.definition_digest: b"<domain/>",
        samples.digest(b"loose"): b"loose",
    }
    operation = samples.operation()
    catalog.reserve(operation, (Draft(group.resource, group),), contents)
    catalog.discard(operation.id)
    catalog.discard(operation.id)
    tables = ("resource", "snapshot_group", "snapshot", "backup", "content", "content_chunk",
              "pending", "pending_content", "claim")  # fmt: skip
    left = [name for name in tables if rows(f"SELECT * FROM {name}")]  # noqa: S608 - our names
    assert left == []


def test_discarding_leaves_what_became_ready(catalog, samples):
    group = samples.store_group(catalog, "monday")
    operation = samples.operation()
    catalog.reserve(operation, (), {})
    catalog.commit(operation.id, CatalogChange())
    catalog.discard(operation.id)
    assert catalog.groups() == (group,)


def test_discarding_leaves_contents_that_others_use(catalog, samples):
    """H10: only what the operation alone brought in goes."""
    samples.store_backup(catalog, "monday")
    reserved = samples.operation()
    held = samples.resource("held", b"shared")
    catalog.reserve(reserved, (Draft(held),), {samples.digest(b"shared"): b"shared"})
    given_up = samples.operation()
    contents = {samples.digest(b"shared"): b"shared", samples.digest(b"nvram"): b"nvram"}
    catalog.reserve(given_up, (Draft(samples.resource("tuesday")),), contents)
    catalog.discard(given_up.id)
    catalog.commit(reserved.id, CatalogChange(ready=(held.id,)))
    assert catalog.content(samples.digest(b"shared")) == b"shared"
    assert catalog.content(samples.digest(b"nvram")) == b"nvram"


def test_contents_without_a_draft_live_as_long_as_their_operation(catalog, samples):
    operation = samples.operation()
    catalog.reserve(operation, (), {samples.digest(b"kept"): b"kept"})
    backup = samples.store_backup(catalog, "monday", data=b"kept")
    catalog.apply(CatalogChange(removed_resources=(backup.id,)))
    assert catalog.content(samples.digest(b"kept")) == b"kept"
    catalog.finish(operation.id)
    with pytest.raises(ContentError, match="missing"):
        catalog.content(samples.digest(b"kept"))


def test_a_commit_of_the_same_id_changes_nothing_more(catalog, samples):
    group = samples.store_group(catalog, "monday")
    operation = samples.operation()
    catalog.commit(operation.id, CatalogChange())
    catalog.commit(operation.id, CatalogChange(removed_resources=(group.id,)))
    assert catalog.groups() == (group,)
    assert catalog.was_committed(operation.id)


def test_an_operation_that_was_asked_for_can_never_commit_afterwards(catalog, samples):
    """H57: looking decides."""
    group = samples.store_group(catalog, "monday")
    operation = samples.operation()
    assert not catalog.was_committed(operation.id)
    assert not catalog.was_committed(operation.id)
    with pytest.raises(DatabaseError, match="given up"):
        catalog.commit(operation.id, CatalogChange(removed_resources=(group.id,)))
    assert catalog.groups() == (group,)


def test_a_commit_whose_drafts_are_gone_is_refused(catalog, samples):
    operation = samples.operation()
    with pytest.raises(DatabaseError, match="gone"):
        catalog.commit(operation.id, CatalogChange(ready=(ResourceId(samples.id()),)))
    assert not catalog.was_committed(operation.id)


def test_removing_a_group_leaves_the_others_of_its_domain_and_of_other_domains(
    catalog, samples, rows
):
    """H2, H12: each delete names its owner."""
    first = samples.store_group(catalog, "monday")
    second = samples.store_group(catalog, "tuesday")
    other = samples.store_group(catalog, "monday", domain_id=OTHER_DOMAIN)
    lone = samples.store_backup(catalog, "lone")
    catalog.apply(CatalogChange(removed_resources=(first.id,)))
    assert catalog.groups() == (second, other)
    assert catalog.resources() == (second.resource, other.resource, lone)
    kept = {second.id, other.id, lone.id}
    assert {row[0] for row in rows("SELECT resource_uuid FROM backup")} == kept
    assert {row[0] for row in rows("SELECT group_uuid FROM snapshot")} == kept - {lone.id}


def test_a_wrong_kind_of_id_removes_nothing(catalog, samples):
    """H12: a backup's, snapshot's or layer's id is no resource's."""
    group = samples.store_group(catalog, "monday")
    wrong = (group.resource.backups[0].id, group.snapshots[0].id, group.snapshots[0].layer_id)
    catalog.apply(CatalogChange(removed_resources=tuple(ResourceId(item) for item in wrong)))
    catalog.discard(OperationId(group.id))
    assert catalog.groups() == (group,)


def test_removing_groups_gives_their_children_the_nearest_ancestor_that_stays(catalog, samples):
    root = samples.store_group(catalog, "root")
    one = samples.store_group(catalog, "one", parent_id=root.id)
    two = samples.store_group(catalog, "two", parent_id=one.id)
    leaf = samples.store_group(catalog, "leaf", parent_id=two.id)
    twig = samples.store_group(catalog, "twig", parent_id=one.id)
    record = DomainRecord(samples.host_id, samples.domain_id, "web1", two.id, one.id)
    catalog.apply(CatalogChange(record=record))
    change = CatalogChange(removed_resources=(two.id, one.id))
    catalog.apply(change)
    catalog.apply(change)
    parents = {group.id: group.parent_id for group in catalog.groups()}
    assert parents == {root.id: None, leaf.id: root.id, twig.id: root.id}
    assert catalog.record(samples.host_id, samples.domain_id) == DomainRecord(
        samples.host_id, samples.domain_id, "web1", root.id, None
    )
    catalog.apply(CatalogChange(removed_resources=(root.id,)))
    assert {group.parent_id for group in catalog.groups()} == {None}


def test_contents_go_with_their_last_user(catalog, samples):
    first = samples.store_backup(catalog, "monday", data=b"shared")
    second = samples.store_backup(catalog, "tuesday", data=b"shared")
    catalog.apply(CatalogChange(removed_resources=(first.id,)))
    assert catalog.content(samples.digest(b"shared")) == b"shared"
    catalog.apply(CatalogChange(removed_resources=(second.id,)))
    with pytest.raises(ContentError):
        catalog.content(samples.digest(b"shared"))


def test_a_group_s_data_stay_until_the_group_goes(catalog, samples):
    """H14: reading consumes nothing."""
    group = samples.store_group(catalog, "monday")
    digests = (samples.digest(b"nvram"), group.definition_digest)
    for _ in range(2):
        assert [catalog.content(digest) for digest in digests] == [b"nvram", b"<domain/>"]
    assert catalog.groups() == (group,)


def test_groups_become_deleting_and_stay_so_when_it_is_said_again(catalog, samples):
    """H1: the backup of a group that is being deleted is whole."""
    group = samples.store_group(catalog, "monday")
    catalog.apply(CatalogChange(deleting=(group.id,)))
    catalog.apply(CatalogChange(ready=(group.id,), deleting=()))
    (found,) = catalog.groups()
    assert found == dataclasses.replace(group, state=GroupState.DELETING)
    assert catalog.resources() == (group.resource,)


def test_layers_come_back_parents_first_and_are_replaced_by_id(catalog, samples):
    facts = FrozenFacts(2**40, 1_800_000_000_123_456_789, Digest("ab" * 32))
    base = samples.layer(facts=facts, is_active=False)
    top = samples.layer(parent_id=base.id, is_made_by_vmsnap=True)
    other = samples.layer(domain_id=OTHER_DOMAIN)
    catalog.apply(CatalogChange(layers=(top, base, other)))
    assert catalog.layers(samples.host_id, samples.domain_id) == (base, top)
    again = dataclasses.replace(top, parent_id=None, path=Path("/images/moved.qcow2"))
    change = CatalogChange(layers=(again,), removed_layers=(base.id,))
    catalog.apply(change)
    catalog.apply(change)
    assert catalog.layers(samples.host_id, samples.domain_id) == (again,)
    assert catalog.layers(samples.host_id, OTHER_DOMAIN) == (other,)


def test_snapshots_are_moved_all_at_once(catalog, samples):
    group = samples.store_group(catalog, "monday")
    other = samples.store_group(catalog, "tuesday")
    vda, vdb = (snapshot.layer_id for snapshot in group.snapshots)
    catalog.apply(CatalogChange(moved_snapshots={vda: vdb, vdb: vda}))
    moved, unmoved = catalog.groups()
    assert [snapshot.layer_id for snapshot in moved.snapshots] == [vdb, vda]
    assert unmoved == other


def test_records_are_replaced_by_host_and_domain(catalog, samples):
    mine = DomainRecord(samples.host_id, samples.domain_id, "web1")
    theirs = DomainRecord(OTHER_HOST, samples.domain_id, "web1")
    renamed = dataclasses.replace(mine, name="web2")
    for record in (mine, theirs, renamed, renamed):
        catalog.apply(CatalogChange(record=record))
    assert catalog.records() == (renamed, theirs)
    assert catalog.records(OTHER_HOST) == (theirs,)
