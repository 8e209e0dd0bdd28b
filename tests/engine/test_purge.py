"""Purging a domain that is gone: all that vmsnap made of it goes, and nothing else."""

import shutil
from contextlib import suppress

import pytest
from fakes.dying import DyingJournals, KilledError, die

from vmsnap.engine.backup import create_backup
from vmsnap.engine.listing import list_groups
from vmsnap.engine.purge import purge_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import CreateRequest, PurgeRequest, UngroupRequest
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import (
    AmbiguousIdError,
    DomainNotFoundError,
    ImageError,
    InUseError,
    LibvirtError,
    StateError,
    VmsnapError,
)
from vmsnap.model import CatalogChange, DomainRecord, GroupState, HostId
from vmsnap.store.opening import open_catalog

OTHER_UUID = "bbbbbbbb-0000-4000-8000-000000000002"


def purge(world, text=None, **options):
    return purge_domain(world.ports, text or world.name, PurgeRequest(**options))


def undefine(world):
    xml = world.hypervisor.machines[world.uuid].xml
    world.hypervisor.undefine(world.uuid)
    return xml


def define_other(world, xml, name="vmsnap-test-other", **sources):
    """Define another domain with disks of its own, but for those that are named."""
    xml = xml.replace(world.uuid, OTHER_UUID).replace(world.name, name)
    own = {}
    for target, path in world.disks.items():
        copy = path.with_stem(f"other-{name}")
        shutil.copy(path, copy)
        own[target] = (copy, path.suffix[1:])
    world.hypervisor.add(world.ports.definitions.with_sources(xml, own | sources))


@pytest.fixture
def left(world):
    """A domain that was undefined: groups, a branch, single snapshots and a backup are left."""
    world.create("one")
    world.fill(2)
    world.create("two")
    world.revert("one")
    world.create("branch")
    ungroup(world.ports, world.name, "two", UngroupRequest())
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    world.xml = undefine(world)
    return world


def overlays(world):
    return sorted(world.folder.rglob("*.vmsnap-*"))


def originals(world):
    return {path: path.read_bytes() for path in world.disks.values()}


def test_everything_that_vmsnap_made_goes(left):
    """H2, H59: the original files stay, and are said."""
    before, made = originals(left), overlays(left)
    result = purge(left)
    assert result.is_complete
    assert {"one", "branch"} <= set(result.groups)
    assert set(result.snapshots) == {"two/vda", "two/vdb"}
    assert set(result.backups) == {"two", "kept"}
    assert sorted(file.path for file in result.removed) == made
    assert {file.path for file in result.kept} == set(left.disks.values())
    assert {file.reason for file in result.kept} == {"vmsnap did not make it"}
    assert all(file.size_bytes > 0 for file in result.removed)
    assert overlays(left) == []
    assert originals(left) == before
    assert left.nvram.exists()
    assert left.tpm.exists()
    assert left.rows() == ((), (), (), ())
    with pytest.raises(DomainNotFoundError):
        purge(left)


def test_a_dry_run_changes_nothing(left):
    files, rows = left.files(), left.rows()
    result = purge(left, dry_run=True)
    assert (result.is_done, result.is_complete) == (False, False)
    assert sorted(file.path for file in result.removed) == overlays(left)
    assert (left.files(), left.rows()) == (files, rows)


def test_another_domains_rows_and_files_survive(left):
    """H2."""
    define_other(left, left.xml)
    mine, left.name = left.name, "vmsnap-test-other"
    left.create("theirs")
    left.name = mine
    theirs = left.ports.catalog.layers(left.hypervisor.host, OTHER_UUID)
    purge(left)
    groups, resources, _, (record,) = left.rows()
    assert [group.name for group in groups] == [item.name for item in resources] == ["theirs"]
    assert record.id == OTHER_UUID
    assert left.ports.catalog.layers(left.hypervisor.host, OTHER_UUID) == theirs
    assert all(layer.path.exists() for layer in theirs)


def test_a_domain_that_is_defined_is_refused(world):
    """H41."""
    world.create("one")
    before = world.everything()
    for text in (world.name, world.uuid, world.uuid[:8]):
        with pytest.raises(StateError, match="is defined") as caught:
            purge(world, text)
        assert caught.value.exit_code == 14
    assert world.everything() == before


def test_a_renamed_domain_is_not_taken_for_gone(world):
    """H41."""
    world.create("one")
    world.hypervisor.rename(world.uuid, "vmsnap-test-new")
    before = world.everything()
    with pytest.raises(StateError, match="vmsnap-test-new"):
        purge(world, "vmsnap-test-web")
    assert world.everything() == before


@pytest.mark.parametrize("which", ["active", "frozen", "original"])
def test_a_layer_in_the_chain_of_any_defined_domain_refuses(left, which):
    """H41, H59: defined anew under another UUID, or a clone of it."""
    layers = [item for item in left.rows()[2] if item.target == "vda"]
    layer = {
        "active": next(item for item in layers if item.is_active),
        "frozen": next(item for item in layers if item.facts and item.is_made_by_vmsnap),
        "original": next(item for item in layers if not item.is_made_by_vmsnap),
    }[which]
    top = left.stacked(layer.path, "clone")
    define_other(left, left.xml, vda=(top, "qcow2"))
    files, rows = left.files(), left.rows()
    with pytest.raises(InUseError, match="vmsnap-test-other"):
        purge(left)
    assert (left.files(), left.rows()) == (files, rows)


