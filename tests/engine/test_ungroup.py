"""Ungrouping: single snapshots and a backup of its own, in one transaction, and no bytes moved."""

import sqlite3
from contextlib import closing

import pytest
from fakes.dying import DyingJournals, KilledError, die

from vmsnap.engine.backup import delete_backup, show_backup
from vmsnap.engine.check import check_groups
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.listing import group_tree, list_groups, list_snapshots
from vmsnap.engine.purge import purge_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import (
    DeleteRequest,
    PurgeRequest,
    RestoreRequest,
    UngroupRequest,
)
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import (
    BackupNotFoundError,
    GroupNotFoundError,
    ImageError,
    NameTakenError,
    ResourceNotFoundError,
    StateError,
)
from vmsnap.model import GroupKind, GroupState, ResourceKind

# What every row has to have: an owner, and every content somebody who names it.
OWNERLESS = (
    "select count(*) from backup where resource_uuid not in (select uuid from resource)",
    "select count(*) from resource where kind = 'group'"
    " and uuid not in (select resource_uuid from snapshot_group)",
    "select count(*) from snapshot where group_uuid not in"
    " (select resource_uuid from snapshot_group)",
    "select count(*) from snapshot where layer_uuid not in (select uuid from layer)",
    "select count(*) from snapshot_group where resource_uuid not in"
    " (select snapshot.group_uuid from snapshot)",
    "select count(*) from content where sha256 not in"
    " (select sha256 from backup where sha256 is not null)"
    " and sha256 not in (select definition_sha256 from snapshot_group)",
    "select count(*) from resource where not is_ready",
    "select count(*) from resource where kind != 'group'"
    " and uuid not in (select resource_uuid from backup)",
    "select count(*) from pending",
)


def ownerless(world):
    database = world.folder / "state" / "vmsnap.db"
    with closing(sqlite3.connect(database)) as connection:
        return [sql for sql in OWNERLESS if connection.execute(sql).fetchone()[0]]


def split(world, name, **options):
    return ungroup(world.ports, world.name, name, UngroupRequest(**options))


def delete_singles(world, *names, **options):
    return delete_groups(world.ports, world.name, (), DeleteRequest(singles=names, **options))


def singles(world):
    found = [group for group in world.rows()[0] if group.kind is GroupKind.SINGLE]
    return sorted(found, key=lambda group: group.name)


def snapshot_names(world):
    return [
        view.snapshot_name(disk.target)
        for view in list_snapshots(world.ports, world.name).groups
        for disk in view.disks
    ]


@pytest.fixture
def three(world):
    """Three groups on each other, and what each holds."""
    held = {}
    for value, name in enumerate(("one", "two", "three"), start=1):
        world.fill(value)
        held[name] = world.group_disks(world.create(name).group)
    world.fill(9)
    return held


def test_a_group_becomes_single_snapshots_and_a_backup_of_its_name(world, three):
    """H6."""
    group = next(item for item in world.rows()[0] if item.name == "two")
    files, machine = world.files(), world.machine()
    result = split(world, "two")
    assert result.snapshots == ("two/vda", "two/vdb")
    assert snapshot_names(world) == [
        *("one/vda", "one/vdb", "two/vda", "two/vdb", "three/vda", "three/vdb")
    ]
    assert (world.files(), world.machine()) == (files, machine)
    for single, target in zip(singles(world), ("vda", "vdb"), strict=True):
        assert single.state is GroupState.READY
        assert single.instant == group.instant
        assert single.resource.created_at == group.resource.created_at
        assert single.resource.backups == ()
        assert single.snapshot(target).layer_id == group.snapshot(target).layer_id
    (kept,) = [item for item in world.rows()[1] if item.kind is ResourceKind.STANDALONE]
    assert (kept.name, kept.created_at) == ("two", group.resource.created_at)
    old = [(row.type, row.capture, row.digest, row.meta) for row in group.resource.backups]
    assert [(row.type, row.capture, row.digest, row.meta) for row in kept.backups] == old
    assert ownerless(world) == []


