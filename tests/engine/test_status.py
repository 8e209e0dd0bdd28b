"""Which domain has no complete group that is young enough, and what else is not fine with it."""

from datetime import timedelta

import pytest
from fakes.dying import DyingJournals, KilledError, die
from fakes.failing import Failing, raising

from vmsnap.engine.backup import create_backup
from vmsnap.engine.completeness import Renounced
from vmsnap.engine.requests import CreateRequest
from vmsnap.engine.status import domain_statuses
from vmsnap.engine.troubles import Expectation, Level
from vmsnap.errors import DomainNotFoundError, ImageError
from vmsnap.model import GroupState, HostFileType, ResourceKind

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def statuses(world, *domains, max_age=None, warn_age=None, renounced=None):
    expectation = Expectation(max_age, warn_age, renounced or Renounced())
    return domain_statuses(world.ports, domains, lambda _name: expectation)


def status(world, **limits):
    (found,) = statuses(world, world.name, **limits)
    return found


def codes(found):
    return [(trouble.level, trouble.code) for trouble in found.troubles]


def later(world, span):
    world.ports.clock.time += span


def interrupt(world, name):
    """Be killed in the middle of a create."""
    dying = world.with_ports(journals=DyingJournals(world.ports.journals, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        patch.setattr("vmsnap.engine.changing.record_failure", lambda *_: None)
        with pytest.raises(KilledError):
            dying.create(name)


def test_a_young_complete_group_is_fine(world):
    made = world.create("monday").group
    later(world, HOUR)
    found = status(world, max_age=DAY)
    assert found.level is None
    assert found.complete.group.name == "monday"
    assert HOUR <= found.complete.age < HOUR + timedelta(minutes=1)
    assert found.complete.size_bytes == made.size_bytes


def test_one_that_is_too_old_is_critical(world):
    world.create("monday")
    later(world, 2 * DAY)
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.CRITICAL, "group_too_old")]
    message = found.troubles[0].message
    assert message == "its newest complete group 'monday' is 2 d old, more than 1 d"
    assert found.troubles[0].command == f"vmsnap snapshot create {world.name}"


def test_a_limit_is_still_kept_at_its_very_length(world):
    world.create("monday")
    age = status(world).complete.age + timedelta(seconds=1)  # the clock of a test moves by a second
    assert codes(status(world, max_age=age)) == []
    assert codes(status(world, max_age=age)) == [(Level.CRITICAL, "group_too_old")]


def test_between_the_two_limits_it_is_a_warning(world):
    world.create("monday")
    later(world, 2 * HOUR)
    assert codes(status(world, max_age=DAY, warn_age=HOUR)) == [(Level.WARNING, "group_too_old")]
    later(world, DAY)
    assert codes(status(world, max_age=DAY, warn_age=HOUR)) == [(Level.CRITICAL, "group_too_old")]


@pytest.mark.parametrize(
    ("limits", "level"), [({"max_age": DAY}, Level.CRITICAL), ({"warn_age": DAY}, Level.WARNING)]
)
def test_a_domain_without_a_group_is_never_young_enough(world, limits, level):
    found = status(world, **limits)
    assert codes(found) == [(level, "no_complete_group")]
    assert found.newest is None


def test_without_a_limit_no_age_is_judged(world):
    assert status(world).level is None
    world.create("monday")
    later(world, 1000 * DAY)
    found = status(world)
    assert (found.level, found.complete.group.name) == (None, "monday")


def test_the_newest_complete_one_counts_and_a_newer_one_says_what_it_lacks(world):
    world.create("monday")
    later(world, 2 * DAY)
    world.create("tuesday", without=frozenset({HostFileType.TPM}))
    found = status(world, max_age=DAY)
    assert (found.newest.group.name, found.complete.group.name) == ("tuesday", "monday")
    assert found.newest.lacks == ("tpm was skipped",)
    assert found.troubles[0].message.endswith("; 'tuesday' is not complete: tpm was skipped")


def test_what_is_renounced_is_not_missed(world):
    world.create("monday", without=frozenset({HostFileType.TPM}), exclude=("vdb",))
    renounced = Renounced(frozenset({"vdb"}), frozenset({HostFileType.TPM}))
    assert status(world, max_age=DAY, renounced=renounced).level is None
    assert status(world, max_age=DAY).level is Level.CRITICAL


def test_a_safety_group_does_not_count(world):
    """It holds what somebody wanted to get away from."""
    world.create("monday")
    later(world, 2 * DAY)
    world.revert("monday")
    found = status(world, max_age=DAY)
    assert found.newest.group.name == "monday"
    assert found.level is Level.CRITICAL


