"""Which of vmsnap's changes libvirt's own snapshots stand, each as qemu-img really does it."""

from pathlib import Path

import pytest
from engine.conftest import DISK_BYTES, qemu_img

from vmsnap.engine.foreign import Touched, foreign_notes, is_named, refuse_ruined
from vmsnap.errors import StateError
from vmsnap.model import ForeignSnapshot

BASE, ACTIVE = Path("/i/base"), Path("/i/active")
EXTERNAL = ForeignSnapshot("e1", is_external=True, kept_paths=(BASE,), made_paths=(ACTIVE,))
INTERNAL = ForeignSnapshot("i1", is_external=False, kept_paths=(BASE,))


def keep(world, *snapshots):
    world.hypervisor.machines[world.uuid].foreign_snapshots = snapshots
    return world.hypervisor.domain(world.uuid)


def internal(path, name="i1"):
    qemu_img("snapshot", "-c", name, path)
    return ForeignSnapshot(name, is_external=False, kept_paths=(path,))


def external(world, target, name="e1"):
    """Take one as virsh would, libvirt's record included."""
    kept = world.active(target)
    made = world.stacked(kept, f"{target}-{name}")
    world.edit(f"file='{kept}'", f"file='{made}'")
    return ForeignSnapshot(name, is_external=True, kept_paths=(kept,), made_paths=(made,))


def content(world, path, name):
    raw = world.folder / "internal.raw"
    qemu_img("convert", "-l", f"snapshot.name={name}", "-O", "raw", path, raw)
    data = raw.read_bytes()
    raw.unlink()
    return data


@pytest.mark.parametrize(
    ("snapshot", "touched", "is_refused"),
    [
        (EXTERNAL, {"written": (BASE,)}, True),
        (EXTERNAL, {"rebased": (BASE,)}, True),
        (EXTERNAL, {"unlinked": (BASE,)}, True),
        (EXTERNAL, {"written": (ACTIVE,)}, False),
        (EXTERNAL, {"rebased": (ACTIVE,)}, True),
        (EXTERNAL, {"unlinked": (ACTIVE,)}, True),
        (INTERNAL, {"written": (BASE,)}, False),
        (INTERNAL, {"rebased": (BASE,)}, True),
        (INTERNAL, {"unlinked": (BASE,)}, True),
        (EXTERNAL, {"written": (Path("/i/other"),), "unlinked": (Path("/i/more"),)}, False),
    ],
    ids=str,
)
def test_a_change_is_refused_by_the_name_of_the_snapshot_that_it_would_ruin(
    world, snapshot, touched, is_refused
):
    """H40, H41."""
    domain = keep(world, snapshot)
    if not is_refused:
        refuse_ruined(world.ports.images, domain, Touched(**touched))
        return
    with pytest.raises(StateError, match=f"snapshot '{snapshot.name}'") as caught:
        refuse_ruined(world.ports.images, domain, Touched(**touched))
    hint = f"virsh snapshot-delete {world.name} {snapshot.name}"
    assert caught.value.hint == (f"{hint} --metadata" if snapshot.is_external else hint)


def test_only_what_an_external_snapshot_froze_may_not_be_written_to(world):
    assert is_named(keep(world, INTERNAL, EXTERNAL), [BASE])
    assert not is_named(keep(world, INTERNAL, EXTERNAL), [ACTIVE])
    assert not is_named(keep(world, INTERNAL), [BASE])


# --- the verbs --------------------------------------------------------------------------------


def test_a_delete_goes_back_to_an_image_with_internal_snapshots_and_keeps_them(world):
    """H40: what they hold is not written to by a commit."""
    base = world.disks["vda"]
    snapshot = internal(base)
    monday = content(world, base, "i1")
    keep(world, snapshot)
    created = world.create("monday")
    assert any("internal snapshot 'i1' stays" in note for note in created.notes)
    world.fill(2)
    friday = world.machine()
    assert world.delete("monday").is_complete
    assert world.active("vda") == base
    assert world.machine() == friday
    assert content(world, base, "i1") == monday


