"""Creating groups of a machine that is shut off."""

import os
import shutil
import stat
import subprocess
from collections import Counter

import pytest

from vmsnap.engine.delete import delete_groups
from vmsnap.engine.requests import DeleteRequest
from vmsnap.errors import (
    DatabaseError,
    DomainNotFoundError,
    InvalidNameError,
    NameTakenError,
    StateError,
    UnsupportedError,
    UsageError,
)
from vmsnap.model import Capture, GroupState, HostFileType


class LostBehindTheEnd:
    """A catalog that answers no more once an operation was finished."""

    def __init__(self, real):
        self.real = real
        self.is_lost = False

    def __getattr__(self, name):
        if self.is_lost:
            raise DatabaseError("the server is gone")
        self.is_lost = name == "finish"
        return getattr(self.real, name)


def test_two_programs_are_started_for_each_disk_however_many_machines_there_are(
    world, tmp_path, monkeypatch
):
    """Each costs as long as all of SQLite's work; headers tell who else uses an image."""
    for number in range(3):
        base, name = world.disks["vda"].with_name(f"base-{number}.qcow2"), f"neighbour-{number}"
        shutil.copy(world.disks["vda"], base)
        top = world.stacked(base, name)
        world.hypervisor.add(
            f"<domain type='qemu'><name>{name}</name><uuid>bbbbbbbb-0000-4000-8000-00000000000"
            f"{number}</uuid><devices><disk type='file' device='disk'><driver name='qemu'"
            f" type='qcow2'/><source file='{top}'/><target dev='vda'/></disk></devices></domain>"
        )
    started = tmp_path / "started"
    program = tmp_path / "bin" / "qemu-img"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >>{started}\nexec {shutil.which("qemu-img")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    world.create("monday")
    disks = len(world.disks)
    assert Counter(started.read_text().split()) == {"info": disks, "create": disks}


def test_a_database_that_is_lost_behind_the_last_step_takes_no_group_back(world):
    """H5, H57: the status must not say that all was undone."""
    made = world.with_ports(catalog=LostBehindTheEnd(world.ports.catalog)).create("monday").group
    assert "the server is gone" in world.ports.reporter.warnings[0]
    (group,) = world.rows()[0]
    assert (made.group.id, made.group.state, made.is_current) == (group.id, GroupState.READY, True)
    assert made.group.snapshots == group.snapshots
    layers = {layer.id: layer.path for layer in world.rows()[2]}
    assert [disk.frozen_path for disk in made.disks] == [
        layers[item.layer_id] for item in made.group.snapshots
    ]


def test_a_group_holds_disks_nvram_tpm_and_definition(world):
    before = world.machine()
    definition = world.definition()
    result = world.create("monday")
    group = result.group
    assert group.group.state is GroupState.READY
    assert group.is_current
    assert world.machine() == before
    world.fill(2)
    assert world.group_disks(group) == {target: before[target] for target in world.disks}
    for type_ in HostFileType:
        backup = group.group.resource.backup(type_)
        assert backup.capture is Capture.CAPTURED
    nvram = group.group.resource.backup(HostFileType.NVRAM)
    assert world.ports.catalog.content(nvram.digest) == before["nvram"]
    kept = world.ports.catalog.content(group.group.definition_digest).decode()
    assert world.ports.definitions.same(kept, definition)
    assert "hush" in kept
    assert world.journals() == ()


def test_overlays_are_private_lie_beside_the_image_and_carry_no_user_text(world):
    """H25, H34: 0600, owner as the base, format recorded; H51: the name is no file name."""
    result = world.create("../../etc; rm -rf".replace("/", "_").lstrip("."))
    for disk in result.group.disks:
        overlay = world.active(disk.target)
        assert overlay.parent == world.disks[disk.target].parent
        assert overlay.name.startswith("web.vmsnap-")
        assert stat.S_IMODE(overlay.stat().st_mode) == 0o600
        assert world.ports.images.info(overlay).backing_format == disk.format
        assert "etc" not in overlay.name


def test_a_second_group_keeps_the_stem_of_the_first_image(world):
    world.create("one")
    world.create("two")
    assert world.active("vda").name.count("vmsnap-") == 1


def test_generated_names_sort_by_time(world):
    names = [world.create().name for _ in range(3)]
    assert names == sorted(names)
    assert len(set(names)) == 3


def test_a_dry_run_changes_nothing(world):
    before = world.everything()
    result = world.create("maybe", dry_run=True)
    assert result.group is None
    assert {part.name: part.is_taken for part in result.disks} == {
        "vda": True,
        "vdb": True,
        "sda": False,
    }
    assert world.everything() == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": "a/b"}, InvalidNameError),
        ({"name": "a\nb"}, InvalidNameError),
        ({"name": "-a"}, InvalidNameError),
        ({"name": ".a"}, InvalidNameError),
        ({"name": ""}, InvalidNameError),
        ({"name": "x" * 300}, InvalidNameError),
        ({"exclude": ("vdz",)}, UsageError),
        ({"exclude": ("vda", "vdb")}, StateError),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(world, options, error):
    """H51."""
    before = world.everything()
    with pytest.raises(error):
        world.create(**options)
    assert world.everything() == before


def test_a_name_in_chinese_works(world):
    world.create("升级之前")
    assert world.rows()[0][0].name == "升级之前"


def test_a_taken_name_is_refused(world):
    world.create("monday")
    before = world.everything()
    with pytest.raises(NameTakenError):
        world.create("monday")
    assert world.everything() == before


def test_an_unknown_domain_is_refused(world):
    world.name = "nobody"
    with pytest.raises(DomainNotFoundError):
        world.create("monday")


def test_a_managed_save_image_refuses(world):
    """H27."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.save(world.uuid)
    with pytest.raises(StateError, match="managed-save"):
        world.create("monday")


@pytest.mark.parametrize("extra", ["<shareable/>", "<transient/>", "<encryption format='luks'/>"])
def test_a_disk_that_cannot_be_taken_refuses_unless_it_is_excluded(world, extra):
    """H28, H60."""
    world.edit("<target dev='vdb' bus='virtio'/>", f"<target dev='vdb' bus='virtio'/>{extra}")
    before = world.everything()
    with pytest.raises(UnsupportedError, match="vdb"):
        world.create("monday")
    assert world.everything() == before
    result = world.create("monday", exclude=("vdb",))
    assert [disk.target for disk in result.group.disks] == ["vda"]
    assert {item.target for item in result.left_out} == {"vdb", "sda"}


def test_a_disk_may_be_left_out_whether_it_is_there_or_not(world):
    result = world.create("monday", exclude_if_there=("vdb", "vdz"))
    assert [disk.target for disk in result.group.disks] == ["vda"]
    assert {item.target for item in result.left_out} == {"vdb", "sda"}


@pytest.mark.parametrize("option", ["exclude", "exclude_if_there"])
def test_a_dry_run_says_of_an_excluded_disk_that_it_is_left_out(world, option):
    result = world.create("monday", dry_run=True, **{option: ("vdb",)})
    said = {part.name: (part.is_taken, part.reason) for part in result.disks}
    assert said["vda"] == (True, None)
    assert said["vdb"] == (False, "excluded by name")


def test_an_image_that_is_gone_refuses(world):
    world.disks["vdb"].unlink()
    with pytest.raises(UnsupportedError, match="vdb"):
        world.create("monday")


def test_an_image_that_another_domain_uses_refuses(world):
    """H28: another machine under whose feet the base would be frozen and merged into."""
    machine = world.hypervisor.machines[world.uuid].xml
    other = machine.replace(world.name, "vmsnap-test-other").replace(world.uuid[:8], "bbbbbbbb")
    world.hypervisor.add(other)
    with pytest.raises(StateError, match="vmsnap-test-other"):
        world.create("monday")


def test_a_chain_too_deep_for_libvirt_refuses(world):
    """H32."""
    world.hypervisor.depth = 3
    world.create("one")
    world.create("two")
    with pytest.raises(StateError, match="layers"):
        world.create("three")


def test_what_was_left_out_is_skipped_and_what_is_not_there_is_told_apart(world):
    """H15, H18: skipped, not created and absent are three things."""
    world.nvram.unlink()
    world.create("one", without=frozenset({HostFileType.TPM}))
    group = world.rows()[0][0]
    assert group.resource.backup(HostFileType.TPM).capture is Capture.SKIPPED
    assert group.resource.backup(HostFileType.NVRAM).capture is Capture.NOT_CREATED
    world.edit("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", "")
    world.create("two")
    assert world.rows()[0][1].resource.backup(HostFileType.TPM).capture is Capture.ABSENT


def test_a_host_file_that_cannot_be_read_fails_the_create(world):
    """H15, H22: a link is not followed, and nothing is guessed."""
    world.nvram.unlink()
    world.nvram.symlink_to("/etc/hostname")
    before = world.files()
    with pytest.raises(Exception, match="link"):
        world.create("monday")
    assert world.files() == before
    assert world.rows()[0] == ()


@pytest.mark.parametrize("kind", ["external", "passthrough"])
def test_a_tpm_that_is_not_ours_to_capture_is_refused_by_name(world, kind):
    """H21."""
    world.edit("type='emulator' version='2.0'", f"type='{kind}'")
    with pytest.raises(UnsupportedError, match=kind):
        world.create("monday")
    world.create("monday", without=frozenset({HostFileType.TPM}))


def test_an_error_after_the_switch_happened_is_not_believed(world):
    """H24."""
    world.hypervisor.fail("switch_disks", when="after")
    assert world.create("monday").group.is_current


def test_one_of_two_disks_switched_is_switched_back(world):
    """H23."""
    before = world.everything()
    world.hypervisor.fail("switch_disks", when="middle")
    with pytest.raises(Exception, match="injected"):
        world.create("monday")
    assert world.everything() == before


def test_an_overlay_name_that_exists_is_neither_overwritten_nor_removed(world, monkeypatch):
    """H33."""
    ids = iter([f"{number:08d}-0000-4000-8000-{number:012d}" for number in range(1, 99)])
    monkeypatch.setattr(world.ports.clock, "new_id", lambda: next(ids))
    planted = []

    def plant():
        for path in (
            world.disks["vdb"].parent / f"web.vmsnap-{number:08d}0000.qcow2"
            for number in range(1, 20)
        ):
            path.write_bytes(b"mine")
            planted.append(path)

    world.create("monday", dry_run=True)
    plant()
    with pytest.raises(Exception, match="exists"):
        world.create("monday")
    assert all(path.read_bytes() == b"mine" for path in planted)
    assert world.rows()[0] == ()


def test_two_disks_with_one_file_name_in_two_folders_are_told_apart(world):
    result = world.create("monday")
    overlays = {world.active(disk.target) for disk in result.group.disks}
    assert len(overlays) == 2


def test_a_chain_from_before_vmsnap_is_kept_as_it_is(world):
    """H59: what lies below the first snapshot is never recorded, so never written."""
    template = world.disks["vda"].rename(world.folder / "template.qcow2")
    qemu_img = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2"]
    subprocess.run([*qemu_img, "-b", "../template.qcow2", world.disks["vda"]], check=True)
    before = world.machine()
    world.create("monday")
    assert world.machine() == before
    assert template not in {layer.path for layer in world.rows()[2]}


def test_an_image_behind_a_link_is_followed_to_where_it_lies(world):
    """The overlay goes beside the image, not beside the link, and a failure leaves nothing."""
    link = world.folder / "links"
    link.mkdir()
    (link / "disk.qcow2").symlink_to(world.disks["vda"])
    world.edit(str(world.disks["vda"]), str(link / "disk.qcow2"))
    before = world.everything()
    world.hypervisor.fail("switch_disks", when="middle")
    with pytest.raises(Exception, match="injected"):
        world.create("monday")
    assert world.everything() == before
    world.create("monday")
    assert world.active("vda").parent == world.disks["vda"].parent
    delete_groups(world.ports, world.name, ["monday"], DeleteRequest())
    assert world.active("vda") == link / "disk.qcow2"
    assert world.everything()[:2] == before[:2]
