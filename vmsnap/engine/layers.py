"""The tree of a disk's layers: what has to be merged or dropped when groups end (pure).

A layer that no group names and that is not active is not needed for itself. Without a child it is
dropped. With one child the two are merged: the child is committed into the layer, or the layer is
pulled into the child. With two or more children it stays until one is left. Neither what another
group reads from its layer nor what the machine reads changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from vmsnap.model import LayerId


class Action(Enum):
    """What happens to a layer that is not needed for itself."""

    COMMIT = "commit"
    """The child's data are written into it; the child's file goes."""
    PULL = "pull"
    """Its data are written into the child; its file goes, if vmsnap made it."""
    DROP = "drop"
    """Nothing stands on it: its file goes, if vmsnap made it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A layer as far as planning needs it; sizes in bytes.

    `below` is what a root stands on outside the tree (path and format of a template), else None.
    `is_detached` says that it is the active layer of a disk that the domain does not have now: its
    file is kept, because somebody may attach it again. `is_changed` says that somebody wrote to it
    after it was frozen: those bytes are kept too.
    """

    id: LayerId
    parent_id: LayerId | None
    path: Path
    format: str
    is_ours: bool
    is_active: bool
    is_named: bool
    virtual_size: int
    allocated: int
    can_grow: bool = True
    cluster_bytes: int | None = None
    is_missing: bool = False
    is_detached: bool = False
    is_changed: bool = False
    below: tuple[Path, str] | None = None

    @property
    def is_disposable(self) -> bool:
        """Whether the file may be unlinked when nothing needs the layer any more."""
        return self.is_ours and not self.is_changed


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge or drop: `layer` is the one not needed, `child` the only one on it.

    `stands_on` is what the child stands on after a pull: path and format, or None. `grandchildren`
    are the layers that stand on the child. `moved_bytes` is about what is written.
    """

    action: Action
    layer: Node
    child: Node | None
    stands_on: tuple[Path, str] | None
    grandchildren: tuple[Node, ...]
    moved_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A layer that stays although no group names it, and why."""

    layer: Node
    reason: str


def plan_merges(nodes: Sequence[Node]) -> tuple[tuple[Merge, ...], tuple[Kept, ...]]:
    """Plan all merges and drops that a tree allows, in the order in which they have to be done."""
    tree = {node.id: node for node in nodes}
    merges: list[Merge] = []
    while (merge := _next_merge(tree)) is not None:
        merges.append(merge)
        tree = _after(tree, merge)
    kept = tuple(
        Kept(node, _why_kept(node, _children(tree, node)))
        for node in tree.values()
        if not node.is_named and not node.is_active
    )
    kept += tuple(
        Kept(node, "the machine does not use it now, but may have written to it")
        for node in tree.values()
        if node.is_active and node.is_detached and not node.is_named
    )
    return tuple(merges), kept


def _next_merge(tree: Mapping[LayerId, Node]) -> Merge | None:
    for node in tree.values():
        if node.is_named or node.is_active:
            continue
        children = _children(tree, node)
        if not children:
            return Merge(Action.DROP, node, None, None, ())
        if len(children) > 1:
            continue
        action = _direction(node, children[0])
        if action is not None:
            return _merge(tree, action, node, children[0])
    return None


def _merge(tree: Mapping[LayerId, Node], action: Action, node: Node, child: Node) -> Merge:
    stands_on = node.below
    if node.parent_id is not None:
        parent = tree[node.parent_id]
        stands_on = (parent.path, parent.format)
    moved = child.allocated if action is Action.COMMIT else node.allocated
    return Merge(action, node, child, stands_on, _children(tree, child), moved)


def _direction(node: Node, child: Node) -> Action | None:
    """Choose the way that is possible and moves less; a file that vmsnap did not make is kept.

    A child that is smaller than the layer is never committed: a grandchild that was grown again
    would read the layer's old bytes where it has to read zeros.
    """
    if node.is_missing or child.is_missing:
        return None
    fits = child.virtual_size == node.virtual_size or (
        child.virtual_size > node.virtual_size and _can_grow(node)
    )
    can_commit = fits and child.is_disposable and not child.is_detached and not node.is_changed
    if can_commit and not node.is_ours:
        return Action.COMMIT
    if can_commit and child.allocated <= node.allocated:
        return Action.COMMIT
    return Action.PULL


def _can_grow(node: Node) -> bool:
    # In a last cluster that is cut by the end of the image may lie what was there before it was
    # shrunk; QEMU's commit grows the image and lets that be read (seen on 7.2).
    whole = node.cluster_bytes is None or node.virtual_size % node.cluster_bytes == 0
    return node.can_grow and whole


def _after(tree: Mapping[LayerId, Node], merge: Merge) -> dict[LayerId, Node]:
    after = dict(tree)
    if merge.child is None:
        del after[merge.layer.id]
        return after
    if merge.action is Action.PULL:
        del after[merge.layer.id]
        after[merge.child.id] = replace(
            merge.child,
            parent_id=merge.layer.parent_id,
            below=merge.layer.below,
            allocated=merge.child.allocated + merge.layer.allocated,
        )
        return after
    del after[merge.child.id]
    after[merge.layer.id] = replace(
        merge.layer,
        is_named=merge.child.is_named,
        is_active=merge.child.is_active,
        virtual_size=merge.child.virtual_size,
        allocated=merge.child.allocated + merge.layer.allocated,
    )
    for node in merge.grandchildren:
        after[node.id] = replace(node, parent_id=merge.layer.id)
    return after


def _children(tree: Mapping[LayerId, Node], node: Node) -> tuple[Node, ...]:
    return tuple(other for other in tree.values() if other.parent_id == node.id)


def _why_kept(node: Node, children: Sequence[Node]) -> str:
    if len(children) > 1:
        return f"{len(children)} layers stand on it"
    if node.is_missing:
        return "its file is missing"
    return "the layer on it is missing"
