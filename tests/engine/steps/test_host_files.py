"""Staging, swapping and discarding host files: each done, repeated and taken back."""

import os
import shutil
from dataclasses import replace

import pytest
from fakes.failing import Failing

from vmsnap.engine.steps.host_files import (
    ConfirmUnchanged,
    DiscardHostFile,
    StageHostFile,
    Swap,
    SwapHostFile,
    Witness,
)
from vmsnap.errors import ContentError, DomainRunningError, HostFileChangedError, HostFileError
from vmsnap.model import HostFileType
from vmsnap.ports import FileIdentity, HostFileSpec

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM


class Bed:
    """A live NVRAM, and another one that is to take its place."""

    def __init__(self, world, run):
        self.world, self.run = world, run
        self.path = world.nvram
        self.staged = self.path.with_name(".staged")
        self.files = world.ports.host_files
        world.create("monday")
        backup = world.rows()[0][0].resource.backup(NVRAM)
        world.touch_firmware(9)
        self.live = self.path.read_bytes()
        self.stage = StageHostFile(NVRAM, self.path, self.staged, backup.digest, backup.meta)
        self.digest = backup.digest

    def swap(self, how, digest=None):
        return SwapHostFile(
            NVRAM, self.path, self.staged, how, digest, self.files.identity(self.path)
        )

    def do(self, *steps):
        for step in steps:
            self.run.facts.update(step.do(self.run) or {})

    def undo(self, *steps):
        for step in steps:
            step.undo(self.run)


@pytest.fixture
def bed(world, run):
    return Bed(world, run)


@pytest.fixture
def exchange(bed):
    return bed.swap(Swap.EXCHANGE, bed.digest)


def test_a_file_is_staged_exchanged_and_taken_back(bed, exchange):
    bed.do(bed.stage, exchange)
    assert bed.path.read_bytes() == bytes([1]) * 4096
    assert bed.staged.read_bytes() == bed.live
    bed.undo(exchange, bed.stage)
    assert bed.path.read_bytes() == bed.live
    assert not bed.staged.exists()


def test_taking_back_can_be_repeated(bed, exchange):
    bed.do(bed.stage, exchange)
    bed.undo(exchange, exchange, bed.stage, exchange, bed.stage)
    assert bed.path.read_bytes() == bed.live


def test_what_was_only_staged_is_removed_and_the_live_one_left(bed, exchange):
    bed.do(bed.stage)
    bed.undo(exchange, bed.stage)
    assert bed.path.read_bytes() == bed.live
    assert not bed.staged.exists()


def test_the_live_file_is_never_removed_for_the_staged_one(bed, exchange):
    """H38: after an exchange it has the staged name; only a swap back may come before."""
    bed.do(bed.stage, exchange)
    with pytest.raises(HostFileError, match="not what vmsnap staged"):
        bed.undo(bed.stage)
    assert bed.staged.read_bytes() == bed.live


def test_a_device_with_another_number_after_a_power_cut_is_no_other_file(bed):
    """H38, H55: taken for another one, the live file would stay swapped or be thrown away."""
    swap = bed.swap(Swap.EXCHANGE, bed.digest)
    bed.do(bed.stage, swap)
    device, inode = bed.run.facts["staged:nvram"]
    bed.run.facts["staged:nvram"] = [device + 1, inode]
    bed.undo(swap, bed.stage)
    assert bed.path.read_bytes() == bed.live


def test_a_set_aside_file_survives_another_device_number(bed):
    """H15, H38."""
    live = bed.files.identity(bed.path)
    swap = replace(bed.swap(Swap.SET_ASIDE), live=FileIdentity(live.device + 1, live.inode))
    bed.do(swap)
    assert not bed.path.exists()
    bed.undo(swap)
    assert bed.path.read_bytes() == bed.live


def test_a_set_aside_file_comes_back_over_what_a_failing_start_made(bed):
    """H38: libvirt makes a missing NVRAM from its template."""
    swap = bed.swap(Swap.SET_ASIDE)
    bed.do(swap)
    bed.path.write_bytes(b"template")
    bed.undo(swap)
    assert bed.path.read_bytes() == bed.live
    assert not bed.staged.exists()


