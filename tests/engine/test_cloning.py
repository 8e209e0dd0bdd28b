"""What of a source can be given to other machines, and what does not fit them."""

import pytest
from fakes.failing import Failing
from fakes.second_machine import second_machine

from vmsnap.engine.backup import create_backup
from vmsnap.engine.clone import clone_backup
from vmsnap.engine.requests import CloneRequest, CreateRequest, TpmChoice
from vmsnap.errors import (
    BackupNotFoundError,
    HostFileChangedError,
    NotAvailableError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import HostFileType

TPM_XML = '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>'
KEY_UUID = "5ec0ec0e-0000-4000-8000-000000000001"
ENCRYPTED = (
    '<tpm model="tpm-crb"><backend type="emulator" version="2.0">'
    f'<encryption secret="{KEY_UUID}"/></backend></tpm>'
)
QCOW2 = b"QFI\xfb" + bytes(20) + (4096).to_bytes(8, "big") + b"clusters"


@pytest.fixture
def source(world):
    return second_machine(world)


def edit(world, uuid, before, after):
    machine = world.hypervisor.machines[uuid]
    assert before in machine.xml
    machine.xml = machine.xml.replace(before, after)


def clone(world, source, **options):
    (target,) = clone_backup(
        world.ports, source.name, [world.name], CloneRequest(**options)
    ).targets
    if target.error is not None:
        raise target.error
    return target


def refused(world, source, error, match, **options):
    before = world.everything()
    with pytest.raises(error, match=match) as caught:
        clone(world, source, **options)
    assert world.everything() == before
    return caught.value


KEEP = {"tpm": TpmChoice.KEEP}


def without_nvram(world, uuid, nvram):
    edit(world, uuid, f"<nvram>{nvram}</nvram>", "")
    edit(world, uuid, "<loader", "<loader_")
    edit(world, uuid, "</loader>", "</loader_>")


def test_a_source_without_nvram_is_refused(world, source):
    without_nvram(world, source.uuid, source.nvram)
    refused(world, source, UnsupportedError, "has no nvram to give: the machine has none")


def test_a_target_without_nvram_is_refused(world, source):
    without_nvram(world, world.uuid, world.nvram)
    refused(world, source, UnsupportedError, "cannot take nvram of .*: the machine has none")


def test_a_source_that_was_never_started_is_refused(world, source):
    source.nvram.unlink()
    refused(world, source, NotAvailableError, "it was never started")


def test_a_store_of_another_size_is_of_another_firmware(world, source):
    source.nvram.write_bytes(bytes(8192))
    refused(world, source, UnsupportedError, "their firmware differs")


def test_a_qcow2_store_does_not_become_a_raw_one(world, source):
    source.nvram.write_bytes(QCOW2)
    refused(world, source, UnsupportedError, "is qcow2, that of .* is to be raw")


def test_qcow2_stores_are_compared_by_what_they_hold(world, source):
    edit(world, world.uuid, "<nvram>", '<nvram format="qcow2">')
    edit(world, source.uuid, "<nvram>", '<nvram format="qcow2">')
    source.nvram.write_bytes(QCOW2)
    world.nvram.write_bytes(QCOW2 + b"grown")
    clone(world, source)
    assert world.nvram.read_bytes() == QCOW2


def test_a_tpm_that_the_source_does_not_have_cannot_be_kept(world, source):
    edit(world, source.uuid, TPM_XML, "")
    refused(world, source, UnsupportedError, "has no tpm to give", **KEEP)
    clone(world, source)


def test_a_tpm_that_the_target_does_not_have_cannot_be_kept(world, source):
    edit(world, world.uuid, TPM_XML, "")
    refused(world, source, UnsupportedError, "cannot take tpm", **KEEP)
    clone(world, source)


def test_a_tpm_of_another_version_does_not_fit(world, source):
    edit(world, source.uuid, 'version="2.0"', 'version="1.2"')
    source.tpm.rename(source.tpm.with_name("tpm1.2"))
    refused(world, source, UnsupportedError, "is of version 2.0, not 1.2", **KEEP)


@pytest.mark.parametrize("group", [True, False])
def test_of_a_backup_too_the_tpms_version_is_known(world, source, group):
    world.tpm.rename(world.tpm.with_name("tpm1.2"))
    edit(world, world.uuid, 'version="2.0"', 'version="1.2"')
    if group:
        world.create("kept")
    else:
        create_backup(world.ports, world.name, CreateRequest(name="kept"))
    request = CloneRequest(backup="kept", **KEEP)
    (target,) = clone_backup(world.ports, world.name, [source.name], request).targets
    assert "is of version 2.0, not 1.2" in target.error.message


def test_an_encrypted_tpm_fits_only_where_the_same_secret_is_named(world, source):
    """H20."""
    world.hypervisor.secrets.add(KEY_UUID)
    edit(world, source.uuid, TPM_XML, ENCRYPTED)
    refused(world, source, UnsupportedError, "names 'none'", **KEEP)
    edit(world, world.uuid, TPM_XML, ENCRYPTED.replace("5ec", "6ec"))
    refused(world, source, UnsupportedError, "names '6ec", **KEEP)
    edit(world, world.uuid, "6ec", "5ec")
    clone(world, source, **KEEP)


def test_a_plain_tpm_does_not_fit_where_a_secret_is_named(world, source):
    """H20."""
    edit(world, world.uuid, TPM_XML, ENCRYPTED)
    refused(world, source, UnsupportedError, "'none', but", **KEEP)


def test_an_encrypted_tpm_is_refused_where_its_secret_is_not_defined(world, source):
    """H20."""
    for uuid in (world.uuid, source.uuid):
        edit(world, uuid, TPM_XML, ENCRYPTED)
    refused(world, source, NotAvailableError, "is not defined", **KEEP)


def test_a_backup_without_a_tpm_cannot_keep_it(world, source):
    without = frozenset({HostFileType.TPM})
    create_backup(world.ports, source.name, CreateRequest(name="kept", without=without))
    error = refused(world, source, NotAvailableError, "holds no tpm", backup="kept", **KEEP)
    assert error.hint == "--tpm reset"
    clone(world, source, backup="kept")


def test_a_backup_that_is_not_there_is_refused(world, source):
    refused(world, source, BackupNotFoundError, "has no backup 'kept'", backup="kept")


def test_a_source_that_is_being_changed_is_refused(world, source):
    machine = world.hypervisor.machines[source.uuid]
    machine.xml = world.ports.definitions.with_fence(machine.xml)
    refused(world, source, StateError, "are being changed by vmsnap")


def moving(world, source, times):
    """Let the source's guest write in the middle of its first readings."""
    left = [times]

    def write():
        left[0] -= 1
        if left[0] >= 0:
            source.touch_firmware(100 + left[0])

    class Moving:
        def __getattr__(self, name):
            return getattr(world.ports.host_files, name)

        def read(self, spec):
            found = world.ports.host_files.read(spec)
            if spec.path == source.nvram:
                write()
            return found

    return world.with_ports(host_files=Moving())


def test_a_source_that_writes_is_read_until_two_readings_are_equal(world, source):
    clone(moving(world, source, 3), source, **KEEP)
    assert {**world.machine(), **source.host_files()} == world.machine()


def test_a_source_that_never_rests_is_given_up(world, source):
    refused(moving(world, source, 100), source, HostFileChangedError, "change while they are read")


def test_a_reading_that_broke_off_is_tried_again(world, source):
    def fail():
        raise HostFileChangedError("it changed")

    clone(world.with_ports(host_files=Failing(world.ports.host_files, "read", fail)), source)
