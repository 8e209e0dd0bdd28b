"""The folder that an administrator names for overlays."""

import shutil
from pathlib import Path

import pytest

from vmsnap.engine.overlay_folder import require_overlay_folder
from vmsnap.errors import StateError, UnsupportedError, UsageError

QEMU = (64055, 64055)


@pytest.fixture
def folder(world):
    made = world.folder / "overlays of web"
    made.mkdir(mode=0o711)
    return made


def test_overlays_of_all_disks_go_into_the_folder(world, folder):
    created = world.create("monday", overlay_dir=folder)
    assert {disk.active_path.parent for disk in created.group.disks} == {folder}
    world.fill(2)
    world.revert("monday")
    assert {world.active(target).parent for target in world.disks} == {folder}
    world.undo()
    world.delete("monday")


def test_links_in_its_name_are_resolved(world, folder):
    link = world.folder / "link"
    link.symlink_to(folder)
    assert require_overlay_folder(world.ports, link) == folder


def test_a_revert_puts_overlays_beside_the_images_where_the_folder_is_gone(world, folder):
    world.create("monday", overlay_dir=folder)
    away = world.folder / "pool-vda"
    for target in world.disks:
        moved = world.active(target).rename(away / world.active(target).name)
        world.edit(str(world.active(target)), str(moved))
    shutil.rmtree(folder)
    world.revert("monday", with_safety=False, allow_disk_changes=True)
    for target, path in world.disks.items():
        assert world.active(target).parent == path.parent


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("overlays", UsageError),
        ("/nowhere/overlays", StateError),
        ("/etc/hostname", StateError),
        ("/dev", UnsupportedError),
    ],
)
def test_a_folder_where_overlays_cannot_live_is_refused(world, name, error):
    before = world.everything()
    with pytest.raises(error, match="folder"):
        world.create("monday", overlay_dir=Path(name))
    assert world.everything() == before


def test_a_folder_that_qemus_user_cannot_reach_is_refused_with_its_cure(world, folder, monkeypatch):
    world.hypervisor.owner = QEMU
    monkeypatch.setattr(
        type(world.ports.images), "blocked_at", lambda _images, found, owner: found.parent
    )
    with pytest.raises(StateError, match="cannot enter") as caught:
        require_overlay_folder(world.ports, folder)
    assert caught.value.hint == f"chmod o+x {folder.parent}"
    world.hypervisor.owner = None
    assert require_overlay_folder(world.ports, folder) == folder
