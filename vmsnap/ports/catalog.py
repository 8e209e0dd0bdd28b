"""The database, as the engine sees it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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
    ResourceId,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A resource to be reserved: a group (then `group` is set) or a backup, with its contents.

    `replaces` names a standalone backup of the same name that the committing change removes; the
    draft takes over its name then, and not before.
    """

    resource: Resource
    group: Group | None = None
    replaces: ResourceId | None = None


class Catalog(Protocol):
    """The database: groups, backups, layers and contents.

    Lost connections and the like are DatabaseError. Lists are oldest first. What a rolled-back
    operation reserved is never seen as READY. Each method is one transaction.
    """

    def ping(self) -> None:
        """Raise DatabaseError unless the database answers."""

    def status(self) -> DatabaseStatus:
        """Say which database this is and which schema it has."""

    def record(self, host_id: HostId, domain_id: DomainId) -> DomainRecord | None:
        """Return what is known of a domain as a whole, or None."""

    def records(self, host_id: HostId | None = None) -> tuple[DomainRecord, ...]:
        """Return the records of all domains, of one host or of all."""

    def groups(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Group, ...]:
        """Return groups with their snapshots and backups, in every state."""

    def resources(
        self, host_id: HostId | None = None, domain_id: DomainId | None = None
    ) -> tuple[Resource, ...]:
        """Return all resources with their backups: of groups too, but none not yet READY."""

    def layers(self, host_id: HostId, domain_id: DomainId) -> tuple[Layer, ...]:
        """Return the layers of a domain's disks, parents before children."""

    def content(self, digest: Digest) -> bytes:
        """Return a content, its length and digest checked.

        Raises ContentError if it is missing or damaged.
        """

    def reserve(
        self, operation: Operation, drafts: Sequence[Draft], contents: Mapping[Digest, bytes]
    ) -> None:
        """Register a pending operation, insert its drafts (state CREATING) and their contents.

        Raises NameTakenError if the domain has a resource of that name, OtherHostError if another
        host has an operation pending on the same domain UUID.
        """

    def require_unclaimed(self, host_id: HostId, domain_id: DomainId) -> None:
        """Raise OtherHostError if another host has an operation pending on the same domain UUID.

        Says so early; what is sure only `reserve` knows.
        """

    def claimant(self, domain_id: DomainId) -> HostId | None:
        """Return the host that has an operation pending on a domain UUID; None if there is none."""

    def discard(self, operation_id: OperationId) -> None:
        """Remove what `reserve` inserted and is not READY, unused contents, and the registration.

        Without such rows nothing happens.
        """

    def commit(self, operation_id: OperationId, change: CatalogChange) -> None:
        """Insert the operation's id as committed and apply the change, in one transaction.

        Committing an id that is committed already changes nothing. An id that was marked as
        aborted raises DatabaseError.
        """

    def was_committed(self, operation_id: OperationId) -> bool:
        """Tell for certain whether an operation committed, by inserting its id as aborted.

        After False it never can. A commit in flight is waited for.
        """

    def add_history(self, entry: HistoryEntry) -> None:
        """Record how an operation ended, in place of an earlier entry of the same operation."""

    def history(
        self,
        host_id: HostId | None = None,
        domain_id: DomainId | None = None,
        *,
        limit: int | None = None,
    ) -> tuple[HistoryEntry, ...]:
        """Return how operations ended, oldest first; of more than `limit` the last ones."""

    def apply(self, change: CatalogChange) -> None:
        """Apply a change that follows a commit; repeating it changes nothing more."""

    def finish(self, operation_id: OperationId) -> None:
        """Remove the registration of a pending operation; without one nothing happens."""

    def pending(self, host_id: HostId | None = None) -> tuple[Operation, ...]:
        """Return operations that are registered, or whose drafts are left, oldest first.

        Of one host, or of all.
        Of one whose drafts alone are left, the verb is not known: it is "".
        """

    def unreferenced(self) -> tuple[Digest, ...]:
        """Return the contents that no backup, group or pending operation names, sorted."""

    def drop_unreferenced(self, digests: Collection[Digest]) -> None:
        """Remove those of these contents that nothing names by then; each is held while it is told.

        Whatever another process has just reserved stays (H10).
        """
