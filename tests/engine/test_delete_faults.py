"""A delete that fails or is ended in the middle: only forward, and a second run finishes it."""

import subprocess

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.recover import recover_all
from vmsnap.errors import ImageError, LeftChangedError, LibvirtError
from vmsnap.model import GroupState


class KilledError(BaseException):
    """Stands for a kill: nothing may run after it."""


@pytest.fixture
def groups(world):
    """Two groups on each other, and what each holds."""
    made = {}
    for value, name in enumerate(("one", "two"), start=2):
        world.fill(value)
        made[name] = world.create(name).group
    world.fill(9)
    return {name: world.group_disks(group) for name, group in made.items()}


def failing(world, port, method, error, **options):
    return world.with_ports(
        **{port: Failing(getattr(world.ports, port), method, raising(error), **options)}
    )


def killed(world, monkeypatch, verb):
    with monkeypatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", _die)
        with pytest.raises(KilledError):
            verb(world)


def _die(error, run, steps, done):
    raise error


def states(world):
    return {group.name: group.state for group in world.rows()[0]}


def held(world, name):
    layers = {layer.id: layer for layer in world.rows()[2]}
    (group,) = [group for group in world.rows()[0] if group.name == name]
    return {item.target: world.digest(layers[item.layer_id]) for item in group.snapshots}


def is_fenced(world):
    return world.hypervisor.domain(world.uuid).definition.is_fenced


def assert_second_run_finishes(world, groups, before):
    """What every failure has to allow: the others are whole, and the group can be ended."""
    assert not is_fenced(world)
    assert world.journals() == ()
    assert world.machine() == before
    assert held(world, "two") == groups["two"]
    assert world.ports.catalog.groups()[0].state is GroupState.DELETING
    assert world.delete("one").is_complete
    assert states(world) == {"two": GroupState.READY}
    assert world.machine() == before
    assert held(world, "two") == groups["two"]
    world.revert("two")


def test_a_partial_failure_keeps_the_whole_backup_and_a_second_run_finishes(world, groups):
    """H1: one disk was merged, one was not."""
    before = world.machine()
    (one, _), (resource, _), *_ = world.rows()
    result = failing(world, "images", "commit", ImageError("it broke"), skip=1).delete("one")
    assert not result.is_complete
    assert [(item.target, item.merged, item.code) for item in result.results] == [
        ("vda", True, None),
        ("vdb", False, "image"),
    ]
    assert "it broke" in result.results[1].message
    assert world.rows()[0][0].resource.backups == one.resource.backups == resource.backups
    for backup in resource.backups:
        assert world.ports.catalog.content(backup.digest)
    assert_second_run_finishes(world, groups, before)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_failed_merge_does_not_make_another_group_look_damaged(world, groups, is_after):
    """H1: the merge wrote to a layer of 'two'; what it reads is the same, and check knows it."""
    from vmsnap.engine.check import check_groups

    error = ImageError("no space left on device")
    failing(world, "images", "commit", error, is_after=is_after).delete("one")
    (check,) = check_groups(world.ports, world.name, "two")
    assert check.reasons == ()


