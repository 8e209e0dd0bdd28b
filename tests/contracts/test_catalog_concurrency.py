"""What the Catalog port promises to several processes at once, on SQLite and on MariaDB alike."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from vmsnap.errors import DatabaseError, NameTakenError, OtherHostError, VmsnapError
from vmsnap.model import CatalogChange, DomainId, DomainRecord, HostId
from vmsnap.ports import Draft
from vmsnap.store import changes
from vmsnap.store.database import Database
from vmsnap.store.location import locate

ROUNDS = 5
WAIT_SECONDS = 30


def at_once(*works: Callable[[], object]) -> Sequence[object]:
    """Run all at the same moment; return results, or the errors that vmsnap expects."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        barrier.wait(WAIT_SECONDS)
        try:
            return work()
        except VmsnapError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_of_two_creates_with_one_name_exactly_one_wins(open_again, samples):
    """H7, H8: the unique key decides, and the loser is told so."""
    catalogs = [open_again(), open_again()]
    contents = {samples.digest(b"nvram"): b"nvram"}
    for number in range(ROUNDS):
        works = [
            partial(
                catalog.reserve,
                samples.operation(),
                (Draft(samples.resource(f"name-{number}")),),
                contents,
            )
            for catalog in catalogs
        ]
        outcomes = at_once(*works)
        assert [type(item) for item in outcomes if item is not None] == [NameTakenError]


def test_of_two_hosts_exactly_one_gets_the_domain(open_again, samples):
    """H61: the key of the claim decides."""
    catalogs = [open_again(), open_again()]
    hosts = [HostId(f"{number}" * 8 + "-0000-0000-0000-000000000000") for number in (1, 2)]
    for number in range(ROUNDS):
        domain_id = DomainId(f"33333333-0000-0000-0000-{number:012d}")
        operations = [samples.operation(host_id=host, domain_id=domain_id) for host in hosts]
        works = [
            partial(catalog.reserve, operation, (), {})
            for catalog, operation in zip(catalogs, operations, strict=True)
        ]
        outcomes = at_once(*works)
        assert [type(item) for item in outcomes if item is not None] == [OtherHostError]


def test_two_processes_that_bring_in_the_same_content_both_succeed(open_again, samples):
    """H10: neither waits for ever, neither loses it."""
    one, two = open_again(), open_again()
    for number in range(ROUNDS):
        data = b"same %d" % number
        contents = {samples.digest(data): data}
        given_up, kept = samples.operation(), samples.operation()
        resource = samples.resource(f"kept-{number}", data)
        draft = Draft(samples.resource(f"given-up-{number}", data))
        outcomes = at_once(
            partial(one.reserve, given_up, (draft,), contents),
            partial(two.reserve, kept, (Draft(resource),), contents),
        )
        assert outcomes == [None, None]
        one.discard(given_up.id)
        two.commit(kept.id, CatalogChange(ready=(resource.id,)))
        assert one.content(samples.digest(data)) == data


def test_clean_up_never_takes_what_another_process_brings_in(open_again, samples):
    """H10: one removes the last user of a content while another reserves the same content."""
    one, two = open_again(), open_again()
    for number in range(ROUNDS * 2):
        data = b"contended %d" % number
        digest = samples.digest(data)
        old = samples.store_backup(one, f"old-{number}", data=data)
        draft = Draft(samples.resource(f"new-{number}", data))
        outcomes = at_once(
            partial(one.apply, CatalogChange(removed_resources=(old.id,))),
            partial(two.reserve, samples.operation(), (draft,), {digest: data}),
        )
        assert outcomes == [None, None]
        assert one.content(digest) == data


def test_concurrent_changes_of_many_domains_are_all_there_afterwards(open_again, samples):
    """H8: no write is lost in silence."""
    catalogs = [open_again() for _ in range(4)]

    def work(catalog, number):
        for turn in range(10):
            domain_id = DomainId(f"44444444-0000-0000-{number:04d}-{turn:012d}")
            catalog.apply(CatalogChange(record=DomainRecord(samples.host_id, domain_id, "web")))

    works = [partial(work, catalog, number) for number, catalog in enumerate(catalogs)]
    outcomes = at_once(*works)
    assert outcomes == [None] * 4
    assert len(catalogs[0].records()) == 40


def test_a_reader_does_not_wait_for_a_writer(catalog, catalog_url, samples):
    group = samples.store_group(catalog, "monday")
    with _CommitInFlight(catalog_url, samples.operation().id):
        assert catalog.groups() == (group,)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_commit_in_flight_is_waited_for(catalog, catalog_url, samples, is_kept):
    """H57: whether it committed is told when it is known, and not before."""
    operation = samples.operation()
    flight = _CommitInFlight(catalog_url, operation.id)
    with flight, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(catalog.was_committed, operation.id)
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.5)
        flight.end(is_kept=is_kept)
        assert answer.result(timeout=WAIT_SECONDS) is is_kept
    if not is_kept:
        with pytest.raises(DatabaseError, match="given up"):
            catalog.commit(operation.id, CatalogChange())


class _RolledBackError(Exception):
    pass


class _CommitInFlight:
    """Another process that has inserted its operation's id and not yet committed."""

    def __init__(self, url: str, operation_id: str) -> None:
        self._database = Database(locate(url))
        self._operation_id = operation_id
        self._has_inserted = threading.Event()
        self._may_end = threading.Event()
        self._is_kept = True
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        def work(connection) -> None:
            changes.commit(connection, self._operation_id, CatalogChange())
            self._has_inserted.set()
            self._may_end.wait(WAIT_SECONDS)
            if not self._is_kept:
                raise _RolledBackError

        try:
            self._database.write(work)
        except _RolledBackError:
            pass
        finally:
            self._database.close()

    def __enter__(self) -> "_CommitInFlight":
        self._thread.start()
        assert self._has_inserted.wait(WAIT_SECONDS)
        return self

    def end(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._may_end.set()

    def __exit__(self, *_: object) -> None:
        self._may_end.set()
        self._thread.join(WAIT_SECONDS)