def test_the_backup_can_be_restored_and_deleted(world, three):
    nvram = world.nvram.read_bytes()
    split(world, "one")
    restore_backup(world.ports, world.name, "one", RestoreRequest())
    assert world.nvram.read_bytes() == bytes([1]) * 4096 != nvram
    delete_backup(world.ports, world.name, "one", dry_run=False)
    assert ownerless(world) == []


def test_the_backup_goes_if_that_is_asked_for(world, three):
    """H6."""
    split(world, "two", drop_backup=True)
    with pytest.raises(BackupNotFoundError):
        show_backup(world.ports, world.name, "two")
    assert ownerless(world) == []


def test_a_dry_run_changes_nothing(world, three):
    before = world.everything()
    result = split(world, "two", dry_run=True)
    assert (result.is_done, len(result.snapshots), result.backup.name) == (False, 2, "two")
    assert world.everything() == before


def test_those_that_stood_on_it_stand_on_its_parent(world, three):
    ids = {group.name: group.id for group in world.rows()[0]}
    split(world, "two")
    split(world, "three")
    assert {group.parent_id for group in singles(world)} == {ids["one"]}
    assert world.rows()[3][0].current_id == ids["one"]
    tree = group_tree(world.ports, world.name)
    assert [node.view.group.name for node in tree.roots] == ["one"]
    assert (tree.roots[0].children, tree.stands_on_nothing) == ((), False)


def test_the_verbs_of_groups_do_not_see_single_snapshots(world, three):
    split(world, "two")
    views = list_groups(world.ports, world.name).groups
    assert [view.group.name for view in views] == ["one", "three"]
    assert [item.group.name for item in check_groups(world.ports, world.name, None)] == [
        *("one", "three")
    ]
    single = singles(world)[0]
    for text in ("two/vda", single.id, "two"):
        with pytest.raises(GroupNotFoundError):
            world.revert(text)
        with pytest.raises(GroupNotFoundError):
            world.delete(text)
        with pytest.raises(GroupNotFoundError):
            check_groups(world.ports, world.name, text)
    with pytest.raises(GroupNotFoundError) as caught:
        world.revert("two/vda")
    assert caught.value.hint == f"vmsnap snapshot list {world.name}"
    with pytest.raises(BackupNotFoundError):
        show_backup(world.ports, world.name, "two/vda")


def test_single_snapshots_are_deleted_and_all_else_reads_as_before(world, three):
    """H40: those of the other disks, too."""
    split(world, "two")
    machine = world.machine()
    result = delete_singles(world, "two/vda")
    assert result.is_complete
    assert result.groups == ("two/vda",)
    assert [merge.snapshot_name for merge in result.results] == ["two/vda"]
    layers = {layer.id: layer for layer in world.rows()[2]}
    (left,) = singles(world)
    assert world.digest(layers[left.snapshot("vdb").layer_id]) == three["two"]["vdb"]
    assert world.machine() == machine
    delete_singles(world, left.snapshots[0].id[:13])
    assert singles(world) == []
    assert world.machine() == machine
    for view in list_groups(world.ports, world.name).groups:
        assert world.group_disks(view) == three[view.group.name]
    assert ownerless(world) == []


def test_the_last_single_snapshots_leave_the_original_files(world):
    """H59."""
    world.create("one")
    world.fill(3)
    before = world.machine()
    split(world, "one", drop_backup=True)
    delete_singles(world, "one/vda", "one/vdb")
    assert {target: world.active(target) for target in world.disks} == world.disks
    assert world.machine() == before
    assert world.rows()[:3] == ((), (), ())


def test_a_snapshot_that_belongs_to_a_group_is_not_deleted(world, three):
    before = world.everything()
    member = next(item for item in world.rows()[0] if item.name == "two").snapshots[0]
    for text in ("two/vda", member.id):
        with pytest.raises(StateError, match="group 'two'") as caught:
            delete_singles(world, text)
        assert caught.value.hint == f"vmsnap group ungroup {world.name} two"
        assert caught.value.exit_code == 14
    for text in ("two", "two/vdz", "x"):
        with pytest.raises(ResourceNotFoundError):
            delete_singles(world, text)
    assert world.everything() == before


def test_a_delete_with_children_takes_single_snapshots_along(world, three):
    split(world, "three")
    assert world.delete("two", dry_run=True).groups == ("two",)
    assert set(world.delete("two", with_children=True).groups) == {
        *("two", "three/vda", "three/vdb")
    }
    assert ownerless(world) == []


