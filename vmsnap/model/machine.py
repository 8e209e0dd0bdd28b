"""The machine as libvirt has it: its definition, and one look at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from vmsnap.model.ids import DomainId


class HostFileType(Enum):
    """A file on the host that is part of the machine but is no disk."""

    NVRAM = "nvram"
    TPM = "tpm"


class DomainState(Enum):
    """The states that vmsnap tells apart; OTHER is anything that is neither off nor plainly on."""

    SHUT_OFF = "shut off"
    RUNNING = "running"
    PAUSED = "paused"
    OTHER = "other"


def is_device_path(path: Path) -> bool:
    """Tell whether a definition's path is taken for a block device: below /dev, but not shm."""
    parts = path.parts
    return parts[:2] == ("/", "dev") and parts[2:3] not in {(), ("shm",)}


@dataclass(frozen=True, slots=True)
class DiskDefinition:
    """One `<disk>` of a domain's definition.

    `device` is disk, cdrom, floppy or lun; `source_type` is libvirt's disk type (file, block,
    network, volume, ...); `path` is None for an empty drive and for sources that are no path.
    `volume` names pool and volume of a disk whose path only libvirt knows, until it is looked up.
    """

    target: str
    device: str
    source_type: str
    path: Path | None
    format: str | None
    is_read_only: bool = False
    is_shareable: bool = False
    is_encrypted: bool = False
    is_transient: bool = False
    snapshot_mode: str | None = None
    volume: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class NvramDefinition:
    """Where the UEFI variable store is; `kind` is file, block, network or varstore.

    `is_derived` says that the definition names no path and libvirt's default was taken (libvirt 9
    with `<os firmware='efi'>`). `format` is raw or qcow2.
    """

    kind: str
    path: Path | None
    format: str = "raw"
    is_derived: bool = False


@dataclass(frozen=True, slots=True)
class TpmDefinition:
    """The virtual TPM; `backend` is emulator, passthrough or external.

    `path` is the directory that swtpm keeps its state in (for libvirt's default
    `.../swtpm/UUID/tpm2` or `tpm1.2`); None for backends without one. `source_type` is "dir" or
    "file" where the definition names a source of its own. `secret_id` is the UUID of the libvirt
    secret that encrypts the state.
    """

    backend: str
    version: str
    path: Path | None
    source_type: str | None = None
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """What vmsnap reads from a domain's XML."""

    id: DomainId
    name: str
    firmware: str
    """"uefi" or "bios"."""
    secure_boot: bool | None
    nvram: NvramDefinition | None
    tpm: TpmDefinition | None
    disks: tuple[DiskDefinition, ...]
    is_fenced: bool = False


@dataclass(frozen=True, slots=True)
class ForeignSnapshot:
    """A snapshot that libvirt keeps itself, with metadata.

    `kept_paths` are the files that its disks used when it was taken: an external one has frozen
    them, an internal one is inside of them. `made_paths` are what an external one put on them (to
    be written to as before), and where it saved the RAM.
    """

    name: str
    is_external: bool
    kept_paths: tuple[Path, ...] = ()
    made_paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """Something long that libvirt is doing; `target` is its disk, None if it is about all of it."""

    kind: str
    target: str | None = None

    def __str__(self) -> str:
        """Return readable words."""
        return self.kind if self.target is None else f"{self.kind} on {self.target}"


@dataclass(frozen=True, slots=True)
class Domain:
    """One look at a domain of this host.

    `xml` is the inactive definition with its security info: a secret, never to be shown or logged.
    `definition` is that XML, read; `live` is what a running domain was started with and has become,
    None if it is off. `active_paths` is what each disk really uses now: from the live XML when it
    runs, else from the inactive one. `chains` are the files that QEMU has open for each disk,
    topmost first, as libvirt lists them; empty if the domain is off. `agent` is "connected" or
    "disconnected" where a running domain has a channel for a guest agent. `block_jobs`
    are those on disks and on the whole domain, `checkpoints` the names of libvirt's checkpoints,
    `foreign_snapshots` its snapshots with metadata: what can make changes unsafe.
    """

    id: DomainId
    name: str
    state: DomainState
    is_persistent: bool
    has_managed_save: bool
    xml: str = field(repr=False)
    definition: Definition
    active_paths: Mapping[str, Path]
    chains: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    live: Definition | None = None
    agent: str | None = None
    block_jobs: tuple[Job, ...] = ()
    checkpoints: tuple[str, ...] = ()
    foreign_snapshots: tuple[ForeignSnapshot, ...] = ()

    @property
    def current(self) -> Definition:
        """What is in force now: the live definition of a domain that runs, else the inactive."""
        return self.live if self.live is not None else self.definition


@dataclass(frozen=True, slots=True)
class DomainSummary:
    """A line of `vm list` before anything expensive was asked."""

    id: DomainId
    name: str
    state: DomainState
