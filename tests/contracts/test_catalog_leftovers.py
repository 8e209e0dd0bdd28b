"""What the Catalog port promises of what operations left: registrations, drafts and contents."""

from vmsnap.model import CatalogChange, HostId
from vmsnap.ports import Draft

OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")


def test_pending_operations_are_told_until_they_are_finished(catalog, samples):
    assert catalog.pending(samples.host_id) == ()
    first, second = samples.operation(), samples.operation(verb="group delete")
    catalog.reserve(second, (), {})
    catalog.reserve(first, (), {})
    assert catalog.pending(samples.host_id) == catalog.pending() == (first, second)
    assert catalog.pending(OTHER_HOST) == ()
    catalog.finish(first.id)
    catalog.discard(second.id)
    assert catalog.pending(samples.host_id) == ()


def test_drafts_whose_registration_is_gone_are_told_and_can_be_discarded(catalog, samples, rows):
    operation, group = samples.operation(), samples.group("monday")
    contents = {samples.digest(item): item for item in (b"nvram", b"<domain/>")}
    catalog.reserve(operation, (Draft(group.resource, group),), contents)
    for table in ("pending_content", "pending", "claim"):
        rows(f"DELETE FROM {table}")  # noqa: S608 - our own names
    (left,) = catalog.pending(samples.host_id)
    assert (left.id, left.verb, left.domain_id) == (operation.id, "", samples.domain_id)
    catalog.discard(left.id)
    assert (catalog.pending(samples.host_id), catalog.groups()) == ((), ())
    assert catalog.unreferenced() == ()


def test_contents_that_nothing_names_are_told_and_dropped(catalog, samples, rows):
    kept = samples.store_group(catalog, "monday")
    backup = samples.store_backup(catalog, "weekly", data=b"alone")
    assert catalog.unreferenced() == ()
    for table in ("backup", "resource"):
        column = "resource_uuid" if table == "backup" else "uuid"
        rows(f"DELETE FROM {table} WHERE {column} = '{backup.id}'")  # noqa: S608 - our own names
    lost = samples.digest(b"alone")
    assert catalog.unreferenced() == (lost,)
    catalog.drop_unreferenced([lost, kept.definition_digest])
    assert catalog.unreferenced() == ()
    assert rows(f"SELECT * FROM content_chunk WHERE sha256 = '{lost}'") == []  # noqa: S608
    assert catalog.content(kept.definition_digest) == b"<domain/>"


def test_what_another_process_has_just_reserved_is_not_dropped(catalog, open_again, samples):
    """H10."""
    other, operation, data = open_again(), samples.operation(), b"just captured"
    other.reserve(operation, (), {samples.digest(data): data})
    assert catalog.unreferenced() == ()
    catalog.drop_unreferenced([samples.digest(data)])
    assert other.content(samples.digest(data)) == data
    resource = samples.resource("weekly", data)
    other.reserve(operation, (Draft(resource),), {samples.digest(data): data})
    other.commit(operation.id, CatalogChange(ready=(resource.id,)))
    other.finish(operation.id)
    catalog.drop_unreferenced([samples.digest(data)])
    assert other.content(samples.digest(data)) == data
