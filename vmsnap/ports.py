"""What the engine needs from outside: Protocols whose docstrings are the contract.

Every call that leaves the process has a time limit and ends with a result or with one of the
errors that its docstring names. Adapters translate foreign exceptions; nothing else passes through.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from vmsnap.model import (
    CatalogChange,
    DatabaseStatus,
    Definition,
    Digest,
    Domain,
    DomainId,
    DomainRecord,
    DomainSummary,
    FileMeta,
    FrozenFacts,
    Group,
    HostFileType,
    HostId,
    ImageInfo,
    JsonObject,
    Layer,
    Operation,
    OperationId,
    Resource,
    ResourceId,
)


class Hypervisor(Protocol):
    """The libvirt of this host. Errors of libvirt, and no answer in time, are LibvirtError."""

    def host_id(self) -> HostId:
        """Return the host's UUID."""

    def domains(self) -> tuple[DomainSummary, ...]:
        """Return all domains, sorted by name."""

    def domain(self, domain_id: DomainId) -> Domain:
        """Look at one domain afresh.

        Raises DomainNotFoundError if it is not (or no longer) there.
        """

    def definitions(self) -> tuple[Definition, ...]:
        """Read every inactive definition, and each live one that differs; volumes have paths."""

    def define(self, xml: str) -> None:
        """Define a persistent domain; the XML is used as it is."""

    def switch_disks(self, domain_id: DomainId, overlays: Mapping[str, Path]) -> None:
        """Make each target use its prepared qcow2 overlay, in one call for all of them.

        libvirt's snapshotCreateXML with DISK_ONLY, ATOMIC, NO_METADATA and REUSE_EXT; disks that
        are not named are left alone. Takes the domain's job, so a start cannot slip in between.
        """

    def commit_active(self, domain_id: DomainId, target: str, base: Path) -> None:
        """On a running domain, merge the active layer of one disk into `base` and pivot to it."""

    def remove_managed_save(self, domain_id: DomainId) -> None:
        """Remove the managed-save image if there is one."""

    def managed_save_xml(self, domain_id: DomainId) -> str | None:
        """Return the definition inside the managed-save image, or None without an image."""

    def redefine_managed_save(self, domain_id: DomainId, xml: str) -> None:
        """Replace the definition inside the managed-save image."""

    def has_secret(self, secret_id: str) -> bool:
        """Tell whether a libvirt secret of that UUID is defined (its value is never read)."""

    def max_chain_depth(self) -> int:
        """Return how many layers a disk may have on this libvirt before it refuses to start."""


class Definitions(Protocol):
    """Reading and patching domain XML; pure, nothing outside is asked or changed.

    Every XML that a function returns has no `<backingStore>` in any disk and is otherwise the same
    as what was given, except for what the function says.
    """

    def parse(self, xml: str) -> Definition:
        """Read a domain's XML. Raises UnsupportedError if it cannot be understood."""

    def with_sources(self, xml: str, sources: Mapping[str, tuple[Path, str]]) -> str:
        """Give the disks of these targets another file (path, format)."""

    def with_disks_of(self, xml: str, other_xml: str, targets: Sequence[str]) -> str:
        """Replace the disks of these targets by `other_xml`'s.

        A target that only `xml` has is removed, one that only `other_xml` has is added.
        """

    def with_name(self, xml: str, name: str) -> str:
        """Give the domain another name."""

    def with_fence(self, xml: str) -> str:
        """Add the fence: a read-only disk whose file does not exist. Once, if called twice."""

    def without_fence(self, xml: str) -> str:
        """Take the fence away; without one nothing else is changed."""

    def with_missing_source(self, xml: str) -> str:
        """Point the first disk with a file at the fence's path (for a managed-save image)."""

    def same(self, xml: str, other_xml: str) -> bool:
        """Tell whether two definitions mean the same, apart from fence, name and backingStore."""


class Images(Protocol):
    """Disk image files. Failures, and no end in time, are ImageError; nothing is ever probed.

    Processes that write inherit the domain's lock, because they outlive a kill -9 of their parent.
    """

    def info(self, path: Path, format_: str | None = None) -> ImageInfo:
        """Describe one image (not its chain). A missing file is an ImageError."""

    def chain(self, path: Path, format_: str | None = None) -> tuple[ImageInfo, ...]:
        """Describe an image and all that it stands on, topmost first. Read without locks."""

    def facts(self, path: Path) -> FrozenFacts | None:
        """Take a file's size, mtime and header digest; None if the file is missing."""

    def exists(self, path: Path) -> bool:
        """Tell whether there is a directory entry of that name, whatever it is."""

    def allocated_bytes(self, path: Path) -> int:
        """Return how much disk space the file takes; 0 if it is missing."""

    def free_bytes(self, folder: Path) -> int:
        """Return how much more the folder's file system can take."""

    def create_overlay(self, path: Path, backing: Path, backing_format: str) -> None:
        """Make a qcow2 overlay with explicit backing format, mode 0600 and its backing's owner.

        Never overwrites: ImageExistsError if the name is there already. Synced to disk, the folder
        too. After any other failure nothing, or an unfinished file of that name, is left.
        """

    def commit(self, child: Path, parent: Path, *, child_format: str, parent_format: str) -> None:
        """Write the child's data into its direct parent, which grows to the child's size.

        Can be repeated; the child stays valid and unchanged. Leaked clusters are mended.
        """

    def rebase(self, path: Path, backing: Path | None, backing_format: str | None) -> None:
        """Pull what the current backing holds into `path`, then stand it on `backing`.

        With None the image stands alone afterwards. What `path` reads does not change. Can be
        repeated; if the header names `backing` already, nothing is done.
        """

    def set_backing(self, path: Path, backing: Path, backing_format: str) -> None:
        """Change the backing file's name in the header only: its content is known to be equal."""

    def remove_overlay(self, path: Path) -> None:
        """Unlink a file that vmsnap made; a missing file is fine; the folder is synced."""


