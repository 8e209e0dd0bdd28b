"""The tree of a disk's layers: what has to be merged or dropped when groups end (pure).

A layer that no group names and that is not active is not needed for itself. Without a child it is
dropped. With one child the two are merged: the child is committed into the layer, or the layer is
pulled into the child. With two or more children it stays until one is left. Neither what another
group reads from its layer nor what the machine reads changes.

While the machine runs, only QEMU can merge the layers that it has open, and it can safely only
commit them. It knows nothing of branches (H40). What else there is to merge waits until it is off.
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
    after it was frozen: those bytes are kept too. `is_open` says that a running QEMU has it open in
    the chain of the disk.
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
    is_gone: bool = False
    is_detached: bool = False
    is_changed: bool = False
    is_open: bool = False
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
    """A layer that stays although no group names it, and why.

    `waits` says that it is merged once the machine is off.
    """

    layer: Node
    reason: str
    waits: bool = False


def plan_merges(
    nodes: Sequence[Node], *, is_running: bool = False
) -> tuple[tuple[Merge, ...], tuple[Kept, ...]]:
    """Plan all merges and drops that a tree allows, in the order in which they have to be done.

    `is_running` leaves out what is possible only while the machine is off.
    """
    merges, tree = _planned({node.id: node for node in nodes}, is_running=is_running)
    kept = tuple(
        _kept(tree, node) for node in tree.values() if not node.is_named and not node.is_active
    )
    kept += tuple(
        Kept(node, "the machine does not use it now, but may have written to it")
        for node in tree.values()
        if node.is_active and node.is_detached and not node.is_named
    )
    return merges, kept


def plan_waiting(nodes: Sequence[Node]) -> tuple[Merge, ...]:
    """Plan what is left to be merged with the machine off, after all that can be done before."""
    _, tree = _planned({node.id: node for node in nodes}, is_running=True)
    closed = {node.id: replace(node, is_open=False) for node in tree.values()}
    return _planned(closed, is_running=False)[0]


def _planned(
    tree: Mapping[LayerId, Node], *, is_running: bool
) -> tuple[tuple[Merge, ...], Mapping[LayerId, Node]]:
    merges: list[Merge] = []
    while (merge := _next_merge(tree, is_running=is_running)) is not None:
        merges.append(merge)
        tree = _after(tree, merge)
    return tuple(merges), tree


def _next_merge(tree: Mapping[LayerId, Node], *, is_running: bool) -> Merge | None:
    for node in tree.values():
        if node.is_named or (node.is_active and not (node.is_gone and node.is_detached)):
            continue
        children = _children(tree, node)
        if not children and not node.is_open:
            return Merge(Action.DROP, node, None, None, ())
        if len(children) != 1:
            continue
        action = _direction(node, children[0])
        if is_running and action is not None:
            action = Action.COMMIT if _why_not_live(node, children[0]) is None else None
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
    can_commit = _can_commit(node, child)
    if can_commit and not node.is_ours:
        return Action.COMMIT
    if can_commit and child.allocated <= node.allocated:
        return Action.COMMIT
    return Action.PULL


def _can_commit(node: Node, child: Node) -> bool:
    fits = child.virtual_size == node.virtual_size or (
        child.virtual_size > node.virtual_size and _can_grow(node)
    )
    return fits and child.is_disposable and not child.is_detached and not node.is_changed


def _why_not_live(node: Node, child: Node) -> str | None:
    """Say why a layer cannot be merged while the machine runs; None if it can, by a commit.

    QEMU changes the header of what it pulls into before it writes out where the pulled data are
    (seen on 7.2): killed then, it leaves an image that reads something else.
    """
    if not (node.is_open and child.is_open):
        return "it is on a branch that the running machine does not use"
    if node.is_changed or child.is_changed:
        return "it, or the layer on it, was written to after it was frozen"
    if not _can_commit(node, child):
        return f"it has to be pulled into '{child.path.name}', which QEMU does not do safely"
    return None


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


def _kept(tree: Mapping[LayerId, Node], node: Node) -> Kept:
    children = _children(tree, node)
    if len(children) > 1:
        return Kept(node, f"{len(children)} layers stand on it")
    if node.is_missing:
        return Kept(node, "its file is missing")
    if any(child.is_missing for child in children):
        return Kept(node, "the layer on it is missing")
    reason = next((_why_not_live(node, child) for child in children), "QEMU has it open")
    when = "with the machine off, 'vmsnap recover' or the next delete merges it"
    return Kept(node, f"{reason}; {when}", waits=True)
