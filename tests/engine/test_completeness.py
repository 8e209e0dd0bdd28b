"""What a group lacks of its machine, as its rows and a look at its files tell."""

import os
from dataclasses import replace

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.completeness import Renounced, damage, defects, lacks
from vmsnap.errors import ImageError
from vmsnap.model import Capture, GroupState, HostFileType


def made(world, name="monday", **options):
    """Make a group; return it with the definition and the layers."""
    world.create(name, **options)
    group = next(item for item in world.ports.catalog.groups() if item.name == name)
    return group, world.hypervisor.domain(world.uuid).definition, layers(world)


def layers(world):
    return {layer.id: layer for layer in world.rows()[2]}


def test_a_group_of_all_that_the_machine_has_is_complete(world):
    group, definition, found = made(world)
    assert lacks(group, definition, found, Renounced()) == ()
    assert damage(world.ports.images, group, found) == ()


def test_an_excluded_disk_is_lacking_unless_it_is_renounced(world):
    group, definition, found = made(world, exclude=("vdb",))
    assert lacks(group, definition, found, Renounced()) == (
        "disk vdb is left out: excluded by name",
    )
    assert lacks(group, definition, found, Renounced(exclude=frozenset({"vdb"}))) == ()


def test_a_disk_that_was_added_since_is_lacking(world):
    group, definition, found = made(world)
    added = replace(definition.disks[0], target="vdc")
    grown = replace(definition, disks=(*definition.disks, added))
    assert lacks(group, grown, found, Renounced()) == ("disk vdc was added since",)


def test_a_disk_that_was_detached_since_is_no_fault_of_the_group(world):
    group, definition, found = made(world)
    assert lacks(group, replace(definition, disks=()), found, Renounced()) == ()


@pytest.mark.parametrize("type_", HostFileType)
def test_a_skipped_host_file_is_lacking_unless_it_is_renounced(world, type_):
    group, definition, found = made(world, without=frozenset({type_}))
    assert lacks(group, definition, found, Renounced()) == (f"{type_.value} was skipped",)
    assert lacks(group, definition, found, Renounced(without=frozenset({type_}))) == ()


@pytest.mark.parametrize(
    ("capture", "is_complete"),
    [(Capture.LOST, False), (Capture.ABSENT, True), (Capture.NOT_CREATED, True)],
)
def test_a_host_file_that_was_lost_is_lacking_one_that_was_not_there_is_not(
    world, capture, is_complete
):
    group, definition, found = made(world)
    rows = tuple(replace(row, capture=capture) for row in group.resource.backups)
    changed = replace(group, resource=replace(group.resource, backups=rows))
    assert (lacks(changed, definition, found, Renounced()) == ()) is is_complete


def test_a_host_file_that_the_machine_does_not_have_any_more_is_not_missed(world):
    group, definition, found = made(world, without=frozenset(HostFileType))
    plain = replace(definition, nvram=None, tpm=None)
    assert lacks(group, plain, found, Renounced()) == ()


def test_a_host_file_without_a_row_is_lacking(world):
    group, definition, found = made(world)
    bare = replace(group, resource=replace(group.resource, backups=()))
    assert lacks(bare, definition, found, Renounced()) == (
        "its nvram backup is missing",
        "its tpm backup is missing",
    )


def test_a_group_that_is_being_deleted_is_not_complete(world):
    group, definition, found = made(world)
    ending = replace(group, state=GroupState.DELETING)
    assert lacks(ending, definition, found, Renounced()) == ("its state is 'deleting'",)


def test_a_disk_whose_layer_has_no_row_is_lacking(world):
    group, definition, _ = made(world)
    assert lacks(group, definition, {}, Renounced()) == (
        "disk vda: its layer has no row",
        "disk vdb: its layer has no row",
    )
    assert damage(world.ports.images, group, {}) == ()


def test_a_missing_file_and_one_that_was_written_to_are_damage(world):
    group, _, found = made(world)
    world.disks["vda"].unlink()
    os.utime(world.disks["vdb"], (1, 1))
    first, second = damage(world.ports.images, group, found)
    assert first == f"disk vda: layer '{world.disks['vda']}' is missing"
    assert "changed after it was frozen" in second


def test_a_missing_file_further_down_the_chain_is_damage(world):
    made(world, "monday")
    group, _, found = made(world, "tuesday")
    world.disks["vda"].unlink()
    assert damage(world.ports.images, group, found) == (
        f"disk vda: layer '{world.disks['vda']}' is missing",
    )


# --- what became of groups -----------------------------------------------------------------------


def test_what_a_group_never_held_is_no_defect(world):
    group, _, found = made(world, exclude=("vdb",), without=frozenset(HostFileType))
    assert defects(world.ports.images, [group], found) == {}


def test_a_layer_that_is_gone_is_a_defect_of_all_groups_that_read_it(world):
    first, _, _ = made(world)
    world.fill(2)
    second, _, found = made(world, "tuesday")
    lost = found[first.snapshot("vda").layer_id].path
    lost.rename(lost.with_suffix(".away"))
    message = f"disk vda: layer '{lost}' is missing"
    assert defects(world.ports.images, [first, second], found) == {
        first.id: message,
        second.id: message,
    }


def test_a_layer_of_a_later_group_is_no_defect_of_an_earlier_one(world):
    first, _, _ = made(world)
    world.fill(2)
    second, _, found = made(world, "tuesday")
    found[second.snapshot("vdb").layer_id].path.unlink()
    assert list(defects(world.ports.images, [first, second], found)) == [second.id]


def test_a_layer_without_a_row_and_one_that_cannot_be_read_are_defects(world):
    group, _, found = made(world)
    layer = found[group.snapshot("vda").layer_id]
    del found[layer.id]
    assert defects(world.ports.images, [group], found) == {
        group.id: "disk vda: its layer has no row"
    }
    error = raising(ImageError("input/output error"))
    # Which layer is looked at first is not fixed.
    broken = Failing(world.ports.images, "facts", error, times=99)
    assert defects(broken, [group], layers(world))[group.id].endswith(": input/output error")


@pytest.mark.parametrize("capture", [Capture.LOST, Capture.CAPTURED])
def test_a_host_file_without_its_content_is_a_defect(world, capture):
    group, _, found = made(world)
    backups = tuple(
        replace(row, capture=capture, digest=None) if row.type is HostFileType.TPM else row
        for row in group.resource.backups
    )
    lost = replace(group, resource=replace(group.resource, backups=backups))
    assert defects(world.ports.images, [lost], found) == {group.id: "its tpm is lost"}
