"""Tell where a database is older than the record beside the images (pure but for a look at files).

That is proven by the files alone: a frozen layer that is to the byte and second as the record has
it, and not as the database has it, was frozen after the database was copied.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from vmsnap.engine.paths import is_same
from vmsnap.model import Group, GroupState, Layer, LayerId
from vmsnap.ports import Images


@dataclass(frozen=True, slots=True)
class Outdated:
    """What a record knows better than the database, of the layers and groups that both have.

    `layers` are the record's. `moved` names for a layer that was merged away the one that has what
    groups froze. `ghosts` are the database's groups that name one of `layers` as it was before:
    what they froze is not there any more; the record does not know them, or not so.
    """

    layers: Mapping[LayerId, Layer] = field(default_factory=dict)
    moved: Mapping[LayerId, LayerId] = field(default_factory=dict)
    ghosts: tuple[Group, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the record knows nothing better."""
        return not self.layers and not self.moved

    @property
    def haunted(self) -> frozenset[LayerId]:
        """The layers that a ghost names: completed, they would pass for what it froze."""
        named = {item.layer_id for group in self.ghosts for item in group.snapshots}
        return frozenset(named & self.layers.keys())

    def corrected(self, group: Group) -> Group:
        """Let a group name the layers that its own ones were merged into."""
        snapshots = tuple(
            replace(item, layer_id=self.moved.get(item.layer_id, item.layer_id))
            for item in group.snapshots
        )
        return replace(group, snapshots=snapshots)


def compare(
    images: Images,
    said: tuple[Iterable[Layer], Iterable[Group]],
    known: tuple[Iterable[Layer], Iterable[Group]],
    proven: Collection[LayerId],
) -> Outdated:
    """Hold a record's layers and groups (`said`) against the database's (`known`).

    `proven` are the layers of the record that no disk is on and whose files are as it says.
    """
    rows = {row.id: row for row in known[0]}
    groups = [group for group in known[1] if group.state is GroupState.READY]
    recorded = {layer.id: layer for layer in said[0]}
    layers = {
        layer.id: layer
        for layer in recorded.values()
        if layer.id in proven and _is_newer(layer, rows.get(layer.id))
    }
    names = {
        (group.id, item.target): item.layer_id for group in said[1] for item in group.snapshots
    }
    moved: dict[LayerId, LayerId] = {}
    for row in rows.values():
        if row.id in recorded or images.exists(row.path):
            continue
        naming = [(g.id, s.target) for g in groups for s in g.snapshots if s.layer_id == row.id]
        into = {names.get(key) for key in naming}
        if len(into) == 1 and (layer_id := into.pop()) in rows and layer_id in proven:
            moved[row.id] = layer_id
    ghosts = tuple(
        group
        for group in groups
        if any(
            item.layer_id in layers and names.get((group.id, item.target)) != item.layer_id
            for item in group.snapshots
        )
    )
    return Outdated(layers, moved, ghosts)


def _is_newer(layer: Layer, row: Layer | None) -> bool:
    return row is not None and row.facts != layer.facts and is_same(row.path, layer.path)