def restored(path):
    """Put a file's copy in its place, as does who restores the whole host from a backup."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_host_restored_in_between_has_other_inodes_and_the_right_file_comes_back(
    bed, exchange, is_swapped
):
    """H36, H38."""
    bed.do(bed.stage, *([exchange] if is_swapped else []))
    restored(bed.path)
    restored(bed.staged)
    bed.undo(exchange, bed.stage)
    assert bed.path.read_bytes() == bed.live
    assert not bed.staged.exists()


def test_a_file_that_was_set_aside_is_never_removed_for_its_inode(bed):
    """H15, H36."""
    swap = bed.swap(Swap.SET_ASIDE)
    bed.do(swap)
    restored(bed.staged)
    bed.undo(swap)
    assert bed.path.read_bytes() == bed.live


def test_of_two_files_nobody_guesses_which_is_the_machines(bed):
    """H15, H36."""
    swap = bed.swap(Swap.SET_ASIDE)
    bed.do(swap)
    bed.path.write_bytes(b"template")
    restored(bed.staged)
    with pytest.raises(HostFileError, match="cannot tell which"):
        bed.undo(swap)
    assert bed.staged.read_bytes() == bed.live


def test_a_missing_file_is_placed_and_taken_back(bed):
    bed.path.unlink()
    swap = replace(bed.swap(Swap.PLACE, bed.digest), live=None)
    bed.do(bed.stage, swap)
    assert bed.path.exists()
    bed.undo(swap, bed.stage)
    assert not bed.path.exists()
    assert not bed.staged.exists()


def test_a_file_is_placed_over_nothing_only(bed):
    """H38."""
    swap = replace(bed.swap(Swap.PLACE, bed.digest), live=None)
    bed.do(bed.stage)
    with pytest.raises(HostFileError):
        bed.do(swap)
    assert bed.path.read_bytes() == bed.live


def test_what_does_not_read_back_as_written_is_an_error(bed, exchange):
    """H38: proof, not hope."""
    bed.do(bed.stage)
    bed.staged.write_bytes(b"half")
    with pytest.raises(ContentError):
        bed.do(exchange)
    bed.undo(exchange)
    assert bed.path.read_bytes() == bed.live


@pytest.mark.parametrize("is_undo", [False, True], ids=["do", "undo"])
def test_nothing_is_swapped_under_a_running_machine(bed, exchange, is_undo):
    """H35."""
    bed.do(bed.stage)
    if is_undo:
        bed.do(exchange)
    bed.world.hypervisor.start(bed.world.uuid)
    with pytest.raises(DomainRunningError):
        (exchange.undo if is_undo else exchange.do)(bed.run)


def test_what_was_replaced_is_removed_once(bed, exchange):
    discard = DiscardHostFile(NVRAM, bed.path, bed.staged)
    bed.do(bed.stage, exchange, discard, discard)
    assert not bed.staged.exists()
    assert bed.path.read_bytes() == bytes([1]) * 4096


def test_a_tpm_directory_is_never_absent_while_it_is_exchanged(world, run):
    """H38, H45: swtpm would make a new TPM over the evidence."""
    world.create("monday")
    backup = world.rows()[0][0].resource.backup(TPM)
    world.touch_firmware(9)
    seen = []

    def look():
        seen.append((world.tpm / "tpm2-00.permall").exists())

    staged = world.tpm.with_name(".staged")
    identity = world.ports.host_files.identity(world.tpm)
    for method in ("stage", "exchange", "discard"):
        for is_after in (False, True):
            failing = Failing(world.ports.host_files, method, look, is_after=is_after)
            world = world.with_ports(host_files=failing)
    run.ports = world.ports
    for step in (
        StageHostFile(TPM, world.tpm, staged, backup.digest, backup.meta),
        SwapHostFile(TPM, world.tpm, staged, Swap.EXCHANGE, backup.digest, identity),
        DiscardHostFile(TPM, world.tpm, staged),
    ):
        run.facts.update(step.do(run) or {})
    assert seen == [True] * 6
    assert (world.tpm / "tpm2-00.permall").read_bytes() == bytes([1]) * 100


def _rewrite(path):
    path.write_bytes(bytes([9]) * len(path.read_bytes()))
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "move", [lambda path: path.write_bytes(b"x"), lambda path: path.unlink(), _rewrite]
)
def test_a_file_that_moved_since_it_was_read_is_seen(world, run, move):
    """H16, H17: bytes, size, mtime and ctime."""
    reading = world.ports.host_files.read(HostFileSpec(NVRAM, world.nvram))
    witness = Witness(NVRAM, world.nvram, reading.signature)
    ConfirmUnchanged((witness,), ()).do(run)
    move(world.nvram)
    with pytest.raises(HostFileChangedError):
        ConfirmUnchanged((witness,), ()).do(run)


def test_a_file_that_appeared_is_seen(world, run):
    """H17."""
    live = world.nvram.read_bytes()
    world.nvram.unlink()
    witness = Witness(NVRAM, world.nvram, None)
    ConfirmUnchanged((witness,), ()).do(run)
    world.nvram.write_bytes(live)
    with pytest.raises(HostFileChangedError):
        ConfirmUnchanged((witness,), ()).do(run)


def test_a_machine_that_runs_proves_nothing(world, run):
    """H26."""
    world.hypervisor.start(world.uuid)
    with pytest.raises(DomainRunningError):
        ConfirmUnchanged((), ()).do(run)
