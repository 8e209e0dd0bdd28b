"""What of a machine a snapshot would take, and why not (pure, but for reading image headers)."""

from collections.abc import Sequence
from dataclasses import dataclass

from vmsnap.engine.results import PartVerdict
from vmsnap.errors import ImageError
from vmsnap.model import (
    Definition,
    DiskDefinition,
    ImageInfo,
    NvramDefinition,
    TpmDefinition,
    is_device_path,
)
from vmsnap.ports import Images

IMAGE_FORMATS = ("qcow2", "raw")
SOURCE_TYPES = ("file", "block")
TPM_SOURCES = (None, "dir", "file")
"""None is libvirt's own place, a directory."""


@dataclass(frozen=True, slots=True)
class AssessedDisk:
    """A disk, its chain (topmost first, empty if it cannot be read) and the verdict on it."""

    disk: DiskDefinition
    chain: tuple[ImageInfo, ...]
    verdict: PartVerdict

    @property
    def is_unreadable(self) -> bool:
        """Whether it is only its image, missing or broken, that keeps the disk from being taken."""
        return not self.chain and verdict_by_definition(self.disk).is_taken


def assess_disks(images: Images, definition: Definition) -> tuple[AssessedDisk, ...]:
    """Look at every disk of a definition; the images of all are read side by side."""
    asked = {
        disk.target: (disk.path, disk.format)
        for disk in definition.disks
        if disk.path is not None and verdict_by_definition(disk).is_taken
    }
    chains = dict(zip(asked, images.chains(tuple(asked.values())), strict=True))
    return tuple(_assess(disk, chains.get(disk.target)) for disk in definition.disks)


def left_out_by_kind(disk: DiskDefinition) -> str | None:
    """Say why a disk is left out in peace: it holds nothing that the machine writes."""
    if disk.device in {"cdrom", "floppy"}:
        return f"a {disk.device} is not part of a snapshot"
    if disk.is_read_only:
        return "it is read-only"
    return None


def verdict_by_definition(disk: DiskDefinition) -> PartVerdict:
    """Say whether a disk would be taken, as far as its definition tells without its image."""
    reason = left_out_by_kind(disk)
    if reason is not None:
        return PartVerdict(disk.target, is_taken=False, reason=reason)
    reason = _why_not(disk)
    if reason is None and disk.source_type == "block":
        return PartVerdict(disk.target, is_taken=True, reason="its overlay needs --overlay-dir")
    return PartVerdict(
        disk.target, is_taken=reason is None, reason=reason, must_be_excluded=reason is not None
    )


def assess_nvram(nvram: NvramDefinition | None) -> PartVerdict:
    """Say whether the UEFI variable store can be captured."""
    if nvram is None:
        return PartVerdict("nvram", is_taken=False, reason="the machine has none")
    if nvram.kind == "file" and nvram.path is not None:
        return PartVerdict("nvram", is_taken=True)
    return PartVerdict(
        "nvram",
        is_taken=False,
        reason=f"an NVRAM of kind '{nvram.kind}' cannot be captured",
        must_be_excluded=True,
    )


def assess_tpm(tpm: TpmDefinition | None) -> PartVerdict:
    """Say whether the TPM's state can be captured."""
    if tpm is None:
        return PartVerdict("tpm", is_taken=False, reason="the machine has none")
    if tpm.backend != "emulator":
        reason = f"a TPM of backend '{tpm.backend}' keeps its state elsewhere"
    elif tpm.source_type not in TPM_SOURCES or tpm.path is None:
        reason = f"a TPM state with a <source> of type '{tpm.source_type}' cannot be captured"
    else:
        return PartVerdict("tpm", is_taken=True)
    return PartVerdict("tpm", is_taken=False, reason=reason, must_be_excluded=True)


def _assess(disk: DiskDefinition, found: tuple[ImageInfo, ...] | ImageError | None) -> AssessedDisk:
    if found is None:
        return AssessedDisk(disk, (), verdict_by_definition(disk))
    chain = () if isinstance(found, ImageError) else found
    reason = found.message if isinstance(found, ImageError) else _why_not_image(disk, found)
    verdict = verdict_by_definition(disk)
    if reason is not None:
        verdict = PartVerdict(disk.target, is_taken=False, reason=reason, must_be_excluded=True)
    return AssessedDisk(disk, chain, verdict)


def _why_not(disk: DiskDefinition) -> str | None:
    if disk.source_type not in SOURCE_TYPES or disk.path is None:
        return f"a disk of type '{disk.source_type}' cannot be snapshotted"
    if (disk.source_type == "block") != is_device_path(disk.path):
        # A definition would be given back with the other type, which QEMU does not start.
        where = "is not below /dev" if disk.source_type == "block" else "is below /dev"
        return f"it is of type '{disk.source_type}', but '{disk.path}' {where}"
    if disk.device != "disk":
        return f"a disk of device '{disk.device}' is passed through"
    if disk.is_shareable:
        return "it is shareable: other machines may write to it"
    if disk.is_encrypted:
        return "it is encrypted by QEMU: an overlay would be plain"
    if disk.is_transient:
        return "it is transient: its changes are meant to be lost"
    if disk.snapshot_mode in {"no", "manual"}:
        return f"its definition says snapshot='{disk.snapshot_mode}'"
    if disk.format not in IMAGE_FORMATS:
        return f"an image of format '{disk.format}' cannot be snapshotted"
    return None


def _why_not_image(disk: DiskDefinition, chain: Sequence[ImageInfo]) -> str | None:
    if (disk.source_type == "block") != chain[0].is_block_device:
        what = "a" if chain[0].is_block_device else "no"
        return f"it is of type '{disk.source_type}', but '{disk.path}' is {what} block device"
    if any(image.is_encrypted for image in chain):
        return "its image is encrypted: an overlay would be plain"
    if any(image.has_data_file for image in chain):
        return "its image has an external data file"
    return None
