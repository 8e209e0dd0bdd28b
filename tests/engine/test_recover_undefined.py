"""Recovering a domain that somebody undefined after the kill: it is settled, and can be purged."""

import shutil
from contextlib import suppress

import pytest
from fakes.dying import DyingJournals, KilledError, die

from vmsnap.engine.purge import purge_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import PurgeRequest, RestoreRequest, UngroupRequest
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.ungroup import ungroup
from vmsnap.store.opening import open_catalog

VERBS = {
    "create": lambda world: world.create("three"),
    "revert": lambda world: world.revert("one"),
    "undo": lambda world: world.undo(),
    "delete all": lambda world: world.delete("one", "two"),
    "restore": lambda world: restore_backup(
        world.ports, world.name, "one", RestoreRequest(with_safety=False)
    ),
    "ungroup": lambda world: ungroup(world.ports, world.name, "one", UngroupRequest()),
}


@pytest.fixture
def two(world):
    """Two groups, reverted to the second one."""
    world.create("one")
    world.fill(2)
    world.create("two")
    world.fill(3)
    world.revert("two")
    world.fill(4)
    return world


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_was_interrupted_it_can_be_recovered_and_purged(two, verb, monkeypatch):
    """H5, H44: a journal of a domain that is gone does not stand for ever."""
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    saved, xml = two.folder.parent / "saved", two.hypervisor.machines[two.uuid].xml
    shutil.copytree(two.folder, saved)
    originals = {path: path.read_bytes() for path in two.disks.values()}
    step, world = 0, two
    while True:
        step += 1
        journals = DyingJournals(world.ports.journals, step)
        with suppress(KilledError):
            VERBS[verb](world.with_ports(journals=journals))
        if journals.count < step:
            break
        world.hypervisor.undefine(world.uuid)
        recover_all(world.ports, dry_run=False)
        assert world.journals() == (), f"step {step}"
        assert purge_domain(world.ports, world.name, PurgeRequest()).is_complete
        assert world.rows() == ((), (), (), ())
        assert list(world.folder.rglob("*.vmsnap-*.qcow2")) == []
        assert all(path.exists() for path in originals)
        world = _put_back(world, saved, xml)
    assert step > 2


def _put_back(world, saved, xml):
    world.ports.catalog.close()
    shutil.rmtree(world.folder)
    shutil.copytree(saved, world.folder)
    world.hypervisor.add(xml)
    url = f"sqlite:///{world.folder / 'state' / 'vmsnap.db'}"
    return world.with_ports(catalog=open_catalog(url, create=True))


def test_a_merge_in_the_middle_of_its_headers_is_finished_all_the_same(two, monkeypatch):
    """H44: the layer above stands on the merged one already, so its rows have to follow."""
    images = type(two.ports.images)
    real = images.set_backing

    def change_anddie(self, *arguments):
        real(self, *arguments)
        raise KilledError

    with monkeypatch.context() as patch, suppress(KilledError):
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        patch.setattr(images, "set_backing", change_anddie)
        two.delete("one")
    assert two.journals() == (two.uuid,)
    two.hypervisor.undefine(two.uuid)
    (result,) = recover_all(two.ports, dry_run=False)
    assert result.outcome == "finished"
    assert purge_domain(two.ports, two.name, PurgeRequest()).is_complete
    assert list(two.folder.rglob("*.vmsnap-*.qcow2")) == []
