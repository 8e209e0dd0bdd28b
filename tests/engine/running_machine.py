"""A machine with groups that runs, and what tests ask of it; qemu-img does the block jobs' work."""

from fakes.merging import merging_images

from vmsnap.model import GroupState

NAMES = ("one", "two", "three", "four")


def held(world):
    """What every group that is left reads as; those that are ending are named in brackets."""
    layers = {layer.id: layer for layer in world.rows()[2]}
    return {
        group.name: {item.target: world.digest(layers[item.layer_id]) for item in group.snapshots}
        for group in world.rows()[0]
        if group.state is GroupState.READY
    }


def rest(groups, *gone):
    return {name: disks for name, disks in groups.items() if name not in gone}


def ending(world):
    return [group.name for group in world.rows()[0] if group.state is GroupState.DELETING]


def overlays(world):
    return sorted(path.name for path in world.folder.rglob("*.qcow2") if "vmsnap-" in path.name)


def merges(world):
    return [call for call in world.hypervisor.calls if call[0] == "merge_live"]


def start_with_groups(world):
    """Make four groups on each other, and start the machine."""
    world.hypervisor.on_merge = merging_images(world.hypervisor)
    for value, name in enumerate(NAMES, start=1):
        world.fill(value)
        world.create(name)
    world.fill(9)
    world.hypervisor.start(world.uuid)
    world.hypervisor.calls.clear()
    return world
