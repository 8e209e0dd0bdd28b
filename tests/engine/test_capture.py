"""Capturing host files: four different things that a backup can say."""

import hashlib

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.capture import backups_of, capture, contents_of, host_file_spec, witnesses_of
from vmsnap.errors import HostFileChangedError, HostFileError, UnsupportedError
from vmsnap.model import Capture, HostFileType

NVRAM, TPM = HostFileType.NVRAM, HostFileType.TPM
TPM_XML = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


def captured(world, *without):
    definition = world.hypervisor.domain(world.uuid).definition
    items = capture(world.ports, definition, frozenset(without))
    assert [item.type for item in items] == list(HostFileType)
    return {item.type: item for item in items}


def test_what_is_there_is_captured_with_its_digest(world):
    items = captured(world)
    reading = items[NVRAM].reading
    assert reading.content == world.nvram.read_bytes()
    contents = contents_of(items.values())
    assert all(hashlib.sha256(data).hexdigest() == key for key, data in contents.items())
    assert len(contents) == 2


def moving_while_read(world, times):
    """Let the guest write at the very moment of so many readings."""
    moved = raising(HostFileChangedError("it changed while it was being read"))
    return world.with_ports(
        host_files=Failing(world.ports.host_files, "read", moved, times=times)
    ).ports


def test_what_a_guest_writes_while_it_is_read_is_read_again(world):
    """H16: a guest that writes now and then keeps nobody from a snapshot."""
    definition = world.hypervisor.domain(world.uuid).definition
    nvram, _ = capture(moving_while_read(world, 5), definition)
    assert nvram.reading.content == world.nvram.read_bytes()


def test_what_never_keeps_still_is_not_captured(world):
    """H4: every wait has a limit."""
    definition = world.hypervisor.domain(world.uuid).definition
    with pytest.raises(HostFileChangedError):
        capture(moving_while_read(world, 10**6), definition)


def test_the_whole_tpm_directory_is_taken(world):
    """H16: newer swtpm keeps backup files beside its state; `.lock` is no state."""
    (world.tpm / "tpm2-00.permall.bak").write_bytes(b"old")
    (world.tpm / "tpm2-00.volatilestate").write_bytes(b"volatile")
    (world.tpm / ".lock").touch()
    content = captured(world)[TPM].reading.content
    for name in (b"tpm2-00.permall", b"tpm2-00.permall.bak", b"tpm2-00.volatilestate"):
        assert name in content
    assert b".lock" not in content


def test_absent_not_created_and_skipped_are_told_apart(world):
    """H15, H18."""
    world.nvram.unlink()
    items = captured(world, TPM)
    assert items[NVRAM].capture is Capture.NOT_CREATED
    assert items[TPM].capture is Capture.SKIPPED
    world.edit(TPM_XML, "")
    assert captured(world, TPM)[TPM].capture is Capture.ABSENT


def test_an_empty_tpm_directory_is_no_state_yet(world):
    """H18, H45: swtpm would make a new TPM in it."""
    (world.tpm / "tpm2-00.permall").unlink()
    assert captured(world)[TPM].capture is Capture.NOT_CREATED


def test_what_cannot_be_read_fails_and_is_not_taken_for_absent(world):
    """H15, H22."""
    world.nvram.unlink()
    world.nvram.mkdir()
    with pytest.raises(HostFileError):
        captured(world)
    assert captured(world, NVRAM)[NVRAM].capture is Capture.SKIPPED


def test_what_is_not_ours_to_read_is_refused_by_name(world):
    """H21."""
    world.edit("type='emulator' version='2.0'", "type='passthrough'")
    with pytest.raises(UnsupportedError, match="passthrough") as caught:
        captured(world)
    assert "--without tpm" in caught.value.hint
    assert captured(world, TPM)[TPM].capture is Capture.SKIPPED


def test_an_nvram_that_the_definition_does_not_name_is_found(world):
    """H19: libvirt 9 with <os firmware='efi'> names no path."""
    live = world.nvram.read_bytes()
    world.edit(f"<nvram>{world.nvram}</nvram>", "")
    assert captured(world)[NVRAM].reading.content == live


def test_the_secret_is_named_and_never_stored(world):
    """H20."""
    identity = "5ec2e700-0000-4000-8000-000000000001"
    world.edit(
        "<backend type='emulator' version='2.0'/>",
        f"<backend type='emulator' version='2.0'><encryption secret='{identity}'/></backend>",
    )
    items = captured(world)
    rows = backups_of(items.values(), "r", world.ports.clock.now(), world.ports)
    assert {row.type: row.secret_id for row in rows} == {NVRAM: None, TPM: identity}
    assert "has_secret" not in {call[0] for call in world.hypervisor.calls}


def test_a_witness_stands_for_each_file_that_was_looked_at(world):
    """H17: also for one that was not there, so that its appearance is seen."""
    world.nvram.unlink()
    witnesses = {item.type: item for item in witnesses_of(captured(world).values())}
    assert witnesses[NVRAM].signature is None
    assert witnesses[TPM].signature
    assert set(witnesses) == {NVRAM, TPM}
    assert [item.type for item in witnesses_of(captured(world, TPM).values())] == [NVRAM]


def test_nothing_shows_what_was_read(world):
    """H50."""
    (world.tpm / "tpm2-00.permall").write_bytes(b"sealed")
    assert "sealed" not in repr(captured(world))


def test_a_definition_without_a_part_has_no_file(world):
    world.edit(TPM_XML, "")
    assert host_file_spec(world.hypervisor.domain(world.uuid).definition, TPM) is None