@pytest.mark.parametrize("method", ["commit", "set_backing", "remove_overlay"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_signal_leaves_the_group_for_a_second_run(world, groups, method, is_after):
    """H4, H44: Ctrl-C between and within merges: the fence is lifted, the others are whole."""
    before = world.machine()
    with pytest.raises(KeyboardInterrupt):
        failing(world, "images", method, KeyboardInterrupt(), is_after=is_after).delete("one")
    assert_second_run_finishes(world, groups, before)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_signal_within_a_pull_leaves_the_group_for_a_second_run(world, is_after):
    """H44: a layer whose child is the smaller one is pulled, never committed."""
    world.create("base")
    world.fill(2)
    world.create("one")
    for target in world.disks:
        resize = ["qemu-img", "resize", "-q", "--shrink", world.active(target), "512K"]
        subprocess.run(resize, check=True)
    world.fill(3)
    two = world.create("two").group
    groups = {"two": world.group_disks(two)}
    before = world.machine()
    with pytest.raises(KeyboardInterrupt):
        failing(world, "images", "rebase", KeyboardInterrupt(), is_after=is_after).delete("one")
    assert world.journals() == ()
    world.delete("base")
    assert world.machine() == before
    assert held(world, "two") == groups["two"]
    assert "one" not in states(world)


def test_a_header_that_cannot_be_changed_is_finished_by_recover(world, groups):
    """H44: the layer is merged, one of two layers on it stands elsewhere: only forward."""
    before = world.machine()
    real = world.ports.images
    refusing = Failing(real, "exists", lambda: None)

    def refuse(*_arguments):
        raise ImageError("operation not permitted")

    refusing.set_backing = refuse
    with pytest.raises(LeftChangedError, match="not permitted"):
        world.with_ports(images=refusing).delete("one")
    assert is_fenced(world)
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "finished"
    assert recover_all(world.ports, dry_run=False) == ()
    assert states(world) == {"two": GroupState.READY}
    assert (world.machine(), held(world, "two")) == (before, groups["two"])


def test_a_file_that_cannot_be_removed_is_removed_by_the_second_run(world, groups):
    before = world.machine()
    error = ImageError("operation not permitted")
    result = failing(world, "images", "remove_overlay", error).delete("one")
    assert not result.is_complete
    files = len(list(world.folder.glob("pool-*/*")))
    assert_second_run_finishes(world, groups, before)
    # The revert to 'two' that ends the check has made two overlays.
    assert len(list(world.folder.glob("pool-*/*"))) == files - 1 + 2


@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_failing_define_leaves_the_group_for_a_second_run(world, groups, when):
    """H24: after an error of libvirt's what the domain uses is believed."""
    before = world.machine()
    world.hypervisor.fail("define", LibvirtError("no"), when=when, skip=1)
    result = world.delete("two")
    assert result.is_complete is (when == "after")
    assert not is_fenced(world)
    assert world.machine() == before
    assert world.delete("two" if when != "after" else "one").is_complete
    assert world.machine() == before


def test_a_machine_that_was_started_by_hand_loses_nothing(world, groups, monkeypatch):
    """H44: killed after the active layer was merged; the fence taken away, started, written."""
    catalog = Failing(world.ports.catalog, "apply", raising(KilledError()))
    killed(world.with_ports(catalog=catalog), monkeypatch, lambda seen: seen.delete("two"))
    assert is_fenced(world)
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.without_fence(machine.xml)
    world.hypervisor.start(world.uuid)
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "waiting"
    assert world.hypervisor.domain(world.uuid).name in result.domain_name
    world.hypervisor.stop(world.uuid)
    world.fill(66)
    before = world.machine()
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "finished"
    assert world.machine() == before
    assert states(world) == {"one": GroupState.READY}
    assert held(world, "one") == groups["one"]
    world.create("three")


def test_a_kill_in_the_middle_of_a_merge_is_finished(world, groups, monkeypatch):
    """H44."""
    before = world.machine()
    images = Failing(world.ports.images, "commit", raising(KilledError()), skip=1, is_after=True)
    killed(world.with_ports(images=images), monkeypatch, lambda seen: seen.delete("one"))
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "finished"
    assert states(world) == {"two": GroupState.READY}
    assert (world.machine(), held(world, "two")) == (before, groups["two"])


def test_a_file_that_the_definition_still_names_is_not_removed(world, groups):
    """H41: an administrator gave another disk the layer that goes."""
    path = world.active("vda")

    def name_it():
        xml = world.hypervisor.machines[world.uuid].xml
        world.hypervisor.machines[world.uuid].xml = world.ports.definitions.with_sources(
            xml, {"vdb": (path, "qcow2")}
        )

    images = Failing(world.ports.images, "commit", name_it, is_after=True)
    world.with_ports(images=images).delete("two")
    assert path.exists()


def test_an_edit_made_while_merging_survives(world, groups):
    """H58: merging may take hours."""
    images = Failing(
        world.ports.images, "commit", lambda: world.edit("262144", "131072"), is_after=True
    )
    world.with_ports(images=images).delete("two")
    assert "131072" in world.definition()
