"""Records that are forged, damaged or of somebody else bring nothing about that could hurt."""

import json
import os
import shutil
from pathlib import Path

import pytest
from engine.conftest import qemu_img
from engine.test_rebuild import lose_database
from fakes.failing import Failing, raising

from vmsnap.engine.check import check_groups
from vmsnap.engine.identity.publishing import Standing, refresh, standing
from vmsnap.engine.rebuild import RebuildRequest, rebuild
from vmsnap.errors import HostFileError


def record_of(world, target="vda"):
    return world.folder / f"pool-{target}" / f".{world.uuid}.vmsnap.json"


def forge(world, change, *targets):
    """Rewrite the copies of the record as root could, with a higher generation."""
    for target in targets or ("vda", "vdb"):
        data = json.loads(record_of(world, target).read_text())
        change(data)
        data["generation"] += 1
        record_of(world, target).write_text(json.dumps(data))


def rebuilt(world):
    world = lose_database(world)
    ended = rebuild(world.ports, RebuildRequest())
    return world, ended


def groups(world):
    return [group.name for group in world.ports.catalog.groups()]


@pytest.fixture
def saved(world):
    world.create("monday")
    world.fill(2)
    return world


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.update(format=3),
        lambda data: data.update(format=None),
        lambda data: data.update(groups={}),
        lambda data: data.update(groups=[1]),
        lambda data: data.update(surplus=1),
        lambda data: data.pop("layers"),
        lambda data: data.update(domain_id="bbbbbbbb-0000-4000-8000-000000000001"),
        lambda data: data["layers"][0].update(path=5),
        lambda data: data["layers"][0].update(id="../../x"),
        lambda data: data["layers"][0].update(target="vda;reboot"),
        lambda data: data["layers"][0].update(format="raw,file.driver=nbd"),
        lambda data: data["layers"][0].update(domain_id="bbbbbbbb-0000-4000-8000-000000000001"),
        lambda data: data["layers"].append(data["layers"][0]),
        lambda data: data["groups"][0].update(kind="other"),
        lambda data: data["groups"][0].update(parent_id="x"),
        lambda data: data["groups"][0]["resource"].update(name="a\u001b[2J"),
        lambda data: data["groups"][0]["resource"].update(name=""),
        lambda data: data["groups"][0]["resource"].update(kind="standalone"),
        lambda data: data["groups"][0]["resource"].update(created_at="2026-11-22T12:00:00"),
        lambda data: data["groups"][0]["snapshots"][0].update(group_id=data["layers"][0]["id"]),
        lambda data: data["groups"][0]["resource"]["backups"][0].update(digest="'"),
        lambda data: data["groups"][0]["resource"]["backups"][0].update(size_bytes="many"),
    ],
)
def test_a_damaged_record_is_passed_over_and_said(saved, spoil):
    forge(saved, spoil)
    world, (ended,) = rebuilt(saved)
    assert groups(world) == []
    assert "no record tells" in ended.result.nameless[0]
    assert any("record" in text for text in world.ports.reporter.warnings)


def test_one_whole_copy_is_enough(saved):
    record_of(saved).write_text("{")
    world, _ = rebuilt(saved)
    assert groups(world) == ["monday"]


def test_the_newest_of_several_copies_counts(saved):
    shutil.copy(record_of(saved), saved.folder / "old.json")
    saved.create("tuesday")
    shutil.copy(saved.folder / "old.json", record_of(saved))
    world, _ = rebuilt(saved)
    assert groups(world) == ["monday", "tuesday"]


def test_a_record_that_others_could_have_written_is_passed_over(saved):
    for target in saved.disks:
        os.chown(record_of(saved, target), 64055, 64055)
    world, _ = rebuilt(saved)
    assert groups(world) == []
    assert "is not believed" in world.ports.reporter.warnings[0]


def test_a_record_of_another_host_is_passed_over(saved):
    """H61."""
    text = record_of(saved).read_text()
    for target in saved.disks:
        record_of(saved, target).write_text(
            text.replace("11111111-2222-4333-8444-555555555555", "9" * 8 + "-2222-4333-8444-5555")
        )
    world, _ = rebuilt(saved)
    assert groups(world) == []
    assert any("another host" in text for text in world.ports.reporter.warnings)


def layer(data, target, *, is_made):
    return next(
        item
        for item in data["layers"]
        if item["target"] == target and item["is_made_by_vmsnap"] is is_made
    )


def delete_all(world):
    world.delete(*groups(world))
    assert groups(world) == []


