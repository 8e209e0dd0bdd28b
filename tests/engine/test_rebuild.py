"""The database is lost, and what is recorded beside the images brings groups and disks back."""

import contextlib
import json
from dataclasses import replace

import pytest
from fakes.dying import DyingJournals, KilledError, die
from sqlalchemy import create_engine, text

from vmsnap.engine.check import check_groups
from vmsnap.engine.purge import purge_domain
from vmsnap.engine.rebuild import RebuildRequest, rebuild
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import PurgeRequest, UngroupRequest
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import BusyError, DatabaseError, NotAvailableError, StateError
from vmsnap.model import Capture, HostFileType
from vmsnap.store.opening import open_catalog

BOTH = frozenset(HostFileType)


def lose_database(world):
    """Remove the database and make a new, empty one in its place."""
    world.ports.catalog.close()
    path = world.folder / "state" / "vmsnap.db"
    for file in path.parent.glob("vmsnap.db*"):
        file.unlink()
    return world.with_ports(catalog=open_catalog(f"sqlite:///{path}", create=True))


def run(world, **options):
    ended = rebuild(world.ports, RebuildRequest(**options))
    assert [one.error for one in ended if one.error] == []
    return [one.result for one in ended]


def as_lost(rows):
    """What rows say once the contents are gone; resources that are no groups' are gone too."""
    groups, _, layers, records = rows

    def lost(backup):
        if backup.capture is not Capture.CAPTURED:
            return backup
        return replace(backup, capture=Capture.LOST, digest=None, size_bytes=None, meta=None)

    groups = tuple(
        replace(
            group,
            resource=replace(
                group.resource, backups=tuple(lost(item) for item in group.resource.backups)
            ),
        )
        for group in groups
    )
    ids = {group.id for group in groups}
    records = tuple(
        replace(item, safety_id=item.safety_id if item.safety_id in ids else None)
        for item in records
    )
    return groups, tuple(group.resource for group in groups), layers, records


@pytest.fixture
def branched(world):
    """Two groups, and a branch that a revert left."""
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    world.fill(3)
    world.revert("monday")
    world.fill(4)
    return world


def test_groups_layers_and_records_come_back_as_they_were(branched):
    before, images = branched.rows(), branched.files()
    world = lose_database(branched)
    assert world.rows()[0] == ()
    (result,) = run(world)
    assert world.rows() == as_lost(before)
    assert world.files() == images
    assert [name.partition("-")[0] for name in result.groups] == ["monday", "tuesday", "safety"]
    assert result.is_done
    assert len(result.lost) == 6


def test_a_second_run_adds_nothing(branched):
    world = lose_database(branched)
    run(world)
    before = world.everything()
    assert run(world) == []
    assert world.everything() == before


def test_a_dry_run_adds_nothing(branched):
    world = lose_database(branched)
    before = world.everything()
    (result,) = run(world, dry_run=True)
    assert (len(result.groups), result.is_done) == (3, False)
    assert world.everything() == before


def test_what_was_lost_refuses_a_revert_unless_the_live_one_is_left(branched):
    """H15, H36: what is lost is neither taken for absent nor passed over."""
    world = lose_database(branched)
    run(world)
    with pytest.raises(NotAvailableError) as caught:
        world.revert("tuesday")
    assert caught.value.hint == "--leave nvram --leave tpm"
    with pytest.raises(NotAvailableError) as caught:
        world.undo()
    assert "--leave nvram --leave tpm" in caught.value.hint
    (check,) = check_groups(world.ports, world.name, "tuesday")
    assert [reason.code for reason in check.reasons] == ["nvram_lost", "tpm_lost"]
    nvram = world.nvram.read_bytes()
    world.revert("tuesday", leave=BOTH)
    assert world.nvram.read_bytes() == nvram
    assert set(world.read(world.active("vda"))[:65536]) == {2}


def test_after_all_groups_are_deleted_nothing_is_left(branched):
    world = lose_database(branched)
    run(world)
    names = [group.name for group in world.ports.catalog.groups()]
    world.delete(*names)
    assert [world.active(target) for target in world.disks] == list(world.disks.values())
    assert sorted(path.name for path in world.folder.glob("pool-*/*")) == ["web.qcow2", "web.raw"]
    assert sorted(path.name for path in world.folder.glob("pool-*/.*")) == []


