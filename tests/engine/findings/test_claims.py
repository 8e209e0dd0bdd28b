"""Overlays that no row of this host names, and that are somebody's all the same."""

import json

import pytest
from engine.conftest import qemu_img
from engine.patient import codes, only, sql
from fakes.second_machine import second_machine

from vmsnap.engine.doctor import examine, mend
from vmsnap.engine.findings.finding import Cure
from vmsnap.model import HostId, Operation, OperationId

OTHER_HOST = HostId("99999999-2222-4333-8444-555555555555")
OTHER_UUID = "cccccccc-0000-4000-8000-000000000003"


@pytest.fixture
def orphan(world):
    """An overlay that is nobody's, beside a group's."""
    world.create("monday")
    path = world.disks["vda"].with_name("web.vmsnap-0123456789ab.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", path, "1M")
    path.chmod(0o600)
    assert codes(world) == ["orphan_overlay"]
    return path


def record_beside(path, **changes):
    """Put the record of another domain beside a file: what a group of its own leaves."""
    (own,) = path.parent.glob(".aaaa*.vmsnap.json")
    text = own.read_text()
    data = json.loads(text)
    text = text.replace(data["domain_id"], OTHER_UUID)
    text = text.replace(data["host_id"], changes.pop("host_id", data["host_id"]))
    text = text.replace(data["layers"][-1]["path"], str(changes.pop("names", path)))
    made = own.with_name(f".{OTHER_UUID}.vmsnap.json")
    made.write_text(json.dumps({**json.loads(text), **changes}))
    made.chmod(0o600)
    return made


def left(world):
    """What `--fix --yes` leaves of orphans; it must not take anything that is claimed."""
    mend(world.ports, [item for item in examine(world.ports) if item.kind.cure is not Cure.BY_HAND])
    return codes(world)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"format": 3, "names": "/elsewhere.qcow2"},
        {"layers": 1},
        {"database": "another"},
        {"names": "/elsewhere/web.vmsnap-0123456789ab.qcow2"},
        {"host_id": OTHER_HOST},
        {"host_id": OTHER_HOST, "names": "/elsewhere.qcow2"},
    ],
)
def test_perhaps_orphan_overlay_is_what_a_record_of_anybody_may_name(world, orphan, changes):
    """H61: of another domain, database, host or version, or one that cannot be judged."""
    record_beside(orphan, **changes)
    assert left(world) == ["perhaps_orphan_overlay"]
    assert orphan.exists()


def test_a_record_of_this_host_is_given_back_and_that_of_another_named(world, orphan):
    record = record_beside(orphan)
    found = only(world, "perhaps_orphan_overlay")
    assert found.command == f"vmsnap db rebuild --folder {orphan.parent} {OTHER_UUID}"
    record_beside(orphan, host_id=OTHER_HOST)
    found = only(world, "perhaps_orphan_overlay")
    assert OTHER_HOST in found.message
    assert found.command == f"qemu-img info --backing-chain {orphan}"
    record.chmod(0o666)
    assert "others than root could have written it" in only(world, "perhaps_orphan_overlay").message
    record.unlink()
    assert left(world) == []
    assert not orphan.exists()


def test_a_record_that_does_not_name_it_leaves_it_an_orphan(world, orphan):
    record_beside(orphan, names="/elsewhere.qcow2")
    assert left(world) == []
    assert not orphan.exists()


def test_a_lost_database_gives_none_of_its_groups_away(world):
    """All that stands beside a layer that is not recorded may be of the groups that are lost."""
    world.create("monday")
    world.revert("monday")
    before = world.files()
    kept = world.ports.catalog.groups()
    sql(world, "DELETE FROM snapshot", "DELETE FROM layer", "DELETE FROM backup")
    sql(world, "DELETE FROM snapshot_group", "DELETE FROM resource", "DELETE FROM domain")
    assert world.ports.catalog.groups() == ()
    assert set(left(world)) == {"disk_on_unknown_layer", "perhaps_orphan_overlay"}
    for path in world.folder.rglob(".*.vmsnap.json"):
        path.unlink()
    assert set(left(world)) == {"disk_on_unknown_layer", "perhaps_orphan_overlay"}
    assert [name for name in before if not name.endswith(".json")] == world.files()
    assert kept


def test_a_layer_that_only_a_running_disk_uses_keeps_its_folder(world, orphan):
    other = second_machine(world)
    other.nvram.chmod(0o600)
    used = orphan.with_name("web.vmsnap-ba9876543210.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", used, "1M")
    used.chmod(0o600)
    machine = world.hypervisor.machines[other.uuid]
    disk = f'<disk type="file" device="disk"><source file="{used}"/><target dev="vda"/></disk>'
    machine.saved_xml = machine.xml.replace("<devices>", f"<devices>{disk}")
    assert left(world) == ["perhaps_orphan_overlay"]


def test_what_another_host_records_or_has_pending_is_no_orphan(world, orphan):
    """H61: a shared folder, and one database of two hosts."""
    assert world.hypervisor.host != OTHER_HOST
    pending = Operation(
        id=OperationId(world.ports.clock.new_id()),
        verb="snapshot create",
        host_id=OTHER_HOST,
        domain_id=OTHER_UUID,
        domain_name="there",
        started_at=world.ports.clock.now(),
    )
    world.ports.catalog.reserve(pending, (), {})
    assert left(world) == ["perhaps_orphan_overlay"]
    world.ports.catalog.discard(pending.id)
    assert codes(world) == ["orphan_overlay"]
    sql(
        world,
        "INSERT INTO domain (name, host_uuid, uuid) VALUES ('there',"
        " '99999999-2222-4333-8444-555555555555', 'cccccccc-0000-4000-8000-000000000003')",
        "INSERT INTO layer (uuid, host_uuid, domain_uuid, target, path, format, is_made_by_vmsnap,"
        " is_active) VALUES ('eeeeeeee-0000-4000-8000-000000000005',"
        " '99999999-2222-4333-8444-555555555555', 'cccccccc-0000-4000-8000-000000000003', 'vda',"
        " '/mnt/web.vmsnap-0123456789ab.qcow2', 'qcow2', 1, 1)",
    )
    assert left(world) == ["perhaps_orphan_overlay"]
    found = only(world, "perhaps_orphan_overlay")
    assert f"for domain 'there' of host '{OTHER_HOST}'" in found.message
