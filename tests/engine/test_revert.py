"""Reverting a machine that is shut off: everything back, and what it was kept."""

import hashlib
import os
import stat

import pytest

from vmsnap.engine.requests import RevertRequest
from vmsnap.engine.revert import revert_group
from vmsnap.model import Capture, GroupKind, HostFileType

VNC = "<graphics type='vnc' passwd='{}'/>"
TPM_XML = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"


@pytest.fixture
def monday(world):
    """What the machine was when 'monday' was made; it has changed altogether since."""
    before = world.machine()
    world.create("monday")
    world.fill(2)
    return before


def safety_of(world):
    (group,) = [group for group in world.rows()[0] if group.kind is GroupKind.SAFETY]
    return group


def test_disks_nvram_and_tpm_are_as_they_were(world, monday):
    """H36: not half of Monday and half of Friday."""
    world.revert("monday")
    assert world.machine() == monday
    assert world.journals() == ()
    assert world.ports.hypervisor.domain(world.uuid).definition.is_fenced is False


def test_the_definition_with_its_vnc_password_is_as_it_was(world):
    world.create("monday")
    before = world.definition()
    world.edit(VNC.format("hush"), VNC.format("other"))
    world.edit("262144", "524288")
    world.revert("monday")
    after = world.definition()
    assert VNC.format("hush").replace("'", '"') in after
    sources = {target: (world.active(target), "qcow2") for target in world.disks}
    definitions = world.ports.definitions
    assert definitions.same(definitions.with_sources(before, sources), after)


def test_the_present_is_kept_first_as_a_safety_group(world, monday):
    """H37."""
    present = world.machine()
    result = world.revert("monday")
    safety = safety_of(world)
    assert result.safety.id == safety.id
    layers = {layer.id: layer for layer in world.rows()[2]}
    kept = {item.target: layers[item.layer_id] for item in safety.snapshots}
    for target, layer in kept.items():
        data = world.read(layer.path, layer.format)
        assert hashlib.sha256(data).hexdigest() == present[target]
    for type_, name in ((HostFileType.NVRAM, "nvram"), (HostFileType.TPM, "tpm")):
        backup = safety.resource.backup(type_)
        assert backup.capture is Capture.CAPTURED
        assert present[name] in world.ports.catalog.content(backup.digest)
    (record,) = world.rows()[3]
    assert record.safety_id == safety.id


def test_the_machine_then_stands_on_the_group(world, monday):
    world.revert("monday")
    groups = {group.name: group for group in world.rows()[0]}
    (record,) = world.rows()[3]
    assert record.current_id == groups["monday"].id


def test_the_group_is_not_used_up(world, monday):
    """H14: a group's data are read-only; it can be reverted to again and again."""
    for value in (5, 6):
        world.revert("monday")
        assert world.machine() == monday
        world.fill(value)


def test_a_rename_of_the_domain_survives(world, monday):
    """H58."""
    world.hypervisor.rename(world.uuid, "vmsnap-test-renamed")
    revert_group(world.ports, world.uuid, "monday", RevertRequest())
    assert world.machine() == monday
    assert world.hypervisor.domain(world.uuid).name == "vmsnap-test-renamed"


def test_keep_definition_changes_the_disks_sources_only(world, monday):
    world.edit("262144", "524288")
    world.revert("monday", keep_definition=True)
    assert "524288" in world.definition()
    assert world.machine() == monday


def test_no_backing_store_is_left_in_what_is_defined(world):
    """H53: libvirt would believe it instead of the images' headers."""
    chain = (
        "<backingStore type='file'><format type='raw'/><source file='/old'/></backingStore>"
        "<target dev='vda'"
    )
    world.edit("<target dev='vda'", chain)
    world.create("monday")
    world.edit("<target dev='vda'", chain)
    for keep in (True, False):
        world.revert("monday", keep_definition=keep)
        assert "backingStore" not in world.hypervisor.machines[world.uuid].xml


