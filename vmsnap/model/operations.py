"""What changes the catalog: operations and their changes; and what the database is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from vmsnap.model.groups import DomainRecord, Instant
from vmsnap.model.ids import DomainId, HostId, LayerId, OperationId, ResourceId
from vmsnap.model.images import Layer


@dataclass(frozen=True, slots=True)
class Operation:
    """One run of a changing verb on one domain."""

    id: OperationId
    verb: str
    host_id: HostId
    domain_id: DomainId
    domain_name: str
    started_at: datetime
    subject: str = ""
    """What it is about, for the history: the name of a group or backup."""
    user: str = ""
    """Who asked for it: the login name, with sudo the one before it."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What one transaction of the catalog changes; an empty field changes nothing.

    Applied in the order of the fields; applying the same change again changes nothing more.
    """

    ready: tuple[ResourceId, ...] = ()
    """Reserved resources that become visible as done (groups: state READY)."""
    deleting: tuple[ResourceId, ...] = ()
    layers: tuple[Layer, ...] = ()
    """Layers to insert, or to replace by id. Parents stand before their children."""
    moved_snapshots: Mapping[LayerId, LayerId] = field(default_factory=dict)
    """Snapshots that name the key as their layer name the value from now on."""
    removed_resources: tuple[ResourceId, ...] = ()
    """Resources to remove with their groups, snapshots and backups. Groups that have a removed one
    as their parent get the nearest ancestor that stays."""
    removed_layers: tuple[LayerId, ...] = ()
    record: DomainRecord | None = None
    """The domain's record to insert or replace."""
    instants: Mapping[ResourceId, Instant] = field(default_factory=dict)
    """The instants of groups that become ready."""
    removed_record: DomainRecord | None = None
    """The record of a domain to remove, known by its host and UUID: a purge leaves nothing."""
    pins: Mapping[ResourceId, bool] = field(default_factory=dict)
    """Groups that are pinned from now on, or (False) are not."""


class Outcome(Enum):
    """How an operation ended."""

    DONE = "done"
    UNDONE = "undone"
    """It failed or was interrupted, and was taken back."""
    PARTIAL = "partial"
    """A delete that left something to be deleted again."""
    LEFT = "left"
    """It could not be settled; recover has yet to do it."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of `history`: an operation and how it ended.

    `code` is the code word of the error that ended it. `is_recovered` says that `recover` settled
    what the run itself could not.
    """

    operation: Operation
    ended_at: datetime
    outcome: Outcome
    code: str | None = None
    is_recovered: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What `db status` shows: `url` has its password hidden, `revision` None means no schema.

    `identity` is a random UUID that the database got when it was made: one that was lost and made
    anew under the same URL is another.
    """

    url: str
    exists: bool
    revision: str | None
    expected: str
    identity: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that this program works with."""
        return self.revision == self.expected