@dataclass(frozen=True, slots=True)
class HostFileSpec:
    """Which host file is meant: a regular file for NVRAM, a directory for a TPM."""

    type: HostFileType
    path: Path


@dataclass(frozen=True, slots=True)
class HostFileReading:
    """A host file as it was read.

    `signature` changes whenever the file (or any file of the directory) does: bytes, size, mtime
    and ctime; it is compared, never interpreted.
    """

    content: bytes = field(repr=False)
    digest: Digest
    meta: FileMeta
    signature: str


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Which inode a name leads to."""

    device: int
    inode: int


class HostFiles(Protocol):
    """NVRAM files and TPM state directories. Failures are HostFileError.

    Paths are walked without following links; only regular files (and for a TPM one directory of
    them) are read or written, with bounded size. Nothing here ever leaves a live path absent in
    between.
    """

    def read(self, spec: HostFileSpec) -> HostFileReading | None:
        """Read a whole host file; None if it does not exist.

        The content of a TPM directory is its canonical archive (a tar with sorted names and no
        times); swtpm's `.lock` is left out.
        """

    def identity(self, path: Path) -> FileIdentity | None:
        """Return the inode at `path`, a link not followed; None if there is none."""

    def stage(
        self, spec: HostFileSpec, staged: Path, content: bytes, meta: FileMeta
    ) -> FileIdentity:
        """Write `content` whole to the new name `staged` in the same folder as `spec.path`.

        With owner, mode and extended attributes; synced, the folder too. A missing TPM parent
        directory is made (0711). What a former attempt left under `staged` is replaced.
        """

    def exchange(self, one: Path, other: Path) -> None:
        """Exchange two existing names in one step, and sync the folder."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename to a name that does not exist (never replaces), and sync the folder."""

    def discard(self, spec: HostFileSpec, staged: Path) -> None:
        """Remove a staged or set-aside file or directory; a missing one is fine."""


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

    def apply(self, change: CatalogChange) -> None:
        """Apply a change that follows a commit; repeating it changes nothing more."""

    def finish(self, operation_id: OperationId) -> None:
        """Remove the registration of a pending operation; without one nothing happens."""


class JournalFiles(Protocol):
    """One journal file per domain on the local disk, fsynced at every call, the folder too.

    Failures are HostFileError.
    """

    def pending(self) -> tuple[DomainId, ...]:
        """Return the domains that have a journal, sorted."""

    def start(self, domain_id: DomainId, header: JsonObject) -> None:
        """Begin a journal. HostFileError if there is one already."""

    def append(self, domain_id: DomainId, entry: JsonObject) -> None:
        """Add one entry to the journal."""

    def load(self, domain_id: DomainId) -> tuple[JsonObject, ...]:
        """Return header and entries; () if there is no journal, or its header was never whole.

        A torn last entry is left out.
        """

    def remove(self, domain_id: DomainId) -> None:
        """Remove the journal; a missing one is fine."""


class Locks(Protocol):
    """One operation per domain at a time."""

    def hold(
        self, domain_id: DomainId, verb: str, wait_seconds: float
    ) -> AbstractContextManager[None]:
        """Hold the domain's lock for the length of a `with` block.

        Raises BusyError, naming holder and since when, if it is not to be had within
        `wait_seconds`. The lock dies with the last process that inherited it.
        """


class Reporter(Protocol):
    """Where the engine says what it does while it works; never results."""

    def step(self, text: str) -> None:
        """Say a step that a person would name."""

    def warn(self, text: str) -> None:
        """Say something that a person should read although the work goes on."""

    def progress(self, text: str, done: int, total: int) -> None:
        """Say how far a long step is."""


class Clock(Protocol):
    """Time and new ids, so that tests can choose them."""

    def now(self) -> datetime:
        """Return the present time, aware, in UTC."""

    def new_id(self) -> str:
        """Return a new random UUID."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All that an engine function may use of the outside world."""

    hypervisor: Hypervisor
    definitions: Definitions
    images: Images
    host_files: HostFiles
    catalog: Catalog
    journals: JournalFiles
    locks: Locks
    reporter: Reporter
    clock: Clock
    wait_seconds: float = 0.0