def test_a_group_whose_file_is_missing_does_not_count(world):
    world.create("monday")
    world.disks["vda"].unlink()
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.CRITICAL, "no_complete_group")]
    assert "is missing" in found.troubles[0].message


@pytest.fixture
def chain(world):
    """Three groups on each other."""
    for value, name in enumerate(("one", "two", "three"), start=1):
        world.fill(value)
        world.create(name)
    return world


def frozen(world, name):
    layers = {layer.id: layer for layer in world.rows()[2]}
    (group,) = [group for group in world.rows()[0] if group.name == name]
    return layers[group.snapshot("vda").layer_id].path


@pytest.mark.parametrize("limits", [{"max_age": DAY}, {}], ids=["judged", "not judged"])
def test_groups_that_are_damaged_since_the_newest_complete_one_are_a_warning(chain, limits):
    """It falls back to an older one, and must not do so in silence."""
    lost = frozen(chain, "two")
    lost.unlink()
    found = status(chain, **limits)
    assert found.complete.group.name == "one"
    assert codes(found) == [(Level.WARNING, "damaged")]
    assert found.troubles[0].message == (
        "groups 'two', 'three' are damaged, and so is what its disks stand on:"
        f" disk vda: layer '{lost}' is missing"
    )
    assert found.troubles[0].command == f"vmsnap doctor {chain.name}"


def test_a_damaged_group_that_the_disks_do_not_stand_on_is_checked(chain):
    lost = frozen(chain, "three")
    chain.revert("one")
    lost.unlink()
    found = status(chain, max_age=DAY)
    assert codes(found) == [(Level.WARNING, "damaged")]
    assert found.troubles[0].message.startswith("group 'three' is damaged: ")
    assert found.troubles[0].command == f"vmsnap group check {chain.name}"


def test_disks_on_a_damaged_layer_are_a_warning_though_the_newest_group_is_whole(chain):
    """It is on a branch that they do not use."""
    chain.revert("one")
    chain.create("branch")
    chain.revert("three")
    lost = frozen(chain, "three")
    lost.unlink()
    found = status(chain, max_age=DAY)
    assert found.complete.group.name == "branch"
    assert codes(found) == [(Level.WARNING, "damaged")]
    assert found.troubles[0].message == (
        f"its disks stand on what is damaged: disk vda: layer '{lost}' is missing"
    )
    assert found.troubles[0].command == f"vmsnap doctor {chain.name}"


def test_where_the_disks_stand_on_damage_no_new_group_is_advised(chain):
    """It would be as damaged, and the advice the same again."""
    chain.write("vda", 9)
    with frozen(chain, "one").open("ab") as file:
        file.write(b"x")
    found = status(chain, max_age=DAY)
    assert codes(found) == [(Level.CRITICAL, "no_complete_group")]
    assert "was changed after it was frozen" in found.troubles[0].message
    assert found.troubles[0].command == f"vmsnap doctor {chain.name}"
    chain.create("four")
    assert status(chain, max_age=DAY).troubles[0].command == f"vmsnap doctor {chain.name}"


def test_where_only_the_groups_are_damaged_a_new_group_is_advised(world):
    world.create("one")
    world.fill(2)
    world.create("two")
    lost = frozen(world, "two")
    world.revert("one")
    world.delete("one")
    lost.unlink()
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.CRITICAL, "no_complete_group")]
    assert found.troubles[0].command == f"vmsnap snapshot create {world.name}"


def test_a_group_that_is_being_deleted_is_not_called_damaged(chain):
    lost = frozen(chain, "three")
    images = Failing(chain.ports.images, "commit", raising(ImageError("no")))
    chain.with_ports(images=images).delete("three")
    chain.revert("one")
    lost.unlink()
    assert codes(status(chain, max_age=DAY)) == [(Level.WARNING, "deleting")]


def test_a_group_of_a_time_to_come_is_not_believed(world):
    """A clock that was wrong for a night must not keep the check green for years."""
    later(world, 1000 * DAY)
    world.create("monday")
    later(world, -1000 * DAY)
    assert codes(status(world, max_age=DAY)) == [(Level.WARNING, "group_in_future")]


def test_an_interrupted_operation_is_critical_whatever_the_ages(world):
    world.create("monday")
    interrupt(world, "tuesday")
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.CRITICAL, "interrupted")]
    assert found.troubles[0].message.startswith("'snapshot create' of 2026-")
    assert found.troubles[0].command == "vmsnap recover"
    assert status(world).level is Level.CRITICAL


