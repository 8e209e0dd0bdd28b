"""What libvirt keeps of its own at a domain with groups."""

from engine.patient import codes, only

from vmsnap.model import ForeignSnapshot


def keep(world, **values):
    for name, value in values.items():
        setattr(world.hypervisor.machines[world.uuid], name, value)


def test_foreign_snapshot_that_shares_a_layer_is_named(world):
    world.create("monday")
    path = world.disks["vda"]
    snapshot = ForeignSnapshot("e1", is_external=True, kept_paths=(path,))
    keep(world, foreign_snapshots=(snapshot,))
    found = only(world, "foreign_snapshot")
    assert codes(world) == ["foreign_snapshot"]
    assert found.command == f"virsh snapshot-delete {world.name} e1 --metadata"
    keep(world, foreign_snapshots=(ForeignSnapshot("i1", is_external=False, kept_paths=(path,)),))
    assert only(world, "foreign_snapshot").command == f"virsh snapshot-delete {world.name} i1"


def test_foreign_snapshots_of_a_domain_without_groups_are_no_finding(world):
    snapshot = ForeignSnapshot("e1", is_external=True, kept_paths=(world.disks["vda"],))
    keep(world, foreign_snapshots=(snapshot,), checkpoints=("c1",))
    assert codes(world) == []


def test_foreign_checkpoint_is_deleted_as_metadata_alone(world):
    world.create("monday")
    keep(world, checkpoints=("c1",))
    found = only(world, "foreign_checkpoint")
    assert found.command == f"virsh checkpoint-delete {world.name} c1 --metadata"
