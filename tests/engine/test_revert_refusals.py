"""What refuses a revert before anything is changed, and what fails it in the middle."""

import sqlite3

import pytest
from fakes.failing import Failing, raising

from vmsnap.errors import (
    DomainRunningError,
    GroupNotFoundError,
    HostFileChangedError,
    HostFileError,
    ImageError,
    LibvirtError,
    NoSpaceError,
    NotAvailableError,
    OtherHostError,
    StateError,
)
from vmsnap.model import DomainState, HostFileType, HostId

TPM = frozenset({HostFileType.TPM})
NVRAM = frozenset({HostFileType.NVRAM})


@pytest.fixture
def changed(world):
    """A group 'monday', and all that there is after the machine has changed."""
    world.create("monday")
    world.fill(2)
    return world.everything()


def forget_content(world, digest):
    with sqlite3.connect(world.folder / "state" / "vmsnap.db") as database:
        done = database.execute("update content_chunk set data = x'00' where sha256 = ?", [digest])
        assert done.rowcount
    database.close()


def backup_digest(world, type_):
    return world.rows()[0][0].resource.backup(type_).digest


def test_the_hint_for_a_paused_machine_resumes_it_first(world):
    world.create("monday")
    world.hypervisor.machines[world.uuid].state = DomainState.PAUSED
    with pytest.raises(DomainRunningError) as caught:
        world.revert("monday")
    assert caught.value.hint == f"virsh resume {world.name} && virsh shutdown {world.name}"


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED, DomainState.OTHER])
def test_a_machine_that_is_not_off_refuses_before_anything_changes(world, changed, state):
    """H35."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.machines[world.uuid].state = state
    world.hypervisor.calls.clear()
    with pytest.raises(DomainRunningError, match=state.value):
        world.revert("monday")
    assert not {"define", "switch_disks"} & {call[0] for call in world.hypervisor.calls}
    assert world.everything() == changed


def test_an_unknown_group_is_refused(world, changed):
    with pytest.raises(GroupNotFoundError, match="friday"):
        world.revert("friday")


def test_a_managed_save_image_refuses_without_its_flag(world, changed):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    with pytest.raises(StateError, match="managed-save"):
        world.revert("monday")
    assert world.everything() == changed


@pytest.mark.parametrize("type_", HostFileType)
def test_what_was_skipped_refuses_unless_the_live_one_is_left(world, type_):
    """H15: left out is not absent; the live file is never removed for it."""
    world.create("monday", without=frozenset({type_}))
    world.fill(2)
    before = world.everything()
    with pytest.raises(NotAvailableError, match=f"--leave {type_.value}"):
        world.revert("monday")
    assert world.everything() == before
    live = world.machine()[type_.value]
    world.revert("monday", leave=frozenset({type_}))
    assert world.machine()[type_.value] == live


def test_what_was_not_created_yet_refuses_where_there_is_a_live_one(world):
    """H15, H18."""
    world.nvram.unlink()
    world.create("monday")
    world.touch_firmware(7)
    before = world.everything()
    with pytest.raises(NotAvailableError, match="nvram"):
        world.revert("monday")
    assert world.everything() == before
    world.revert("monday", leave=NVRAM)
    assert world.machine()["nvram"] == before[0]["nvram"]


def test_what_was_not_created_yet_is_fine_where_there_is_none_still(world):
    world.nvram.unlink()
    world.create("monday")
    world.write("vda", 9)
    world.revert("monday")
    assert not world.nvram.exists()


@pytest.mark.parametrize("type_", HostFileType)
def test_a_damaged_content_refuses_unless_the_live_one_is_left(world, changed, type_):
    forget_content(world, backup_digest(world, type_))
    with pytest.raises(NotAvailableError):
        world.revert("monday")
    assert world.everything() == changed
    world.revert("monday", leave=frozenset({type_}))


def test_a_damaged_definition_refuses(world, changed):
    forget_content(world, world.rows()[0][0].definition_digest)
    with pytest.raises(NotAvailableError, match="content"):
        world.revert("monday")
    assert world.everything() == changed


def test_a_missing_or_changed_layer_refuses(world, changed):
    world.disks["vda"].touch()
    with pytest.raises(NotAvailableError, match="changed after it was frozen"):
        world.revert("monday", allow_disk_changes=True)
    world.disks["vda"].unlink()
    with pytest.raises(NotAvailableError, match="missing"):
        world.revert("monday", allow_disk_changes=True)
    assert world.rows() == changed[2]


def test_a_tpm_secret_that_is_not_defined_refuses(world):
    """H20: encrypted state without its secret is useless."""
    identity = "5ec2e700-0000-4000-8000-000000000001"
    world.edit(
        "<backend type='emulator' version='2.0'/>",
        f"<backend type='emulator' version='2.0'><encryption secret='{identity}'/></backend>",
    )
    world.create("monday")
    world.fill(2)
    before = world.everything()
    with pytest.raises(NotAvailableError, match=identity):
        world.revert("monday")
    assert world.everything() == before
    world.hypervisor.secrets.add(identity)
    world.revert("monday")


def test_a_group_that_another_domain_made_is_not_found(world, changed):
    """H12."""
    other = world.hypervisor.machines[world.uuid].xml.replace("aaaaaaaa", "bbbbbbbb")
    world.hypervisor.add(other.replace(world.name, "vmsnap-test-other"))
    group_id = world.rows()[0][0].id
    world.name = "vmsnap-test-other"
    for text in ("monday", group_id):
        with pytest.raises(GroupNotFoundError):
            world.revert(text)


def test_an_operation_that_another_host_has_begun_refuses(world, changed):
    """H61: it may be in the middle of the same disks."""
    real = world.ports.catalog
    operations = []
    watched = world.with_ports(catalog=_Reserving(real, operations))
    with pytest.raises(OtherHostError):
        watched.revert("monday")
    assert world.everything() == changed
    assert world.journals() == ()


class _Reserving:
    """Lets another host reserve first."""

    def __init__(self, real, seen):
        self._real = real
        self._seen = seen

    def __getattr__(self, name):
        return getattr(self._real, name)

    def reserve(self, operation, drafts, contents):
        from dataclasses import replace

        other = replace(operation, id="0" * 36, host_id=HostId("9" * 36))
        self._real.reserve(other, (), {})
        try:
            self._real.reserve(operation, drafts, contents)
        finally:
            self._real.discard(other.id)


# --- in between ---------------------------------------------------------------------------------


def test_a_machine_started_between_the_check_and_the_fence_is_left_alone(world, changed):
    """H26, H55."""
    world.hypervisor.on("define", lambda: world.hypervisor.start(world.uuid))
    with pytest.raises(DomainRunningError):
        world.revert("monday")
    world.hypervisor.stop(world.uuid)
    assert world.everything() == changed
    assert world.journals() == ()


def test_the_machine_cannot_be_started_while_its_files_are_exchanged(world, changed):
    """H55: libvirt's own message names the cure, and no TPM is touched."""
    refusals = []

    def start():
        with pytest.raises(LibvirtError) as caught:
            world.hypervisor.start(world.uuid)
        refusals.append(caught.value.message)

    for method in ("stage", "exchange", "discard"):
        world = world.with_ports(host_files=Failing(world.ports.host_files, method, start))
    world.revert("monday")
    assert len(refusals) == 3
    assert all("interrupted-run-vmsnap-recover" in text for text in refusals)
    world.hypervisor.start(world.uuid)