def test_names_of_before_stay_taken_while_snapshots_have_them(world):
    """The new group's disks would be called as the single snapshots are."""
    world.create("one")
    split(world, "one", drop_backup=True)
    with pytest.raises(NameTakenError):
        world.create("one")
    delete_singles(world, "one/vda", "one/vdb")
    world.create("one")


def test_a_name_of_full_length_is_cut_to_make_room_for_the_disk(world):
    world.create("x" * 255)
    split(world, "x" * 255)
    assert snapshot_names(world) == ["x" * 251 + "/vda", "x" * 251 + "/vdb"]
    world.create("x" * 254 + "y")
    with pytest.raises(NameTakenError):
        split(world, "x" * 254 + "y")


def test_a_group_that_is_being_deleted_is_refused(world, three, monkeypatch):
    def fail(*_arguments, **_options):
        raise ImageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.ports.images), "commit", fail)
        patch.setattr(type(world.ports.images), "rebase", fail)
        assert not world.delete("two").is_complete
    before = world.everything()
    with pytest.raises(StateError, match="deleting"):
        split(world, "two")
    assert world.everything() == before


def test_it_works_on_a_machine_that_runs_and_on_one_that_is_gone(world, three):
    world.hypervisor.start(world.uuid)
    calls = len(world.hypervisor.calls)
    split(world, "one")
    world.hypervisor.stop(world.uuid)
    world.hypervisor.undefine(world.uuid)
    split(world, "two")
    assert len(singles(world)) == 4
    changing = {"define", "switch_disks", "suspend", "merge_live"}
    assert not changing & {call[0] for call in world.hypervisor.calls[calls:]}


def test_ungrouping_a_safety_group_ends_the_undo(world, three):
    world.revert("one")
    safety = next(item.name for item in world.rows()[0] if item.kind is GroupKind.SAFETY)
    result = split(world, safety)
    assert any("undo" in note for note in result.notes)
    assert world.rows()[3][0].safety_id is None
    with pytest.raises(StateError):
        world.undo()
    assert ownerless(world) == []


def test_an_undo_leaves_what_single_snapshots_stand_on(world, three):
    """The layers that the machine goes back to are frozen for a single snapshot."""
    world.revert("one")
    world.create("four")
    split(world, "four")
    held = world.rows()[2]
    world.undo(force=True)
    by_id = {layer.id: layer for layer in world.rows()[2]}
    for single in singles(world):
        layer = by_id[single.snapshots[0].layer_id]
        assert layer in held
        assert world.ports.images.facts(layer.path) == layer.facts


def _undone(world):
    world.revert("one")
    world.undo()


def _purged(world):
    world.hypervisor.undefine(world.uuid)
    purge_domain(world.ports, world.name, PurgeRequest())


@pytest.mark.parametrize(
    "end",
    [
        lambda world: split(world, "two"),
        lambda world: split(world, "two", drop_backup=True),
        lambda world: world.delete("two"),
        lambda world: world.delete("one", with_children=True),
        lambda world: (split(world, "two"), delete_singles(world, "two/vda")),
        _undone,
        lambda world: world.revert("one", with_safety=False),
        _purged,
    ],
    ids=["ungroup", "drop", "delete", "children", "single", "undo", "no safety", "purge"],
)
def test_no_row_is_without_an_owner_however_a_group_ends(world, three, end):
    """H6."""
    end(world)
    assert ownerless(world) == []
    assert recover_all(world.ports, dry_run=False) == ()


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
def test_a_kill_at_any_step_leaves_the_group_or_what_it_becomes(
    world, three, at, is_written, monkeypatch
):
    """H6, H57."""
    before = world.everything()
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        split(
            world.with_ports(
                journals=DyingJournals(world.ports.journals, at, is_written=is_written)
            ),
            "two",
        )
    recover_all(world.ports, dry_run=False)
    assert ownerless(world) == []
    if at == 1:
        assert world.everything() == before
    else:
        assert [single.name for single in singles(world)] == ["two/vda", "two/vdb"]
        assert show_backup(world.ports, world.name, "two")
