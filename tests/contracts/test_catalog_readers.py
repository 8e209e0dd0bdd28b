"""Readers of the catalog never wait for a writer, on SQLite and on MariaDB alike."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from vmsnap.model import CatalogChange, DomainId, HostId
from vmsnap.ports import Draft
from vmsnap.store import changes, reservations
from vmsnap.store.database import Database
from vmsnap.store.location import locate
from vmsnap.store.opening import open_catalog

WAIT_SECONDS = 30
AT_ONCE_SECONDS = 5
"""Far below the time limits of SQLite's and MySQL's locks."""
OTHER_HOST = HostId("99999999-0000-0000-0000-000000000000")


@contextmanager
def long_transaction(url, work) -> Iterator[None]:
    """Leave a transaction open that has done `work`, for the length of a `with` block."""
    has_written, may_end = threading.Event(), threading.Event()

    def write(connection):
        work(connection)
        has_written.set()
        assert may_end.wait(WAIT_SECONDS)

    with closing(Database(locate(url))) as database:
        thread = threading.Thread(target=database.write, args=(write,))
        thread.start()
        try:
            assert has_written.wait(WAIT_SECONDS)
            yield
        finally:
            may_end.set()
            thread.join()


@pytest.fixture
def in_the_middle(catalog, catalog_url, samples):
    """A delete and a create whose transactions are open; what readers see is as before."""
    group = samples.store_group(catalog, "monday")
    backup = samples.store_backup(catalog, "daily", data=b"other")
    deleting, creating = samples.operation(), samples.operation()
    draft = Draft(samples.resource("new", b"new"))

    def work(connection):
        contents = {samples.digest(b"new"): b"new"}
        reservations.reserve(connection, creating, (draft,), contents)
        reservations.reserve(connection, deleting, (), {})
        removal = CatalogChange(removed_resources=(group.id, backup.id))
        changes.commit(connection, deleting.id, removal)

    with long_transaction(catalog_url, work):
        yield group, backup


def test_readers_see_what_was_and_do_not_wait(catalog_url, samples, in_the_middle):
    """H48: every reading method, also of a process that opens the database in the middle."""
    group, backup = in_the_middle
    begin = time.monotonic()
    with closing(open_catalog(catalog_url, create=False)) as reader:
        reader.ping()
        assert reader.status().is_current
        assert reader.groups() == (group,)
        assert reader.resources(samples.host_id) == (group.resource, backup)
        assert reader.layers(samples.host_id, samples.domain_id) == ()
        assert reader.records() == ()
        assert reader.record(samples.host_id, samples.domain_id) is None
        assert reader.content(samples.digest(b"other")) == b"other"
        assert reader.history(OTHER_HOST, DomainId("none"), limit=1) == ()
    assert time.monotonic() - begin < AT_ONCE_SECONDS
