"""What a snapshot would take, and why not."""

from dataclasses import replace
from pathlib import Path

import pytest

from vmsnap.engine.assess import assess_disks, assess_nvram, assess_tpm
from vmsnap.errors import ImageError, ProgramMissingError
from vmsnap.model import Definition, DiskDefinition, ImageInfo, NvramDefinition, TpmDefinition

DISK = DiskDefinition("vda", "disk", "file", Path("/images/web.qcow2"), "qcow2")
IMAGE = ImageInfo(DISK.path, "qcow2", 1, 1)


class Images:
    """A chain, or the reason why there is none."""

    def __init__(self, *chain):
        self.chain_of = chain

    def chains(self, images):
        return tuple(
            self.chain_of or ImageError(f"image '{path}' does not exist") for path, _ in images
        )


def verdict(disk, *chain):
    definition = Definition("d", "web", "bios", None, None, None, (disk,))
    (assessed,) = assess_disks(Images(*chain), definition)
    return assessed.verdict


def test_a_qcow2_or_raw_file_is_taken():
    assert verdict(DISK, IMAGE).is_taken
    assert verdict(replace(DISK, format="raw"), IMAGE).is_taken


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source_type": "network", "path": None}, "network"),
        ({"source_type": "block", "path": Path("/dev/sdz")}, "block"),
        ({"source_type": "volume", "path": None}, "volume"),
        ({"source_type": "slice"}, "slice"),
        ({"device": "lun"}, "passed through"),
        ({"is_shareable": True}, "shareable"),
        ({"is_encrypted": True}, "encrypted"),
        ({"is_transient": True}, "transient"),
        ({"snapshot_mode": "no"}, "snapshot='no'"),
        ({"snapshot_mode": "manual"}, "manual"),
        ({"format": "vmdk"}, "vmdk"),
        ({"format": None}, "None"),
    ],
    ids=str,
)
def test_a_writable_disk_that_cannot_be_taken_must_be_excluded_by_name(change, word):
    """H28, H34, H60: no format is probed, no encrypted disk gets a plain overlay."""
    found = verdict(replace(DISK, **change), IMAGE)
    assert (found.is_taken, found.must_be_excluded) == (False, True)
    assert word in found.reason


DEVICE = replace(DISK, source_type="block", path=Path("/dev/vg/web"), format="raw")
ON_DEVICE = ImageInfo(DEVICE.path, "raw", 1, 1, is_block_device=True)


def test_a_block_device_is_taken_with_a_folder_for_its_overlay():
    found = verdict(DEVICE, ON_DEVICE)
    assert (found.is_taken, found.must_be_excluded) == (True, False)
    assert "--overlay-dir" in found.reason


@pytest.mark.parametrize(
    ("disk", "image", "word"),
    [
        (replace(DEVICE, path=Path("/images/lv")), ON_DEVICE, "not below /dev"),
        (DEVICE, replace(ON_DEVICE, is_block_device=False), "no block device"),
        (replace(DISK, path=Path("/dev/vg/web")), ON_DEVICE, "is below /dev"),
        (DISK, ON_DEVICE, "a block device"),
    ],
)
def test_a_source_of_another_kind_than_its_definition_says_is_refused(disk, image, word):
    """Its definition would be given back with the wrong type, which QEMU does not start."""
    found = verdict(disk, image)
    assert (found.is_taken, found.must_be_excluded) == (False, True)
    assert word in found.reason


def test_an_image_in_shared_memory_is_a_file():
    path = Path("/dev/shm/web.qcow2")  # noqa: S108 no file is made there
    assert verdict(replace(DISK, path=path), IMAGE).is_taken


@pytest.mark.parametrize("change", [{"is_encrypted": True}, {"has_data_file": True}], ids=str)
@pytest.mark.parametrize("depth", [0, 1])
def test_an_image_that_cannot_be_taken_anywhere_in_the_chain_must_be_excluded(change, depth):
    """H60."""
    chain = [IMAGE, IMAGE]
    chain[depth] = replace(IMAGE, **change)
    found = verdict(DISK, *chain)
    assert (found.is_taken, found.must_be_excluded) == (False, True)


def test_an_image_that_is_gone_must_be_excluded():
    found = verdict(DISK)
    assert found.must_be_excluded
    assert "does not exist" in found.reason


def test_a_host_without_the_program_that_reads_images_is_no_reason_to_exclude_a_disk():
    class NoProgram:
        def chains(self, _images):
            raise ProgramMissingError("the program 'qemu-img' is not installed")

    definition = Definition("d", "web", "bios", None, None, None, (DISK,))
    with pytest.raises(ProgramMissingError):
        assess_disks(NoProgram(), definition)


@pytest.mark.parametrize(
    "change", [{"device": "cdrom"}, {"device": "floppy"}, {"is_read_only": True}], ids=str
)
def test_what_the_machine_does_not_write_is_left_out_in_peace(change):
    found = verdict(replace(DISK, **change))
    assert (found.is_taken, found.must_be_excluded) == (False, False)
    assert found.reason


@pytest.mark.parametrize("kind", ["network", "block", "varstore", "loader"])
def test_an_nvram_that_is_no_file_of_its_own_is_refused_by_name(kind):
    """H21."""
    found = assess_nvram(NvramDefinition(kind, Path("/x")))
    assert (found.is_taken, found.must_be_excluded) == (False, True)
    assert kind in found.reason


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
def test_an_nvram_file_of_any_format_and_place_is_taken(format_):
    """H21: its bytes are kept as they are."""
    assert assess_nvram(NvramDefinition("file", Path("/elsewhere/x"), format_)).is_taken


@pytest.mark.parametrize("source_type", ["dir", "file"])
def test_a_tpm_with_a_place_of_its_own_is_taken(source_type):
    """H21."""
    assert assess_tpm(TpmDefinition("emulator", "2.0", Path("/x"), source_type)).is_taken


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_an_emulated_tpm_is_taken(version):
    assert assess_tpm(TpmDefinition("emulator", version, Path("/x"))).is_taken


@pytest.mark.parametrize(
    "tpm",
    [
        TpmDefinition("passthrough", "2.0", None),
        TpmDefinition("external", "2.0", None),
        TpmDefinition("emulator", "2.0", Path("/x"), source_type="block"),
    ],
    ids=str,
)
def test_a_tpm_whose_state_is_elsewhere_is_refused_by_name(tpm):
    """H21."""
    found = assess_tpm(tpm)
    assert (found.is_taken, found.must_be_excluded) == (False, True)


def test_a_machine_without_them_is_left_in_peace():
    for found in (assess_nvram(None), assess_tpm(None)):
        assert (found.is_taken, found.must_be_excluded) == (False, False)