def test_a_layer_that_vmsnap_did_not_make_is_never_unlinked_because_a_record_says_so(saved):
    """H59: the administrator's own image is kept whatever the record claims of it."""
    forge(saved, lambda data: layer(data, "vda", is_made=False).update(is_made_by_vmsnap=True))
    world, _ = rebuilt(saved)
    assert not any(
        item.is_made_by_vmsnap
        for item in world.ports.catalog.layers(world.hypervisor.host_id(), world.uuid)
        if item.path in world.disks.values()
    )
    machine = world.machine()
    delete_all(world)
    assert world.machine() == machine
    assert all(path.exists() for path in world.disks.values())


@pytest.mark.parametrize("name", ["precious.qcow2", "precious.vmsnap-0123456789ab.qcow2"])
def test_a_file_that_a_record_takes_for_a_layer_is_not_unlinked(saved, name):
    """H59: neither beside the images nor elsewhere, not even under such a name."""
    beside = saved.folder / "pool-vda" / name
    elsewhere = saved.folder / "elsewhere" / name
    elsewhere.parent.mkdir()
    for path in (beside, elsewhere):
        qemu_img("create", "-q", "-f", "qcow2", path, "1M")

    def change(data):
        for number, path in enumerate((beside, elsewhere)):
            made = dict(layer(data, "vda", is_made=True))
            made["id"] = f"99999999-0000-4000-8000-00000000000{number}"
            made["path"] = str(path)
            data["layers"].append(made)

    forge(saved, change)
    world, _ = rebuilt(saved)
    delete_all(world)
    assert beside.exists()
    assert elsewhere.exists()


def test_a_link_that_is_called_like_a_layer_is_not_unlinked_with_what_it_names(saved):
    """H59."""
    data = json.loads(record_of(saved).read_text())
    path = Path(layer(data, "vda", is_made=True)["path"])
    kept = saved.folder / "pool-vda" / "kept.qcow2"
    path.rename(kept)
    path.symlink_to(kept)
    world, _ = rebuilt(saved)
    delete_all(world)
    assert kept.exists()


def test_layers_that_stand_on_each_other_are_no_tree(saved):
    forge(saved, lambda data: None)
    made = saved.active("vda")
    base = saved.disks["vda"]
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", made, "-F", "qcow2", base)
    _, (ended,) = rebuilt(saved)
    assert isinstance(ended.error, HostFileError)
    assert "circle" in ended.error.message


def test_a_group_whose_layers_are_gone_is_said_and_left_out(saved):
    saved.create("tuesday")
    saved.fill(3)
    saved.revert("monday", with_safety=False)
    for path in saved.folder.glob("pool-*/*.vmsnap-*"):
        if path not in {saved.active(target) for target in saved.disks}:
            path.unlink()
    world, (ended,) = rebuilt(saved)
    assert groups(world) == ["monday"]
    assert ended.result.left_out == ("group 'tuesday': its layers are gone",)
    delete_all(world)
    assert not record_of(world).exists()


def test_a_group_of_which_a_disk_is_gone_comes_back_as_damaged(saved):
    saved.create("tuesday")
    saved.fill(3)
    saved.revert("monday", with_safety=False)
    for path in saved.folder.glob("pool-vdb/*.vmsnap-*"):
        if path != saved.active("vdb"):
            path.unlink()
    world, _ = rebuilt(saved)
    assert sorted(groups(world)) == ["monday", "tuesday"]
    (check,) = check_groups(world.ports, world.name, "tuesday")
    assert "layer_missing" in [reason.code for reason in check.reasons]


def test_a_record_that_cannot_be_written_fails_no_verb(world):
    """H31: a full disk must not undo what is done already."""
    error = HostFileError("cannot write: no space left on device")
    identities = Failing(world.ports.identities, "write", raising(error), times=2)
    world.with_ports(identities=identities).create("monday")
    assert groups(world) == ["monday"]
    assert "no space left" in world.ports.reporter.warnings[-1]
    assert standing(world.ports, world.uuid) is Standing.STALE
    refresh(world.ports, world.uuid)
    assert standing(world.ports, world.uuid) is Standing.CURRENT


def test_a_record_is_not_written_again_without_need(saved):
    before = record_of(saved).stat().st_ino
    refresh(saved.ports, saved.uuid)
    assert record_of(saved).stat().st_ino == before


def test_overlays_in_a_folder_of_their_own_leave_no_record_behind(world):
    folder = world.folder / "overlays"
    folder.mkdir(mode=0o711)
    world.create("monday", overlay_dir=folder)
    record = folder / f".{world.uuid}.vmsnap.json"
    assert record.exists()
    assert not record_of(world).exists()
    world, _ = rebuilt(world)
    assert groups(world) == ["monday"]
    delete_all(world)
    assert not record.exists()
