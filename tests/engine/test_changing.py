"""What every changing verb begins with: the lock, recovery, and refusals of unsafe machines."""

import itertools
import os
from dataclasses import replace

import pytest

from vmsnap.engine.changing import changing, refuse_unsafe, require_changeable
from vmsnap.engine.listing import list_groups
from vmsnap.engine.recover import recover_all
from vmsnap.engine.show import list_domains
from vmsnap.errors import (
    BusyError,
    DomainRunningError,
    StateError,
    UnsupportedError,
)
from vmsnap.model import DomainState, Job


def domain(world, **changes):
    for name, value in changes.items():
        setattr(world.hypervisor.machines[world.uuid], name, value)
    return world.hypervisor.domain(world.uuid)


def test_an_operation_knows_who_it_is_for(world):
    with changing(world.ports, world.uuid, "test") as operation:
        assert (operation.domain_id, operation.domain_name, operation.verb) == (
            world.uuid,
            world.name,
            "test",
        )
        assert operation.started_at.tzinfo is not None


def test_a_second_operation_on_the_domain_is_busy_and_leaves_no_lock(world):
    """H48."""
    with (
        changing(world.ports, world.uuid, "first"),
        pytest.raises(BusyError, match=f"^domain '{world.name}' is busy: 'first' "),
        changing(world.ports, world.uuid, "second"),
    ):
        pass
    with changing(world.ports, world.uuid, "third"):
        pass


def test_who_waits_says_for_whom_once(world, monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(world.ports.clock, "ticks", lambda: next(seconds))
    steps = []
    waiting = replace(world.ports, wait_seconds=5, reporter=Steps(steps))
    with (
        world.ports.locks.hold(world.uuid, "first", 0),
        pytest.raises(BusyError),
        changing(waiting, world.uuid, "second"),
    ):
        pass
    assert [text.split(" has been")[0] for text in steps] == [
        f"waiting: 'first' (process {os.getpid()})"
    ]


class Steps:
    """A reporter that keeps the steps it is told."""

    def __init__(self, steps):
        self._steps = steps

    def step(self, text):
        self._steps.append(text)


def test_a_busy_domain_changes_nothing(world):
    """H48."""
    before = world.everything()
    with world.ports.locks.hold(world.uuid, "snapshot create", 0):
        with pytest.raises(BusyError) as caught:
            world.create("monday")
        assert world.everything() == before
    assert caught.value.exit_code == 75


def test_readers_see_who_is_at_work_and_do_not_wait(world):
    """H48: the journal of an operation that goes on is nothing that `recover` would settle."""
    world.create("monday")
    seen = []

    def look():
        seen.extend(recover_all(world.ports, dry_run=True))
        seen.extend(list_domains(world.ports))
        seen.append(list_groups(world.ports, world.name))

    world.hypervisor.on("define", look)
    world.revert("monday")
    preview, listed, groups = seen
    assert (preview.outcome, preview.verb) == ("busy", "group revert")
    assert f"'group revert' (process {os.getpid()}) has been at work" in preview.message
    assert listed.holder.verb == "group revert"
    assert "monday" in [view.group.name for view in groups.groups]
    assert recover_all(world.ports, dry_run=True) == ()


def test_a_domain_that_went_away_keeps_its_name(world):
    """A purge works on it all the same; other verbs find out when they look."""
    with changing(world.ports, world.uuid, "test") as operation:
        assert operation.domain_name == world.name
    world.create("monday")
    world.hypervisor.undefine(world.uuid)
    with changing(world.ports, world.uuid, "test") as operation:
        assert operation.domain_name == world.name


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED, DomainState.OTHER])
def test_a_machine_that_is_not_off_is_refused_in_one_sentence(world, state):
    """H35."""
    with pytest.raises(DomainRunningError, match=state.value) as caught:
        require_changeable(domain(world, state=state), "it can only be reverted")
    assert "while it is shut off" in caught.value.message
    assert "virsh shutdown" in caught.value.hint


def test_a_transient_domain_is_refused(world):
    with pytest.raises(UnsupportedError, match="transient"):
        require_changeable(domain(world, is_persistent=False), "it")


def test_a_managed_save_image_is_refused_unless_the_verb_deals_with_it(world):
    """H27."""
    found = domain(world, saved_xml="<domain/>")
    with pytest.raises(StateError, match="managed-save"):
        require_changeable(found, "it")
    require_changeable(found, "it", with_managed_save=True)


def test_a_fence_is_refused_with_its_cure(world):
    """H55."""
    xml = world.ports.definitions.with_fence(world.hypervisor.machines[world.uuid].xml)
    with pytest.raises(StateError) as caught:
        require_changeable(domain(world, xml=xml), "it")
    assert caught.value.hint == "vmsnap recover"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"block_jobs": (Job("block copy", "vda"),)}, "block copy on vda"),
        ({"block_jobs": (Job("backup"),)}, "backup"),
        ({"checkpoints": ("c1",)}, "checkpoints .'c1'."),
    ],
    ids=["block job", "backup", "checkpoint"],
)
@pytest.mark.parametrize("verb", ["create", "revert", "delete"])
def test_libvirts_unfinished_business_refuses_by_name(world, changes, word, verb):
    """H26."""
    world.create("monday")
    found = domain(world, **changes)
    before = world.everything()
    with pytest.raises(StateError, match=word):
        refuse_unsafe(world.ports, found, "nothing can be done then")
    with pytest.raises(StateError, match=word):
        getattr(world, verb)("monday" if verb != "create" else "tuesday")
    assert world.everything() == before


def test_what_ends_libvirts_unfinished_business_can_be_pasted(world):
    """A block job ends alone, other jobs as a whole; frozen layers keep a checkpoint's bitmaps."""
    name = world.name
    for changes, hint in (
        ({"block_jobs": (Job("block copy", "vda"),)}, f"virsh blockjob {name} vda --abort"),
        ({"block_jobs": (Job("migration"),)}, f"virsh domjobabort {name}"),
        (
            {"block_jobs": (), "checkpoints": ("c 1",)},
            f"virsh checkpoint-delete {name} 'c 1' --metadata",
        ),
    ):
        with pytest.raises(StateError) as caught:
            refuse_unsafe(world.ports, domain(world, **changes), "nothing can be done then")
        assert caught.value.hint == hint


def test_checkpoints_of_a_running_machine_stand_in_nobodys_way(world):
    """libvirt carries their bitmaps along: seen in the live tests."""
    found = domain(world, checkpoints=("c1",), state=DomainState.RUNNING)
    refuse_unsafe(world.ports, found, "nothing can be done then")
