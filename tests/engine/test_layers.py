"""What plan_merges promises, on random trees held against a model of what each layer reads."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from vmsnap.engine.layers import Action, Node, plan_merges
from vmsnap.model import LayerId

CLUSTER = 2
OLD_BYTES = "what was there before the image was shrunk"


def node(name, parent=None, **changes):
    made = Node(
        id=LayerId(name),
        parent_id=LayerId(parent) if parent else None,
        path=Path(f"/images/{name}.qcow2"),
        format="qcow2",
        is_ours=parent is not None,
        is_active=False,
        is_named=False,
        virtual_size=8,
        allocated=4,
    )
    return replace(made, **changes)


class Model:
    """Layers as written sectors over their parents', sizes in sectors."""

    def __init__(self, nodes, written):
        self.parent = {item.id: item.parent_id for item in nodes}
        self.size = {item.id: item.virtual_size for item in nodes}
        self.written = {name: dict(sectors) for name, sectors in written.items()}
        self.path_of = {item.path: item.id for item in nodes}

    def read(self, name):
        return [self._sector(name, number) for number in range(self.size[name])]

    def _sector(self, name, number):
        while name is not None and number < self.size[name]:
            if number in self.written[name]:
                return self.written[name][number]
            name = self.parent[name]
        return 0

    def apply(self, merge):
        layer, child = merge.layer.id, merge.child.id if merge.child else None
        if merge.action is Action.COMMIT:
            assert self.size[child] >= self.size[layer]
            before = self.read(layer)
            self.size[layer] = self.size[child]
            # QEMU writes zeros where growing would let the parent's bytes show through.
            for number in range(len(before), self.size[child]):
                is_in_last_cluster = number < -(-len(before) // CLUSTER) * CLUSTER
                self.written[layer][number] = OLD_BYTES if is_in_last_cluster else 0
            self.written[layer].update(self.written[child])
            for other, parent in self.parent.items():
                if parent == child:
                    self.parent[other] = layer
            del self.parent[child], self.size[child], self.written[child]
        elif merge.action is Action.PULL:
            whole = self.read(child)
            self.parent[child] = self.path_of[merge.stands_on[0]] if merge.stands_on else None
            self.written[child] = dict(enumerate(whole))
            self._remove(layer)
        else:
            self._remove(layer)

    def _remove(self, name):
        assert name not in self.parent.values()
        del self.parent[name], self.size[name], self.written[name]


def random_tree(seed, *, is_running=False):
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    nodes = [node("n0", virtual_size=chance.randint(4, 8), cluster_bytes=CLUSTER)]
    for number in range(1, chance.randint(2, 12)):
        parent = chance.choice(nodes)
        nodes.append(
            node(
                f"n{number}",
                parent.id,
                is_named=chance.random() < 0.4,
                virtual_size=chance.randint(4, 8),
                cluster_bytes=CLUSTER,
                allocated=chance.randint(1, 8),
            )
        )
    leaves = [item for item in nodes if item.id not in {other.parent_id for other in nodes}]
    active = chance.choice(leaves)
    nodes = [replace(item, is_active=item.id == active.id) for item in nodes]
    nodes = [replace(item, is_named=False) if item.is_active else item for item in nodes]
    by_id = {item.id: item for item in nodes}
    chain = [active.id]
    while by_id[chain[-1]].parent_id is not None:
        chain.append(by_id[chain[-1]].parent_id)
    nodes = [replace(item, is_open=is_running and item.id in chain) for item in nodes]
    written = {
        item.id: {
            chance.randrange(item.virtual_size): chance.randint(1, 9)
            for _ in range(chance.randint(0, 5))
        }
        for item in nodes
    }
    return nodes, written


@pytest.mark.parametrize("is_running", [False, True], ids=["off", "running"])
@pytest.mark.parametrize("seed", range(400))
def test_merging_changes_neither_what_groups_read_nor_what_the_machine_reads(seed, is_running):
    """H40, H54: branches, resized layers and all; a running QEMU only commits what it has open."""
    nodes, written = random_tree(seed, is_running=is_running)
    model = Model(nodes, written)
    needed = {item.id: model.read(item.id) for item in nodes if item.is_named or item.is_active}
    stands_for = {name: name for name in needed}

    merges, kept = plan_merges(nodes, is_running=is_running)
    for merge in merges:
        model.apply(merge)
        if is_running and merge.action is not Action.DROP:
            assert merge.action is Action.COMMIT
            assert merge.layer.is_open
            assert merge.child.is_open
        if merge.action is Action.COMMIT:
            for name, holder in stands_for.items():
                if holder == merge.child.id:
                    stands_for[name] = merge.layer.id

    assert {name: model.read(stands_for[name]) for name in needed} == needed
    left = set(model.parent)
    children = {name: [n for n, parent in model.parent.items() if parent == name] for name in left}
    waiting = {item.layer.id for item in kept if item.waits}
    assert is_running or not waiting
    for name in left - set(stands_for.values()):
        assert len(children[name]) > 1 or name in waiting, "a layer that nobody needs was left"
    assert {item.layer.id for item in kept} == left - set(stands_for.values())


def test_a_file_that_vmsnap_did_not_make_is_merged_into_when_sizes_allow():
    """H59: a domain without groups ends on its original files."""
    nodes = [node("base", allocated=1), node("top", "base", is_active=True, allocated=9)]
    (merge,), kept = plan_merges(nodes)
    assert merge.action is Action.COMMIT
    assert kept == ()


def test_a_smaller_child_is_never_committed():
    """H54: a grandchild that was grown again would read the parent's old bytes."""
    nodes = [
        node("base", virtual_size=8),
        node("small", "base", virtual_size=4, is_named=True),
        node("top", "small", virtual_size=8, is_active=True),
    ]
    (merge,), _ = plan_merges(nodes)
    assert merge.action is Action.PULL


def test_what_cannot_grow_is_pulled_from():
    nodes = [
        node("base", virtual_size=4, can_grow=False),
        node("top", "base", virtual_size=8, is_active=True),
    ]
    (merge,), _ = plan_merges(nodes)
    assert merge.action is Action.PULL
    assert merge.stands_on is None


def test_an_image_that_ends_within_a_cluster_is_not_grown():
    """H54: what was there before it was shrunk would come to light."""
    nodes = [
        node("base", virtual_size=6, cluster_bytes=4),
        node("top", "base", virtual_size=8, is_active=True),
    ]
    (merge,), _ = plan_merges(nodes)
    assert merge.action is Action.PULL


def test_the_way_that_moves_less_is_taken_among_own_layers():
    light = [
        node("base", is_named=True),
        node("middle", "base", allocated=8),
        node("top", "middle", is_active=True, allocated=1),
    ]
    heavy = [light[0], replace(light[1], allocated=1), replace(light[2], allocated=8)]
    assert plan_merges(light)[0][0].action is Action.COMMIT
    assert plan_merges(heavy)[0][0].action is Action.PULL


def test_a_pulled_root_leaves_its_child_on_what_it_stood_on_itself():
    template = (Path("/templates/debian.qcow2"), "qcow2")
    nodes = [
        node("base", is_ours=True, virtual_size=8, below=template),
        node("top", "base", virtual_size=4, is_active=True),
    ]
    (merge,), _ = plan_merges(nodes)
    assert (merge.action, merge.stands_on) == (Action.PULL, template)


def test_the_active_file_of_a_detached_disk_is_kept():
    nodes = [node("base"), node("top", "base", is_active=True, is_detached=True)]
    (merge,), _ = plan_merges(nodes)
    assert merge.action is Action.PULL


def test_a_layer_with_two_children_stays_and_says_why():
    """H40: both branches need it."""
    nodes = [
        node("base"),
        node("left", "base", is_named=True),
        node("right", "base", is_active=True),
    ]
    merges, kept = plan_merges(nodes)
    assert merges == ()
    assert [(item.layer.id, item.reason) for item in kept] == [("base", "2 layers stand on it")]


def test_nothing_is_merged_with_a_missing_file():
    nodes = [node("base", is_missing=True), node("top", "base", is_active=True)]
    assert plan_merges(nodes)[0] == ()


def test_a_layer_whose_file_is_gone_and_that_nothing_needs_is_nothing():
    """A group that was deleted is back in an older database, its files are not."""
    gone = {"is_missing": True, "is_gone": True}
    nodes = [
        node("base"),
        node("ghost", "base", **gone),
        node("old", "ghost", is_active=True, is_detached=True, **gone),
        node("top", "base", is_active=True),
    ]
    merges, kept = plan_merges(nodes)
    assert [merge.layer.id for merge in merges] == ["old", "ghost", "base"]
    assert kept == ()


def test_the_layer_of_a_detached_disk_stays_while_its_storage_is_away():
    nodes = [
        node("base"),
        node("old", "base", is_active=True, is_detached=True, is_missing=True),
    ]
    merges, kept = plan_merges(nodes)
    assert merges == ()
    assert [item.layer.id for item in kept] == ["base", "old"]


OPEN = (
    node("base", is_named=True, is_open=True),
    node("middle", "base", is_open=True),
    node("top", "middle", is_active=True, is_open=True),
)


def test_a_running_machine_commits_what_moves_more_rather_than_pull():
    """H44: QEMU does not pull safely."""
    heavy = [*OPEN[:2], replace(OPEN[2], allocated=9)]
    assert plan_merges(heavy)[0][0].action is Action.PULL
    assert plan_merges(heavy, is_running=True)[0][0].action is Action.COMMIT


@pytest.mark.parametrize(
    ("number", "change", "reason"),
    [
        (1, {"is_open": False}, "on a branch"),
        (2, {"is_open": False}, "on a branch"),
        (1, {"is_changed": True}, "written to after it was frozen"),
        (2, {"is_changed": True}, "written to after it was frozen"),
        (2, {"virtual_size": 4}, "pulled into 'top.qcow2'"),
        (2, {"is_ours": False}, "pulled into 'top.qcow2'"),
        (2, {"is_detached": True}, "pulled into 'top.qcow2'"),
    ],
)
def test_what_a_running_machine_cannot_merge_waits_and_says_why(number, change, reason):
    """H40, H54."""
    nodes = list(OPEN)
    nodes[number] = replace(nodes[number], **change)
    merges, kept = plan_merges(nodes, is_running=True)
    assert merges == ()
    waits = next(item for item in kept if item.waits)
    assert waits.layer.id == "middle"
    assert reason in waits.reason
    assert "vmsnap recover" in waits.reason
    assert [merge.layer.id for merge in plan_merges(nodes)[0]] == ["middle"]


def test_a_leaf_is_dropped_only_if_a_running_machine_does_not_have_it_open():
    """H41."""
    leaf = node("leaf", "base")
    merges, _ = plan_merges([OPEN[0], OPEN[2], leaf], is_running=True)
    assert [(merge.action, merge.layer.id) for merge in merges] == [(Action.DROP, "leaf")]
    merges, kept = plan_merges([OPEN[0], replace(leaf, is_open=True)], is_running=True)
    assert merges == ()
    assert kept[0].waits
