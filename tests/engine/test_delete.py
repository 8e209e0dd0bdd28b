"""Deleting groups of a machine that is shut off: these points only, nothing else changes."""

import subprocess

import pytest

from vmsnap.engine.backup import create_backup
from vmsnap.engine.requests import CreateRequest
from vmsnap.errors import GroupNotFoundError, InUseError, StateError
from vmsnap.model import DomainState

KIB = 1024


@pytest.fixture
def three(world):
    """Three groups on each other, and what each holds."""
    groups = {}
    for value, name in enumerate(("one", "two", "three"), start=1):
        world.fill(value)
        groups[name] = world.create(name).group
    world.fill(9)
    return {name: world.group_disks(group) for name, group in groups.items()}


def held(world):
    """What every group that is left reads as."""
    layers = {layer.id: layer for layer in world.rows()[2]}
    return {
        group.name: {item.target: world.digest(layers[item.layer_id]) for item in group.snapshots}
        for group in world.rows()[0]
    }


def rest(groups, *gone):
    return {name: disks for name, disks in groups.items() if name not in gone}


@pytest.mark.parametrize("gone", [("one",), ("two",), ("three",), ("three", "one")], ids="-".join)
def test_the_other_groups_and_the_machine_read_as_before(world, three, gone):
    """H1, H2: rows and backups of the others survive, too."""
    before = world.machine()
    backups = {resource.name: resource.backups for resource in world.rows()[1]}
    result = world.delete(*gone)
    assert result.is_complete
    assert held(world) == rest(three, *gone)
    assert world.machine() == before
    assert {resource.name: resource.backups for resource in world.rows()[1]} == rest(backups, *gone)
    assert len(list(world.folder.rglob("*.qcow2"))) == 2 * len(rest(three, *gone)) + 1
    for name in rest(three, *gone):
        world.revert(name)


def test_without_groups_the_machine_runs_on_its_original_files(world, three):
    """H59."""
    before = world.machine()
    definition = world.definition()
    result = world.delete(*three)
    assert result.is_complete
    assert {target: world.active(target) for target in world.disks} == world.disks
    assert world.machine() == before
    assert list(world.folder.glob("pool-*/*vmsnap-*")) == []
    groups, resources, layers, (record,) = world.rows()
    assert (groups, resources, layers) == ((), (), ())
    assert (record.current_id, record.safety_id) == (None, None)
    original = {target: (path, path.suffix[1:]) for target, path in world.disks.items()}
    definitions = world.ports.definitions
    assert definitions.same(definitions.with_sources(definition, original), world.definition())


def test_a_branch_keeps_its_content(world, three):
    """H40: two layers stand on one; it stays, and is said to, until one of them is gone."""
    world.revert("two")
    world.fill(7)
    branch = world.create("branch").group
    groups = three | {"branch": world.group_disks(branch)}
    safety = next(name for name in held(world) if name.startswith("safety"))
    groups[safety] = held(world)[safety]
    before = world.machine()
    result = world.delete("two")
    assert any("stand on it" in note for note in result.notes)
    assert held(world) == rest(groups, "two")
    world.delete("three", safety)
    assert held(world) == rest(groups, "two", "three", safety)
    assert world.machine() == before
    assert len(list(world.folder.rglob("*.qcow2"))) == 2 * 2 + 1


def test_children_are_taken_along_only_when_asked_for(world, three):
    """H42."""
    result = world.delete("two", dry_run=True)
    assert result.groups == ("two",)
    result = world.delete("two", with_children=True, dry_run=True)
    assert set(result.groups) == {"two", "three"}
    assert held(world) == three
    world.delete("two", with_children=True)
    assert held(world) == rest(three, "two", "three")


def test_a_dry_run_changes_nothing_and_is_never_complete(world, three):
    before = world.everything()
    result = world.delete("two", dry_run=True)
    assert not result.is_complete
    assert result.changes
    assert world.everything() == before


def test_the_parent_takes_the_children_and_the_machine(world, three):
    ids = {group.name: group.id for group in world.rows()[0]}
    world.delete("two")
    parents = {group.name: group.parent_id for group in world.rows()[0]}
    assert parents == {"one": None, "three": ids["one"]}
    assert world.rows()[3][0].current_id == ids["three"]


def test_another_domains_rows_and_a_standalone_backup_survive(world, three):
    """H2, H12: a delete names its owner, and nothing else."""
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    other = world.hypervisor.machines[world.uuid].xml.replace("aaaaaaaa", "bbbbbbbb")
    for target, path in world.disks.items():
        copy = path.with_stem("other")
        subprocess.run(["cp", path, copy], check=True)
        other = other.replace(str(world.active(target)), str(copy)).replace(
            f'type="qcow2"/><source file="{copy}', f'type="{path.suffix[1:]}"/><source file="{copy}'
        )
    world.hypervisor.add(other.replace(world.name, "vmsnap-test-other"))
    mine, world.name = world.name, "vmsnap-test-other"
    world.create("one")
    world.name = mine
    layers = world.ports.catalog.layers(world.hypervisor.host, "bbbbbbbb" + world.uuid[8:])
    world.delete(*three)
    groups, resources, _, records = world.rows()
    assert [group.resource.domain_name for group in groups] == ["vmsnap-test-other"]
    assert sorted(resource.name for resource in resources) == ["kept", "one"]
    assert len(records) == 2
    assert layers == world.ports.catalog.layers(world.hypervisor.host, "bbbbbbbb" + world.uuid[8:])