def test_a_journal_that_cannot_be_read_is_said_as_well(world):
    path = world.folder / "state" / "journal" / f"{world.uuid}.jsonl"
    path.parent.mkdir(mode=0o700)
    path.write_text('{"format": 99}\n')
    assert codes(status(world)) == [(Level.CRITICAL, "interrupted")]
    assert "another version" in status(world).troubles[0].message


def test_an_interrupted_operation_of_a_domain_that_is_gone_is_among_all(world):
    world.create("monday")
    interrupt(world, "tuesday")
    world.hypervisor.undefine(world.uuid)
    (found,) = statuses(world, max_age=DAY)
    assert (found.domain_name, codes(found)) == (world.name, [(Level.CRITICAL, "interrupted")])


def test_a_fence_without_a_journal_is_critical(world):
    machine = world.hypervisor.machines[world.uuid]
    machine.xml = world.ports.definitions.with_fence(machine.xml)
    assert codes(status(world)) == [(Level.CRITICAL, "fenced")]


def test_a_delete_that_is_not_finished_is_a_warning(world):
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    images = Failing(world.ports.images, "commit", raising(ImageError("no")))
    world.with_ports(images=images).delete("monday")
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.WARNING, "deleting")]
    assert found.troubles[0].message == "the delete of 'monday' is not finished"
    assert found.groups == {GroupState.READY: 1, GroupState.DELETING: 1}


def test_while_an_operation_is_at_work_nothing_of_its_doing_is_reported(world):
    """No alarm at every nightly delete."""
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    seen = []
    images = Failing(world.ports.images, "commit", lambda: seen.append(status(world, max_age=DAY)))
    world.with_ports(images=images).delete("monday")
    assert [(found.level, found.complete.group.name) for found in seen] == [
        (None, "tuesday")
    ] * len(seen)
    assert seen[0].holder.verb == "group delete"


def test_a_revert_at_work_is_no_fence_that_was_left(world):
    world.create("monday")
    seen = []
    world.hypervisor.on("define", lambda: seen.append(status(world, max_age=DAY)))
    world.revert("monday")
    assert {found.level for found in seen} == {None}


def test_groups_and_backups_are_counted(world):
    world.create("monday")
    world.revert("monday")
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    found = status(world)
    assert found.groups == {GroupState.READY: 2}
    assert found.backups == {ResourceKind.STANDALONE: 1}


def test_all_domains_are_looked_at_by_name_and_each_is_judged_by_its_own_limit(world):
    xml = world.hypervisor.machines[world.uuid].xml
    other = "bbbbbbbb-0000-4000-8000-000000000001"
    world.hypervisor.add(xml.replace(world.uuid, other).replace(world.name, "vmsnap-test-a"))
    limits = {"vmsnap-test-a": DAY, world.name: None}
    found = domain_statuses(world.ports, (), lambda name: Expectation(limits[name]))
    assert [(item.domain_name, item.level) for item in found] == [
        ("vmsnap-test-a", Level.CRITICAL),
        (world.name, None),
    ]


def test_a_domain_that_is_named_twice_is_told_once(world):
    assert len(statuses(world, world.name, world.uuid[:8])) == 1


def test_a_domain_that_is_not_there_is_an_error(world):
    with pytest.raises(DomainNotFoundError):
        statuses(world, "nothing")


def test_no_lock_is_taken_and_nothing_is_written(world):
    world.create("monday")
    before = (world.everything(), sorted((world.folder / "state").iterdir()))
    statuses(world, max_age=DAY)
    assert (world.everything(), sorted((world.folder / "state").iterdir())) == before


def test_a_chain_that_is_nearly_too_long_is_a_warning(world):
    """H32: a create that is refused at last would come as a surprise."""
    world.create("one")
    world.hypervisor.depth = 24
    assert status(world, max_age=DAY).level is None
    world.hypervisor.depth = 3
    found = status(world, max_age=DAY)
    assert codes(found) == [(Level.WARNING, "chain_deep")] * 2
    assert found.troubles[0].message == "disk vda has 2 layers of at most 3"
    assert found.troubles[0].command == f"vmsnap prune --keep-last 1 --dry-run {world.name}"


def test_a_chain_that_cannot_be_read_is_not_counted(world):
    world.create("one")
    world.hypervisor.depth = 3
    world.active("vda").unlink()
    assert codes(status(world)) == [(Level.WARNING, "chain_deep")]
