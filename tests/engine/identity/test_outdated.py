"""An older copy of the database is put back, and the record beside the images knows better."""

import json

import pytest
from engine.patient import codes, only

from vmsnap.engine.check import check_groups
from vmsnap.engine.identity.publishing import refresh
from vmsnap.engine.rebuild import RebuildRequest, rebuild
from vmsnap.model import HostFileType
from vmsnap.store.opening import open_catalog


def database(world):
    return world.folder / "state" / "vmsnap.db"


@pytest.fixture
def reopen(world):
    """Put the bytes of a database in its place, and open it."""

    def put(data):
        world.ports.catalog.close()
        path = database(world)
        if data is not None:
            for file in path.parent.glob("vmsnap.db*"):
                file.unlink()
            path.write_bytes(data)
        return world.with_ports(catalog=open_catalog(f"sqlite:///{path}", create=True))

    return put


def groups(world):
    return sorted(group.name for group in world.ports.catalog.groups())


def verdicts(world):
    checks = check_groups(world.ports, world.name, None)
    return {
        one.group.name: [item.code for item in one.reasons if not item.code.endswith("_lost")]
        for one in checks
    }


def run(world):
    (ended,) = rebuild(world.ports, RebuildRequest(domains=(world.name,)))
    assert ended.error is None
    return ended.result


def content(world):
    return [world.read(world.active(target))[:65536] for target in world.disks]


@pytest.fixture
def older(world, reopen):
    """A copy of the day when there were one and two; since then two was deleted and four made."""
    world.create("one")
    world.fill(2)
    world.create("two")
    world.fill(3)
    world.ports.catalog.close()
    data = database(world).read_bytes()
    world = reopen(None)
    world.delete("two")
    world.create("four")
    world.fill(4)
    return reopen(data)


def test_layers_that_the_record_knows_better_are_not_damaged_after_a_rebuild(older):
    world = older
    (left_out,) = run(world).left_out
    assert left_out.endswith(f"vmsnap group delete {world.name} two")
    world.delete("two")
    assert run(world).left_out == ()
    assert verdicts(world) == {"one": [], "four": []}
    assert codes(world) == []
    world.revert("four", leave=frozenset(HostFileType))
    assert set(content(world)[0]) == {3}
    world.revert("one")
    assert set(content(world)[0]) == {1}


def test_what_a_deleted_group_froze_does_not_pass_for_there(older):
    """The layer has what another group froze by now: a revert to it must stay refused."""
    run(older)
    assert verdicts(older)["two"] != []
    assert verdicts(older)["one"] == []


def test_database_older_is_by_hand_and_a_publish_keeps_what_the_record_knows(older):
    world = older
    copies = sorted(world.folder.rglob(".*.vmsnap.json"))
    before = [known_layers(path) for path in copies]
    refresh(world.ports, world.uuid)
    found = only(world, "database_older")
    assert found.command == f"vmsnap db rebuild {world.name}"
    assert found.mend is None
    for path, known in zip(copies, before, strict=True):
        assert known.items() <= known_layers(path).items()


def known_layers(path):
    """What a record says of each layer's file, by the layer's id."""
    return {layer["id"]: str(layer["facts"]) for layer in json.loads(path.read_bytes())["layers"]}


def test_a_group_made_before_the_rebuild_keeps_what_the_record_knows(older):
    world = older
    world.create("five")
    world.fill(5)
    run(world)
    world.delete("two")
    run(world)
    assert verdicts(world) == {"one": [], "four": [], "five": []}


def test_after_all_groups_are_deleted_the_disks_are_on_their_original_files(older):
    world, before = older, content(older)
    run(world)
    world.delete("two")
    run(world)
    world.delete(*groups(world))
    assert content(world) == before
    assert [world.active(target) for target in world.disks] == list(world.disks.values())
    assert sorted(path.name for path in world.folder.glob("pool-*/*")) == ["web.qcow2", "web.raw"]
    assert world.ports.catalog.layers(world.hypervisor.host, world.uuid) == ()
    assert codes(world) == []
