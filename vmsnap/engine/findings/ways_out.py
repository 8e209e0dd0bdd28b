"""The commands that end what is wrong with disks and layers, where one of vmsnap's does."""

from vmsnap.engine.check import DAMAGE, check_group
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.model import Group, GroupKind, GroupState, ImageInfo, Layer


def check_command(scene: Scene) -> str:
    """Return what tells all that is wrong with a domain's groups."""
    verb = "group check" if scene.domain is not None else "group list"
    return f"vmsnap {verb} {operands(scene.name)}"


def revert_command(scene: Scene, target: str) -> str | None:
    """Return the revert that gives a disk a new top: to the newest group that holds it whole.

    None if there is none, or while an interrupted operation has to be settled first.
    """
    if scene.domain is None or not scene.is_settled:
        return None
    for group in reversed(_groups(scene)):
        if group.snapshot(target) is None:
            continue
        reasons = check_group(scene.ports, scene.domain, group).reasons
        if not any(reason.kind == DAMAGE for reason in reasons):
            return f"vmsnap group revert {operands(scene.name, group.name)}"
    return None


def delete_command(scene: Scene, layer: Layer) -> str | None:
    """Return the delete that ends a damaged layer: nothing but one group needs it.

    None if anything else stands on it: then a delete would not end what is wrong.
    """
    if any(item.parent_id == layer.id for item in scene.layers.values()):
        return None
    users = [
        group for group in scene.groups if layer.id in {item.layer_id for item in group.snapshots}
    ]
    if len(users) != 1 or users[0] not in _groups(scene):
        return None
    return f"vmsnap group delete {operands(scene.name, users[0].name)}"


def shorten_command(scene: Scene, chain: tuple[ImageInfo, ...]) -> str:
    """Return the delete of the oldest group in a chain; without one the list of groups."""
    used = {layer.id for image in chain if (layer := scene.layer_at(image.path)) is not None}
    for group in _groups(scene):
        if any(item.layer_id in used for item in group.snapshots):
            return f"vmsnap group delete {operands(scene.name, group.name)}"
    return f"vmsnap group list {operands(scene.name)}"


def _groups(scene: Scene) -> list[Group]:
    """Return the groups that verbs take by name, oldest first."""
    return [
        group
        for group in scene.groups
        if group.state is GroupState.READY and group.kind is not GroupKind.SINGLE
    ]