def test_a_new_domain_of_the_old_name_keeps_the_name_and_the_uuid_is_said(left):
    define_other(left, left.xml, name=left.name)
    with pytest.raises(StateError) as caught:
        purge(left)
    assert caught.value.hint == f"vmsnap purge {left.uuid}"
    assert purge(left, left.uuid).is_complete


def test_two_gone_domains_of_one_name_have_to_be_told_apart(left):
    define_other(left, left.xml, name=left.name)
    left.create("theirs")
    left.hypervisor.undefine(OTHER_UUID)
    with pytest.raises(AmbiguousIdError, match=OTHER_UUID):
        purge(left)
    purge(left, OTHER_UUID)
    assert [record.id for record in left.rows()[3]] == [left.uuid]


def test_what_a_foreign_layer_stands_on_stays_with_it(world):
    """H59: a file that vmsnap did not make must go on being readable."""
    world.create("one")
    world.fill(2)
    foreign = world.stacked(world.active("vda"), "virsh")
    below = world.active("vda")
    world.edit(str(below), str(foreign))
    world.fill(3)
    world.create("two")
    read = world.read(foreign)
    undefine(world)
    result = purge(world)
    world.seen.clear()
    assert world.read(foreign) == read
    reasons = {file.path: file.reason for file in result.kept}
    assert "stands on it" in reasons[below]
    assert reasons[foreign] == "vmsnap did not make it"
    assert overlays(world) == [below]
    assert world.rows()[:3] == ((), (), ())


def test_missing_files_are_no_trouble(left):
    shutil.rmtree(left.folder / "pool-vda")
    assert purge(left).is_complete
    assert left.rows() == ((), (), (), ())


def test_a_file_that_cannot_be_removed_leaves_all_rows_for_the_next_purge(left, monkeypatch):
    """H1, H5."""
    backups = left.rows()[1]

    def fail(_images, path):
        message = f"cannot remove '{path}'"
        raise ImageError(message)

    with monkeypatch.context() as patch:
        patch.setattr(type(left.ports.images), "remove_overlay", fail)
        result = purge(left)
    assert (result.is_done, result.is_complete) == (True, False)
    assert result.problem[0] == "image"
    assert {group.state for group in left.rows()[0]} == {GroupState.DELETING}
    assert left.rows()[1] == backups
    assert left.journals() == ()
    assert recover_all(left.ports, dry_run=False) == ()
    assert purge(left).is_complete
    assert (left.rows(), overlays(left)) == (((), (), (), ()), [])


def test_another_host_that_knows_the_domain_is_said(left):
    """H61."""
    there = HostId("99999999-2222-4333-8444-555555555555")
    ours = left.rows()[3][0]
    record = DomainRecord(there, ours.id, ours.name)
    left.ports.catalog.apply(CatalogChange(record=record))
    assert "99999999" in purge(left).notes[0]
    assert left.rows()[3] == (record,)


@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
def test_a_kill_at_any_step_is_settled_by_recover(left, is_written, monkeypatch):
    """H1, H44: all rows stay as long as a file does; nothing is left in the end."""
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    outcomes = _sweep(left, is_written, KilledError)
    assert outcomes[0] == "before"
    assert outcomes[-1] == "purged"


@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
def test_an_error_at_any_step_leaves_all_or_nothing(left, is_written):
    """H4, H5."""
    outcomes = _sweep(left, is_written, LibvirtError)
    assert set(outcomes) == {"before", "purged"}


def _sweep(left, is_written, error):
    saved = left.folder.parent / "saved"
    shutil.copytree(left.folder, saved)
    files, rows = left.files(), left.rows()
    outcomes, step = [], 0
    while True:
        step += 1
        journals = DyingJournals(left.ports.journals, step, is_written=is_written, error=error)
        with suppress(KilledError, VmsnapError):
            purge(left.with_ports(journals=journals))
        if journals.count < step:
            return outcomes
        recover_all(left.ports, dry_run=False)
        assert recover_all(left.ports, dry_run=False) == ()
        assert left.journals() == ()
        if (left.files(), left.rows()) == (files, rows):
            outcomes.append("before")
        else:
            assert (left.rows(), overlays(left)) == (((), (), (), ()), [])
            outcomes.append("purged")
        left.ports.catalog.close()
        shutil.rmtree(left.folder)
        shutil.copytree(saved, left.folder)
        url = f"sqlite:///{left.folder / 'state' / 'vmsnap.db'}"
        left = left.with_ports(catalog=open_catalog(url, create=True))


def test_a_domain_that_is_defined_again_after_the_kill_keeps_its_files(left, monkeypatch):
    """H41, H55: behind the commit there is only forward, but not over a machine's disks."""
    journals = DyingJournals(left.ports.journals, 2, is_written=True)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        purge(left.with_ports(journals=journals))
    left.hypervisor.add(left.xml)
    machine = left.machine()
    results = recover_all(left.ports, dry_run=False)
    assert results[0].outcome == "finished"
    assert left.machine() == machine
    # All were to go; a delete does that without taking the machine's disks away.
    assert left.rows()[0] == ()
    assert {item.name for item in left.rows()[1]} == {"two", "kept"}


def test_the_next_purge_goes_on_after_a_kill(left, monkeypatch):
    journals = DyingJournals(left.ports.journals, 2, is_written=True)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        purge(left.with_ports(journals=journals))
    result = purge(left)
    assert result.is_complete
    assert "finished" in result.notes[0]
    assert left.rows() == ((), (), (), ())


def test_a_list_says_which_domains_are_gone(left):
    views = list_groups(left.ports, left.name).groups
    assert {view.domain_state for view in views} == {"gone"}
