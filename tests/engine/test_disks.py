"""The disks of a machine in the tree of layers: frozen, put on, and used by nobody else."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vmsnap.engine.assess import assess_disks
from vmsnap.engine.disks import (
    check_depth,
    freeze,
    overlay_on,
    require_no_other_users,
    require_space,
)
from vmsnap.errors import ImageError, InUseError, NoSpaceError, StateError
from vmsnap.model import Layer

LONG = "ü" * 120


def assessed(world, target="vda"):
    definition = world.hypervisor.domain(world.uuid).definition
    disks = assess_disks(world.ports.images, definition)
    return next(disk for disk in disks if disk.disk.target == target)


def frozen(world, target="vda"):
    return freeze(world.ports, world.hypervisor.host, world.uuid, assessed(world, target))


def layer_at(path):
    return Layer("l", "h", "d", "vda", Path(path), "qcow2", None, False, False)


def test_the_first_freeze_records_the_image_and_nothing_below_it(world):
    """H59."""
    template = world.disks["vda"].rename(world.folder / "template.qcow2")
    world.stacked(template, "top").rename(world.disks["vda"])
    item = frozen(world)
    assert [row.path for row in item.rows] == [world.disks["vda"]]
    (row,) = item.rows
    assert (row.is_made_by_vmsnap, row.is_active, row.parent_id) == (False, False, None)
    assert row.facts == world.ports.images.facts(world.disks["vda"])


def test_the_active_layer_is_frozen_under_its_own_id(world):
    world.create("monday")
    (active,) = [row for row in world.rows()[2] if row.is_active and row.target == "vda"]
    item = frozen(world)
    assert [row.id for row in item.rows] == [active.id]
    assert item.layer.facts is not None


def test_layers_of_somebody_else_on_top_are_taken_in(world):
    world.create("monday")
    ours = world.active("vda")
    first = world.stacked(ours, "first")
    second = world.stacked(first, "second")
    world.edit(str(ours), str(second))
    rows = frozen(world).rows
    assert [row.path for row in rows] == [ours, first, second]
    assert [row.is_made_by_vmsnap for row in rows] == [True, False, False]
    assert [row.parent_id for row in rows[1:]] == [row.id for row in rows[:-1]]


def test_a_disk_that_writes_into_a_frozen_layer_refuses(world):
    """H59: it would change what a group holds."""
    world.create("monday")
    world.edit(str(world.active("vda")), str(world.disks["vda"]))
    with pytest.raises(StateError, match="frozen"):
        frozen(world)


@pytest.mark.parametrize("name", ["web.qcow2", "web", "a.b.c.raw", "web.vmsnap-0123456789ab.qcow2"])
def test_an_overlay_lies_beside_the_image_and_keeps_its_stem(world, name):
    overlay = overlay_on(world.ports, layer_at(f"/images/{name}"))
    assert overlay.path.parent == Path("/images")
    assert overlay.path.name.count(".vmsnap-") == 1
    assert overlay.path.name.startswith(name.split(".vmsnap", maxsplit=1)[0].split(".")[0])
    assert overlay.path.suffix == ".qcow2"


def test_an_overlay_of_a_long_name_can_still_be_made(world):
    """H51: a name of 255 bytes, cut between characters."""
    overlay = overlay_on(world.ports, layer_at(f"/images/{LONG}.qcow2"))
    assert len(overlay.path.name.encode()) <= 255
    assert "\ufffd" not in overlay.path.name
    assert overlay.path.name.startswith("üü")


def test_a_name_that_exists_is_never_taken(world, monkeypatch):
    """H33: not even a link that leads nowhere."""
    image = layer_at(world.disks["vda"])
    monkeypatch.setattr(world.ports.clock, "new_id", lambda: "0" * 36)
    path = overlay_on(world.ports, image).path
    path.symlink_to("/nowhere")
    with pytest.raises(ImageError, match="exists"):
        overlay_on(world.ports, image)


def test_space_is_asked_for_each_file_in_a_folder():
    """H31."""
    images = SimpleNamespace(free_bytes=lambda _folder: 250)
    require_space(images, [Path("/a"), Path("/a"), Path("/b")], 100)
    with pytest.raises(NoSpaceError, match="'/a'") as caught:
        require_space(images, [Path("/a"), Path("/a"), Path("/a"), Path("/b")], 100)
    assert caught.value.exit_code == 16


def test_a_file_is_ours_alone_unless_another_disk_stands_on_it(world):
    """H28."""
    paths = {world.disks["vda"]: "vda", world.disks["vdb"]: "vdb"}
    require_no_other_users(world.ports, world.uuid, paths)
    with pytest.raises(InUseError, match="disk vdb"):
        require_no_other_users(world.ports, world.uuid, {world.disks["vdb"]: "vda"})


@pytest.mark.parametrize("how", ["same", "link", "above", "broken"])
def test_a_file_that_another_domain_stands_on_is_in_use(world, how):
    """H28: by its own name, through a link, below an overlay, in a chain that is broken."""
    path = world.disks["vda"]
    used = {
        "same": path,
        "link": world.folder / "link.qcow2",
        "above": world.folder / "pool-vda" / "clone.qcow2",
        "broken": path,
    }[how]
    if how == "link":
        used.symlink_to(path)
    if how == "above":
        world.stacked(path, "clone")
    xml = world.hypervisor.machines[world.uuid].xml
    xml = world.ports.definitions.with_sources(xml, {"vda": (used, "qcow2")})
    xml = world.ports.definitions.with_disks_of(xml, "<domain/>", ["vdb"])
    xml = xml.replace("aaaaaaaa", "bbbbbbbb").replace(world.name, "vmsnap-test-other")
    world.hypervisor.add(xml)
    if how == "broken":
        path.write_bytes(b"no image")
    with pytest.raises(InUseError, match="vmsnap-test-other"):
        require_no_other_users(world.ports, world.uuid, {path: "vda"})


def test_a_chain_is_warned_of_before_it_is_refused(world):
    """H32."""
    disk = assessed(world)
    (image,) = disk.chain

    def depth(layers, limit):
        world.hypervisor.depth = limit
        return check_depth(world.ports, [replace(disk, chain=(image,) * layers)])

    assert depth(3, 25) == ()
    assert depth(19, 25)
    with pytest.raises(StateError, match="25 at most"):
        depth(25, 25)
    assert depth(99, 200) == ()
    assert depth(100, 200)
