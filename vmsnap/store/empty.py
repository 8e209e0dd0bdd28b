"""The catalog where there is no database yet: reading finds nothing, writing is refused."""

from collections.abc import Collection, Mapping, Sequence

from vmsnap.errors import ContentError, DatabaseError
from vmsnap.model import (
    CatalogChange,
    DatabaseStatus,
    Digest,
    DomainId,
    DomainRecord,
    Group,
    HistoryEntry,
    HostId,
    Layer,
    Operation,
    OperationId,
    Resource,
)
from vmsnap.ports import Draft


class EmptyCatalog:
    """The Catalog port without a database: what a reading verb sees before the first write."""

    def __init__(self, shown_url: str, expected: str) -> None:
        """Keep the URL to be shown, and the revision that a database would get."""
        self._status = DatabaseStatus(url=shown_url, exists=False, revision=None, expected=expected)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def ping(self) -> None:
        """Do nothing: reading finds nothing, which is the truth."""

    def status(self) -> DatabaseStatus:
        """Say which database is not there."""
        return self._status

    def record(self, host_id: HostId, domain_id: DomainId) -> DomainRecord | None:
        """Return None."""
        del host_id, domain_id
        return None

    def records(self, host_id: HostId | None = None) -> tuple[DomainRecord, ...]:
        """Return nothing."""
        del host_id
        return ()

    def groups(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Group, ...]:
        """Return nothing."""
        del host_id, domain_id
        return ()

    def resources(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Resource, ...]:
        """Return nothing."""
        del host_id, domain_id
        return ()

    def layers(self, host_id: HostId, domain_id: DomainId) -> tuple[Layer, ...]:
        """Return nothing."""
        del host_id, domain_id
        return ()

    def content(self, digest: Digest) -> bytes:
        """Raise ContentError: it is missing."""
        raise ContentError(f"content '{digest}' is missing: there is no database")

    def reserve(
        self, operation: Operation, drafts: Sequence[Draft], contents: Mapping[Digest, bytes]
    ) -> None:
        """Raise DatabaseError."""
        del operation, drafts, contents
        raise self._missing()

    def require_unclaimed(self, host_id: HostId, domain_id: DomainId) -> None:
        """Do nothing: nobody has an operation pending."""
        del host_id, domain_id

    def claimant(self, domain_id: DomainId) -> HostId | None:
        """Return None."""
        del domain_id
        return None

    def discard(self, operation_id: OperationId) -> None:
        """Raise DatabaseError: the rows may be in a database that was moved away."""
        del operation_id
        raise self._missing()

    def commit(self, operation_id: OperationId, change: CatalogChange) -> None:
        """Raise DatabaseError."""
        del operation_id, change
        raise self._missing()

    def was_committed(self, operation_id: OperationId) -> bool:
        """Raise DatabaseError: without the database nobody knows."""
        del operation_id
        raise self._missing()

    def add_history(self, entry: HistoryEntry) -> None:
        """Raise DatabaseError."""
        del entry
        raise self._missing()

    def history(
        self,
        host_id: HostId | None = None,
        domain_id: DomainId | None = None,
        *,
        limit: int | None = None,
    ) -> tuple[HistoryEntry, ...]:
        """Return nothing."""
        del host_id, domain_id, limit
        return ()

    def apply(self, change: CatalogChange) -> None:
        """Raise DatabaseError."""
        del change
        raise self._missing()

    def finish(self, operation_id: OperationId) -> None:
        """Raise DatabaseError: the row may be in a database that was moved away."""
        del operation_id
        raise self._missing()

    def pending(self, host_id: HostId | None = None) -> tuple[Operation, ...]:
        """Return nothing."""
        del host_id
        return ()

    def unreferenced(self) -> tuple[Digest, ...]:
        """Return nothing."""
        return ()

    def drop_unreferenced(self, digests: Collection[Digest]) -> None:
        """Do nothing: there is nothing to drop."""
        del digests

    def _missing(self) -> DatabaseError:
        return DatabaseError(f"there is no database '{self._status.url}'")