def test_owner_and_mode_of_the_host_files_are_put_back(world):
    """H39."""
    secret = world.tpm / "tpm2-00.permall"
    os.chown(world.nvram, 1234, 1235)
    world.nvram.chmod(0o640)
    for path in (world.tpm, secret):
        os.chown(path, 1236, 1237)
    secret.chmod(0o600)
    world.create("monday")
    for path in (world.nvram, world.tpm, secret):
        os.chown(path, 0, 0)
    world.nvram.chmod(0o644)
    world.tpm.chmod(0o755)
    world.touch_firmware(2)
    world.revert("monday")

    def owner(path):
        status = path.stat()
        return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))

    assert owner(world.nvram) == (1234, 1235, 0o640)
    assert owner(world.tpm) == (1236, 1237, 0o700)
    assert owner(secret) == (1236, 1237, 0o600)
    assert stat.S_IMODE(world.tpm.parent.stat().st_mode) == 0o711


def test_host_files_that_were_removed_since_are_made_again(world, monday):
    world.nvram.unlink()
    (world.tpm / "tpm2-00.permall").unlink()
    world.tpm.rmdir()
    world.tpm.parent.rmdir()
    world.revert("monday")
    assert world.machine() == monday


def test_nothing_staged_is_left_beside_the_host_files(world, monday):
    world.revert("monday")
    assert [path.name for path in world.nvram.parent.iterdir()] == [world.nvram.name]
    assert [path.name for path in world.tpm.parent.iterdir()] == ["tpm2"]


@pytest.mark.parametrize("type_", HostFileType)
def test_leave_keeps_a_live_host_file(world, monday, type_):
    present = world.machine()
    world.revert("monday", leave=frozenset({type_}))
    kept = type_.value
    assert world.machine() == {**monday, kept: present[kept]}


def test_absent_removes_the_live_file(world):
    """H15: only where the group says that the machine had none by its definition."""
    state = (world.tpm / "tpm2-00.permall").read_bytes()
    world.edit(TPM_XML, "")
    world.create("monday")
    world.edit("<graphics", f"{TPM_XML}<graphics")
    assert world.machine()["tpm"] == state
    world.revert("monday")
    assert not world.tpm.exists()
    assert "<tpm" not in world.definition()
    world.undo()
    assert world.machine()["tpm"] == state


def test_a_dry_run_says_what_would_change_and_changes_nothing(world, monday):
    before = world.everything()
    result = world.revert("monday", dry_run=True)
    assert result.is_done is False
    said = "\n".join(result.changes)
    assert all(word in said for word in ("disk vda", "disk vdb", "nvram", "tpm"))
    assert world.everything() == before
    assert world.journals() == ()


def test_without_safety_the_layers_that_are_left_are_dropped(world, monday):
    files = world.files()
    result = world.revert("monday", with_safety=False)
    assert result.safety is None
    assert world.machine() == monday
    assert len(world.files()) == len(files)
    assert [group.name for group in world.rows()[0]] == ["monday"]
    (record,) = world.rows()[3]
    assert record.safety_id is None


def test_without_safety_a_layer_that_a_group_needs_stays(world, monday):
    world.create("tuesday")
    tuesday = world.machine()
    world.fill(3)
    world.revert("monday", with_safety=False)
    assert world.machine() == monday
    world.revert("tuesday", with_safety=False)
    assert world.machine() == tuesday


def test_a_managed_save_image_is_fenced_meanwhile_and_gone_afterwards(world, monday):
    """H27: it would resume a memory that does not fit the disks."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    refusals = []

    def start():
        with pytest.raises(Exception, match="interrupted-run-vmsnap-recover") as caught:
            world.hypervisor.start(world.uuid)
        refusals.append(caught.value)

    world.hypervisor.on("define", start, when="after")
    world.revert("monday", drop_managed_save=True)
    assert refusals
    assert world.machine() == monday
    assert world.hypervisor.machines[world.uuid].saved_xml is None


def test_a_managed_save_image_is_put_back_if_the_revert_fails(world, monday):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    saved = world.hypervisor.machines[world.uuid].saved_xml
    before = world.everything()
    world.hypervisor.fail("define", skip=1)
    with pytest.raises(Exception, match="injected"):
        world.revert("monday", drop_managed_save=True)
    assert world.everything() == before
    assert world.hypervisor.machines[world.uuid].saved_xml == saved