@pytest.mark.parametrize("is_known", [True, False], ids=["libvirts", "qemu-imgs"])
def test_a_layer_with_an_internal_snapshot_is_not_merged_away(world, is_known):
    """H41: one that libvirt does not know counts as well."""
    world.create("monday")
    world.fill(2)
    snapshot = internal(world.active("vda"))
    if is_known:
        keep(world, snapshot)
    before = world.everything()
    with pytest.raises(StateError, match=r"snapshot 'i1'" if is_known else "1 internal snapshots"):
        world.delete("monday")
    assert world.everything() == before


def test_a_layer_with_an_internal_snapshot_is_not_stood_on_another_file(world):
    """H40: the internal snapshot would read the rest of its disk from there."""
    world.create("monday")
    active = world.active("vda")
    qemu_img("resize", "--shrink", "-q", "-f", "qcow2", active, DISK_BYTES // 2)
    keep(world, internal(active))
    before = world.everything()
    with pytest.raises(StateError, match="as it is"):
        world.delete("monday")
    assert world.everything() == before


def test_a_delete_ends_on_the_active_layer_of_an_external_snapshot(world):
    """Its point lies in what is under that layer."""
    snapshot = external(world, "vda")
    keep(world, snapshot)
    frozen = world.read(snapshot.kept_paths[0])
    created = world.create("monday")
    assert any("external snapshot 'e1' stays" in note for note in created.notes)
    world.fill(2)
    friday = world.machine()
    assert world.delete("monday").is_complete
    assert world.active("vda") == snapshot.made_paths[0]
    assert world.machine() == friday
    assert world.read(snapshot.kept_paths[0]) == frozen


def test_a_group_under_an_external_snapshot_is_not_deleted(world):
    """H40, H41: its point is vmsnap's own layer, and stands on another."""
    world.create("monday")
    keep(world, external(world, "vda"))
    world.create("tuesday")
    before = world.everything()
    with pytest.raises(StateError, match="external snapshot 'e1'"):
        world.delete("monday")
    assert world.everything() == before


def test_a_revert_leaves_libvirts_snapshots_as_they_are(world):
    world.create("monday")
    world.fill(2)
    snapshot = external(world, "vda")
    keep(world, snapshot)
    world.write("vda", 3)
    before = [world.read(path) for path in (*snapshot.kept_paths, *snapshot.made_paths)]
    result = world.revert("monday")
    assert any("external snapshot 'e1' stays" in note for note in result.notes)
    after = [world.read(path) for path in (*snapshot.kept_paths, *snapshot.made_paths)]
    assert after == before


def test_a_revert_without_safety_does_not_unlink_what_a_snapshot_is_in(world):
    """H41."""
    world.create("monday")
    world.fill(2)
    keep(world, internal(world.active("vda")))
    before = world.everything()
    with pytest.raises(StateError, match="internal snapshot 'i1'"):
        world.revert("monday", with_safety=False)
    assert world.everything() == before
    world.revert("monday")


def test_an_undo_writes_into_no_layer_that_a_snapshot_froze(world):
    """H40: the safety group's layer is left as it is, and an overlay put on it."""
    world.create("monday")
    world.fill(2)
    friday = world.machine()
    frozen = world.active("vda")
    world.revert("monday")
    keep(world, ForeignSnapshot("e1", is_external=True, kept_paths=(frozen,)))
    world.undo()
    assert world.machine() == friday
    assert world.active("vda") != frozen


def test_internal_snapshots_that_libvirt_does_not_know_are_said(world):
    path = world.disks["vda"]
    internal(path)
    chain = world.ports.images.chain(path, "qcow2")
    (note,) = foreign_notes(keep(world), [chain])
    assert note == f"image '{path}' holds 1 internal snapshots, which stay"
    known = ForeignSnapshot("i1", is_external=False, kept_paths=(path,))
    assert len(foreign_notes(keep(world, known), [chain])) == 1


def test_what_deleting_a_checkpoint_would_cost_is_said(world):
    """Seen: virsh then writes to the frozen layers, and the groups are no longer what they were."""
    world.hypervisor.machines[world.uuid].checkpoints = ("c1",)
    (note,) = foreign_notes(world.hypervisor.domain(world.uuid))
    assert "libvirt's checkpoint 'c1' stays" in note
    assert "--metadata" in note