def test_contents_that_are_still_there_stay_captured(branched):
    before = branched.rows()
    catalog = branched.ports.catalog
    catalog.close()
    engine = create_engine(f"sqlite:///{branched.folder / 'state' / 'vmsnap.db'}")
    with engine.begin() as connection:
        for table in ("backup", "snapshot", "snapshot_group", "resource", "layer", "domain"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our own names
    engine.dispose()
    (result,) = run(branched)
    assert result.lost == ()
    assert branched.rows() == before
    branched.undo()


def test_single_snapshots_come_back_too(branched):
    ungroup(branched.ports, branched.name, "monday", UngroupRequest())
    before = branched.rows()
    world = lose_database(branched)
    (result,) = run(world)
    assert sorted(result.snapshots) == ["monday/vda", "monday/vdb"]
    assert world.rows() == as_lost(before)


def test_a_group_made_in_a_new_database_joins_those_of_the_lost_one(branched):
    """A cron job goes on in the empty database before anybody sees that the old one is gone."""
    world = lose_database(branched)
    world.create("wednesday")
    world.fill(9)
    run(world)
    names = [group.name for group in world.ports.catalog.groups()]
    assert sorted(name.partition("-")[0] for name in names) == [
        "monday",
        "safety",
        "tuesday",
        "wednesday",
    ]
    machine = world.machine()
    world.delete(*names)
    assert world.machine() == machine
    assert [world.active(target) for target in world.disks] == list(world.disks.values())
    assert sorted(path.name for path in world.folder.glob("pool-*/.*")) == []


def test_an_older_copy_of_the_database_gets_what_it_does_not_know(world, tmp_path):
    world.create("monday")
    world.fill(2)
    path = world.folder / "state" / "vmsnap.db"
    world.ports.catalog.close()
    (tmp_path / "old.db").write_bytes(path.read_bytes())
    world = world.with_ports(catalog=open_catalog(f"sqlite:///{path}", create=True))
    world.create("tuesday")
    world.fill(3)
    before = world.rows()
    world.ports.catalog.close()
    for file in path.parent.glob("vmsnap.db*"):
        file.unlink()
    path.write_bytes((tmp_path / "old.db").read_bytes())
    world = world.with_ports(catalog=open_catalog(f"sqlite:///{path}", create=True))
    (result,) = run(world)
    assert result.groups == ("tuesday",)
    groups = {group.name: group for group in world.ports.catalog.groups()}
    kept = {group.name: group for group in before[0]}
    assert groups["monday"] == kept["monday"]
    assert groups["tuesday"].snapshots == kept["tuesday"].snapshots
    assert world.rows()[2:] == before[2:]


@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
@pytest.mark.parametrize("error", [DatabaseError, KilledError])
def test_a_rebuild_that_ends_at_any_step_adds_all_or_nothing(
    branched, monkeypatch, error, is_written
):
    """H44: what was interrupted is settled, and the next run has nothing or all to do."""
    if error is KilledError:
        monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    before, outcomes = branched.rows(), []
    for step in range(1, 5):
        world = lose_database(branched)
        journals = DyingJournals(world.ports.journals, step, is_written=is_written, error=error)
        ends = contextlib.suppress(KilledError)
        with ends:
            rebuild(replace(world.ports, journals=journals), RebuildRequest())
        if journals.count < step:
            break
        recover_all(world.ports, dry_run=False)
        outcomes.append(world.rows() == as_lost(before))
        assert outcomes[-1] or world.rows()[:3] == ((), (), ())
        assert run(world) == [] or not outcomes[-1]
        assert world.rows() == as_lost(before)
        world.ports.catalog.close()
    assert outcomes in ([False, True, True], [False, False, True])


def test_another_operation_on_the_domain_keeps_a_rebuild_out(branched):
    """H48."""
    world = lose_database(branched)
    with world.ports.locks.hold(world.uuid, "test", 0):
        (ended,) = rebuild(world.ports, RebuildRequest())
    assert isinstance(ended.error, BusyError)
    assert world.rows() == ((), (), (), ())


def test_another_group_of_the_name_refuses(branched):
    world = lose_database(branched)
    world.create("monday")
    before = world.everything()
    (ended,) = rebuild(world.ports, RebuildRequest())
    assert isinstance(ended.error, StateError)
    assert "another group or backup 'monday'" in ended.error.message
    assert world.everything() == before


def test_a_machine_that_is_not_defined_any_more_is_rebuilt_and_can_be_purged(branched):
    """Its groups are found beside images that another domain, or --folder, leads to."""
    del branched.hypervisor.machines[branched.uuid]
    world = lose_database(branched)
    assert run(world) == []
    folders = tuple(world.folder / f"pool-{target}" for target in world.disks)
    (result,) = run(world, folders=folders)
    assert len(result.groups) == 3
    assert result.notes[-1] == "it is not defined on this host any more"
    purge_domain(world.ports, world.name, PurgeRequest())
    left = sorted(path.name for path in world.folder.glob("pool-*/*"))
    assert left == ["web.qcow2", "web.raw"]
    assert list(world.folder.glob("pool-*/.*")) == []


def record_of(world, target="vda"):
    return world.folder / f"pool-{target}" / f".{world.uuid}.vmsnap.json"


def test_a_record_is_readable_by_its_owner_alone(world):
    world.create("monday")
    assert record_of(world).stat().st_mode & 0o777 == 0o600
    assert json.loads(record_of(world).read_text())["groups"][0]["resource"]["name"] == "monday"