def test_a_host_file_that_moves_in_between_fails_the_revert(world, changed):
    """H17: what the safety group holds is what was there, or nothing is changed."""
    world.hypervisor.on("define", lambda: world.nvram.write_bytes(b"moved" * 100))
    with pytest.raises(HostFileChangedError):
        world.revert("monday")
    assert world.nvram.read_bytes() == b"moved" * 100
    world.touch_firmware(2)
    assert world.everything() == changed


def test_a_disk_that_is_written_in_between_fails_the_revert(world, changed):
    path = world.active("vda")
    world.hypervisor.on("define", path.touch)
    with pytest.raises(ImageError, match="changed in the meantime"):
        world.revert("monday")
    assert world.everything() == changed


@pytest.mark.parametrize(
    ("port", "method", "skip"),
    [
        ("images", "create_overlay", 0),
        ("images", "create_overlay", 1),
        ("host_files", "stage", 0),
        ("host_files", "stage", 1),
        ("host_files", "exchange", 0),
        ("host_files", "exchange", 1),
    ],
)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_failure_below_leaves_all_as_before(world, changed, port, method, skip, is_after):
    """H31, H36, H38: a disk that is full, at each place where something is written."""
    error = ImageError if port == "images" else HostFileError
    failing = Failing(
        getattr(world.ports, port),
        method,
        raising(error("no space left on device")),
        skip=skip,
        is_after=is_after,
    )
    with pytest.raises(error, match="no space left"):
        world.with_ports(**{port: failing}).revert("monday")
    assert world.everything() == changed
    assert world.journals() == ()


@pytest.mark.parametrize("when", ["before", "middle", "after"])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_failing_libvirt_leaves_all_as_before(world, changed, when, skip):
    """H24, H36."""
    world.hypervisor.fail("define", when=when, skip=skip)
    with pytest.raises(LibvirtError, match="injected"):
        world.revert("monday")
    assert world.everything() == changed


def test_a_disk_that_is_full_refuses_before_anything_changes(world, changed):
    """H31."""
    full = Failing(world.ports.images, "free_bytes", lambda: None)
    full.free_bytes = lambda _folder: 1000
    with pytest.raises(NoSpaceError):
        world.with_ports(images=full).revert("monday")
    assert world.everything() == changed


def test_an_edit_made_meanwhile_survives_a_failure(world, changed):
    """H58: what is put back is today's definition, not the one of an hour ago."""
    world.hypervisor.on("define", lambda: world.edit("262144", "131072"), skip=1)
    world.hypervisor.fail("define", skip=1)
    with pytest.raises(LibvirtError):
        world.revert("monday")
    assert "131072" in world.definition()
    world.edit("131072", "262144")
    assert world.everything() == changed
