"""The disks of a machine in the tree of layers: frozen, put on, and used by nobody else."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vmsnap.engine.assess import assess_disks
from vmsnap.engine.disks import (
    OVERLAY_BYTES,
    check_depth,
    freeze,
    overlay_on,
    require_no_other_users,
    require_room,
    require_space,
)
from vmsnap.engine.layers import Node
from vmsnap.errors import ImageError, InUseError, NoSpaceError, StateError, UnsupportedError
from vmsnap.model import Digest, DomainState, FrozenFacts, Layer, LayerId

LONG = "ü" * 120
DEVICE_NODE = Node(
    id=LayerId("l"),
    parent_id=None,
    path=Path("/dev/vg/web"),
    format="raw",
    is_ours=False,
    is_active=False,
    is_named=False,
    virtual_size=4 * OVERLAY_BYTES,
    allocated=4 * OVERLAY_BYTES,
)


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


def test_a_disk_that_has_written_to_a_frozen_layer_refuses(world):
    """H59: the group would look whole again."""
    world.create("monday")
    world.edit(str(world.active("vda")), str(world.disks["vda"]))
    assert frozen(world).rows == ()
    world.write("vda", 9)
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


def other_domain(source, kind="file", device="disk", extra=""):
    """Return the XML of another domain with one disk."""
    return (
        "<domain type='qemu'><name>vmsnap-test-other</name>"
        "<uuid>bbbbbbbb-0000-4000-8000-000000000001</uuid><devices>"
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='qcow2'/>"
        f"<source {source}>{extra}</source><target dev='vdb'/></disk></devices></domain>"
    )


@pytest.mark.parametrize("how", ["same", "link", "hard link", "above", "broken"])
@pytest.mark.parametrize("device", ["disk", "cdrom", "floppy"])
@pytest.mark.parametrize("kind", ["file", "block", "volume", "slice"])
def test_a_file_that_another_domain_stands_on_is_in_use(world, how, device, kind):
    """H28: by its own name, through links, below an overlay, in a chain that is broken."""
    path = world.disks["vda"]
    used = world.folder / "pool-vda" / "clone.qcow2"
    if how == "link":
        used.symlink_to(path)
    if how == "hard link":
        used.hardlink_to(path)
    if how == "above":
        world.stacked(path, "clone")
    if how == "broken":
        path.write_bytes(b"no image")
    if how in {"same", "broken"}:
        used = path
    world.hypervisor.volumes["p", "v"] = used
    source = {"volume": "pool='p' volume='v'", "block": f"dev='{used}'"}.get(kind, f"file='{used}'")
    extra = "<slices><slice type='storage' offset='0' size='1'/></slices>" * (kind == "slice")
    kind = "file" if kind == "slice" else kind
    world.hypervisor.add(other_domain(source, kind, device, extra))
    with pytest.raises(InUseError, match="disk vdb of domain 'vmsnap-test-other'"):
        require_no_other_users(world.ports, world.uuid, {path: "vda"})


def test_two_disks_of_the_domain_that_are_hard_links_of_one_file_are_in_use(world):
    """H28."""
    one, other = world.disks["vda"], world.disks["vdb"]
    other.unlink()
    other.hardlink_to(one)
    with pytest.raises(InUseError, match="disk vd"):
        require_no_other_users(world.ports, world.uuid, {one: "vda", other: "vdb"})


def test_what_another_domain_runs_with_counts_as_what_it_will_start_with(world):
    """H28: its definition was edited while it ran."""
    path = world.disks["vda"]
    here, elsewhere = (other_domain(f"file='{name}'") for name in (path, "/elsewhere.qcow2"))
    for xml, live_xml in ((elsewhere, here), (here, elsewhere)):
        world.hypervisor.add(xml, live_xml=live_xml, state=DomainState.RUNNING)
        with pytest.raises(InUseError, match="vmsnap-test-other"):
            require_no_other_users(world.ports, world.uuid, {path: "vda"})
    world.hypervisor.add(elsewhere, live_xml=elsewhere, state=DomainState.RUNNING)
    require_no_other_users(world.ports, world.uuid, {path: "vda"})


def test_a_volume_that_cannot_be_looked_up_may_be_any_file(world):
    """H28: its pool is not active, say."""
    world.hypervisor.add(other_domain("pool='a pool' volume='v'", "volume"))
    with pytest.raises(InUseError) as caught:
        require_no_other_users(world.ports, world.uuid, {world.disks["vda"]: "vda"})
    assert caught.value.message == (
        "disk vdb of domain 'vmsnap-test-other' names volume 'v' of pool 'a pool', "
        "which cannot be looked up"
    )
    assert caught.value.hint == "virsh pool-start 'a pool'"


def test_a_volume_of_a_network_pool_is_no_file_of_this_host(world):
    world.hypervisor.volumes["p", "v"] = Path("p/v")
    world.hypervisor.add(other_domain("pool='p' volume='v'", "volume"))
    require_no_other_users(world.ports, world.uuid, {world.disks["vda"]: "vda"})


def test_neither_create_nor_delete_touches_what_a_linked_clone_in_a_pool_stands_on(world):
    """H28, H59: the clone is a volume of a storage pool."""
    world.create("monday")
    world.hypervisor.volumes["p", "v"] = world.stacked(world.active("vda"), "clone")
    world.hypervisor.add(other_domain("pool='p' volume='v'", "volume"))
    with pytest.raises(InUseError, match="vmsnap-test-other") as caught:
        world.create("tuesday")
    assert caught.value.exit_code == 14
    with pytest.raises(InUseError, match="vmsnap-test-other"):
        world.delete("monday")


def test_a_chain_is_warned_of_before_it_is_refused(world):
    """H32."""
    disk = assessed(world)
    (image,) = disk.chain

    def depth(layers, limit):
        world.hypervisor.depth = limit
        disks = [replace(disk, chain=(image,) * layers)]
        return check_depth(world.ports, world.name, disks)

    assert depth(3, 25) == ()
    assert depth(19, 25)
    with pytest.raises(StateError, match="25 at most") as refused:
        depth(25, 25)
    assert refused.value.hint == f"vmsnap prune --keep-last 9 --dry-run {world.name}"
    assert depth(98, 200) == ()
    assert depth(99, 200) == (
        "disk vda has 100 layers of at most 200;"
        f" 'vmsnap prune --keep-last 50 --dry-run {world.name}' shows what can go",
    )


# --- block devices ------------------------------------------------------------------------------


def test_the_overlay_of_a_device_needs_a_folder_and_is_named_after_it(world):
    device = replace(layer_at("/dev/vg/web"), format="raw")
    with pytest.raises(UnsupportedError, match="block device '/dev/vg/web'") as caught:
        overlay_on(world.ports, device)
    assert "--overlay-dir" in caught.value.hint
    overlay = overlay_on(world.ports, device, world.folder)
    assert (overlay.path.parent, overlay.path.name[:11]) == (world.folder, "web.vmsnap-")


@pytest.mark.parametrize(
    ("changes", "free", "is_refused"),
    [
        ({"format": "raw"}, 0, False),
        ({"format": "qcow2"}, 0, True),
        ({"format": "qcow2"}, 5 * OVERLAY_BYTES, False),
        ({"format": "qcow2", "virtual_size": OVERLAY_BYTES}, 0, False),
    ],
)
def test_a_device_that_a_merge_would_overfill_is_refused(changes, free, is_refused):
    """H31: only a qcow2 image on it can need more than there is."""
    node = replace(DEVICE_NODE, **changes)
    size = FrozenFacts(4 * OVERLAY_BYTES, 0, Digest("0"))
    images = SimpleNamespace(facts=lambda _path: size, free_bytes=lambda _path: free)
    if not is_refused:
        require_room(images, node, OVERLAY_BYTES)
        return
    with pytest.raises(NoSpaceError, match="'/dev/vg/web' can grow by 0 bytes"):
        require_room(images, node, OVERLAY_BYTES)