def test_an_id_of_another_kind_deletes_nothing(world, three):
    """H12."""
    before = world.everything()
    group = world.rows()[0][0]
    wrong = (group.resource.backups[0].id, group.snapshots[0].id, group.snapshots[0].layer_id)
    for text in wrong:
        with pytest.raises(GroupNotFoundError):
            world.delete(text)
    assert world.everything() == before


def test_a_machine_that_is_neither_on_nor_off_refuses(world, three):
    """H26: it is being started, stopped or migrated."""
    world.hypervisor.start(world.uuid)
    world.hypervisor.machines[world.uuid].state = DomainState.OTHER
    with pytest.raises(StateError, match="migrated"):
        world.delete("two")
    assert held(world) == three


def test_a_layer_that_another_domain_uses_refuses(world, three):
    """H28: a linked clone on a frozen layer would read other bytes."""
    layer = next(item for item in world.rows()[2] if item.target == "vda" and item.facts)
    clone = world.folder / "clone.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", layer.format, "-b", layer.path, clone],
        check=True,
    )
    xml = world.hypervisor.machines[world.uuid].xml.replace("aaaaaaaa", "bbbbbbbb")
    xml = xml.replace(world.name, "vmsnap-test-clone")
    xml = world.ports.definitions.with_sources(xml, {"vda": (clone, "qcow2")})
    world.hypervisor.add(world.ports.definitions.with_disks_of(xml, "<domain/>", ["vdb"]))
    before = world.everything()
    with pytest.raises(InUseError, match="vmsnap-test-clone"):
        world.delete("one")
    assert world.everything() == before


def test_a_template_below_the_first_group_is_never_written(world):
    """H59."""
    template = world.disks["vda"].rename(world.folder / "template.qcow2")
    new = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "../template.qcow2"]
    subprocess.run([*new, world.disks["vda"]], check=True)
    template.chmod(0o444)
    bytes_before = template.read_bytes()
    world.create("one")
    world.fill(5)
    world.create("two")
    world.fill(6)
    before = world.machine()
    world.delete("one")
    world.delete("two")
    assert template.read_bytes() == bytes_before
    assert world.machine() == before
    assert world.active("vda") == world.disks["vda"]


def test_an_overlay_of_somebody_else_on_top_refuses_until_it_is_taken_in(world, three):
    """A `virsh snapshot-create-as` since: what it froze is not vmsnap's to merge into."""
    foreign = world.folder / "pool-vda" / "web.virsh.qcow2"
    new = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]
    subprocess.run(
        [*new, world.active("vda"), foreign],
        check=True,
    )
    world.edit(str(world.active("vda")), str(foreign))
    world.write("vda", 77)
    before = world.everything()
    with pytest.raises(StateError, match=r"web\.virsh"):
        world.delete("three")
    assert world.everything() == before
    machine = world.machine()
    five = world.create("five").group
    groups = three | {"five": world.group_disks(five)}
    world.delete("three")
    assert held(world) == rest(groups, "three")
    world.delete("one", "two", "five")
    assert world.machine() == machine
    assert foreign.exists()


def test_the_files_of_a_detached_disk_are_kept(world, three):
    """H43: somebody may attach it again, and it must read the same."""
    path = world.active("vdb")
    read = world.read(path)
    xml = world.hypervisor.machines[world.uuid].xml
    world.hypervisor.machines[world.uuid].xml = world.ports.definitions.with_disks_of(
        xml, "<domain/>", ["vdb"]
    )
    result = world.delete(*three)
    assert result.is_complete
    world.seen.clear()
    assert world.read(path) == read


@pytest.mark.parametrize("sizes", [(2048, 512), (512, 2048)], ids=["smaller", "larger"])
def test_resized_disks_read_the_same(world, sizes):
    """H54: a disk that was made smaller and larger again reads zeros there, not old bytes."""
    for number, size in enumerate(sizes):
        world.create(f"group-{number}")
        for target in world.disks:
            arguments = ["resize", "-q", "--shrink", str(world.active(target)), f"{size}K"]
            subprocess.run(["qemu-img", *arguments], check=True)
        world.write("vda", 10 + number, sector=3)
    groups = held(world)
    before = world.machine()
    world.delete("group-1")
    assert held(world) == rest(groups, "group-1")
    world.delete("group-0")
    assert world.machine() == before
