"""Deleting groups of a machine that runs or is paused: only what QEMU has open is merged there."""

import subprocess
from dataclasses import replace

import pytest
from engine.running_machine import (
    NAMES,
    ending,
    held,
    merges,
    overlays,
    rest,
    start_with_groups,
)

from vmsnap.engine.recover import recover_all
from vmsnap.errors import LeftChangedError, LibvirtError, StateError
from vmsnap.model import CatalogChange, DomainState, ForeignSnapshot, Job
from vmsnap.ports import MergeKind


@pytest.fixture
def running(world):
    """A machine with four groups on each other, which runs."""
    return start_with_groups(world)


@pytest.fixture
def branched(running):
    """The machine went back to two, and runs on; three and four are a branch."""
    running.hypervisor.stop(running.uuid)
    running.revert("two")
    running.fill(7)
    running.create("branch")
    running.fill(8)
    running.hypervisor.start(running.uuid)
    running.hypervisor.calls.clear()
    return running


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED])
@pytest.mark.parametrize("gone", [("one",), ("two",), ("four",), ("three", "one"), NAMES])
def test_the_other_groups_and_the_machine_read_as_before(running, gone, state):
    """H40, H53: QEMU does the work; the machine stays as it was, and is never fenced."""
    running.hypervisor.machines[running.uuid].state = state
    before, groups = running.machine(), held(running)
    result = running.delete(*gone)
    assert result.is_complete
    assert held(running) == rest(groups, *gone)
    assert running.machine() == before
    assert running.hypervisor.domain(running.uuid).state is state
    assert "backingStore" not in running.hypervisor.machines[running.uuid].xml
    assert len(overlays(running)) == 2 * (len(NAMES) - len(gone))
    assert len(merges(running)) == 2 * len(gone)
    for target in running.disks:
        chain = running.hypervisor.domain(running.uuid).chains[target]
        assert len(chain) == 1 + len(NAMES) - len(gone)
    running.hypervisor.stop(running.uuid)
    assert running.machine() == before
    for name in rest(groups, *gone):
        running.revert(name)


def test_the_frozen_layers_are_recorded_anew(running):
    """H44: or the next delete would take what QEMU wrote for somebody else's."""
    running.delete("two")
    for layer in running.rows()[2]:
        assert layer.facts == (None if layer.is_active else running.ports.images.facts(layer.path))
    running.delete("three")
    assert running.rows()[0][0].name == "one"


def test_a_bandwidth_is_passed_on_and_progress_told(running):
    seen, orders = [], []
    running.ports.reporter.progress = lambda text, done, total: seen.append((text, done, total))
    real = running.hypervisor.on_merge
    running.hypervisor.on_merge = lambda order: (orders.append(order), real(order))
    running.delete("one", bandwidth=5)
    assert {order.bandwidth for order in orders} == {5}
    assert {(done, total) for _, done, total in seen} == {(1, 2), (2, 2)}
    assert {text.split(":")[0] for text, _, _ in seen} == {"disk vda", "disk vdb"}


def test_a_branch_that_the_machine_does_not_use_waits(branched):
    """H40: until it is off; then recover does it, or the next delete."""
    groups, before = held(branched), branched.machine()
    result = branched.delete("three")
    assert not result.is_complete
    assert result.is_done
    assert {merge.code for merge in result.results} == {"domain_running"}
    assert all("with the machine off" in merge.message for merge in result.results)
    assert merges(branched) == []
    assert ending(branched) == ["three"]
    assert held(branched) == rest(groups, "three")
    for dry_run in (True, False):
        (waits,) = recover_all(branched.ports, dry_run=dry_run)
        assert (waits.outcome, waits.verb) == ("waits_for_shutdown", "group delete")
        assert "'three' waits until the domain is off" in waits.message
    assert ending(branched) == ["three"]

    branched.hypervisor.stop(branched.uuid)
    (preview,) = recover_all(branched.ports, dry_run=True)
    assert (preview.outcome, preview.verb) == ("pending", "group delete")
    (recovered,) = recover_all(branched.ports, dry_run=False)
    assert (recovered.outcome, recovered.domain_name) == ("finished", branched.name)
    assert "'three'" in recovered.message
    assert recover_all(branched.ports, dry_run=False) == ()
    assert ending(branched) == []
    assert held(branched) == rest(groups, "three")
    assert branched.machine() == before


def test_a_branch_that_waits_does_not_hold_what_can_be_merged(branched):
    groups, before = held(branched), branched.machine()
    branched.delete("three")
    assert branched.delete("one").results
    assert ending(branched) == ["three"]
    assert held(branched) == rest(groups, "three", "one")
    branched.hypervisor.stop(branched.uuid)
    assert branched.delete("branch").is_complete
    assert ending(branched) == []
    assert held(branched) == rest(groups, "one", "three", "branch")
    assert branched.machine() == before


def test_the_leaf_of_a_branch_is_dropped_and_a_fork_stays(branched):
    """H40: two stands below both branches."""
    groups = held(branched)
    safety = next(name for name in groups if name.startswith("safety"))
    result = branched.delete("two", safety)
    assert result.is_complete
    assert any("layers stand on it" in note for note in result.notes)
    assert merges(branched) == []
    assert held(branched) == rest(groups, "two", safety)


def test_what_would_have_to_be_pulled_waits(running):
    """H44: QEMU changes the header of what it pulls into before the data are safe."""
    groups, before = held(running), running.machine()
    active = {layer.path for layer in running.rows()[2] if layer.is_active}
    catalog = running.ports.catalog
    for layer in running.rows()[2]:
        if layer.path in active:
            foreign = replace(layer, is_made_by_vmsnap=False)
            catalog.apply(CatalogChange(layers=(foreign,)))
    result = running.delete("four")
    assert ["pulled into" in merge.message for merge in result.results] == [True, True]
    assert merges(running) == []
    running.hypervisor.stop(running.uuid)
    (recovered,) = recover_all(running.ports, dry_run=False)
    assert recovered.outcome == "finished"
    assert held(running) == rest(groups, "four")
    assert running.machine() == before


def put_between(world):
    """Put an overlay of somebody else's on a disk, as virsh would, and a group on that."""
    world.hypervisor.stop(world.uuid)
    kept = world.active("vda")
    made = world.stacked(kept, "e1")
    world.edit(f"file='{kept}'", f"file='{made}'")
    world.create("five")
    world.fill(10)
    world.hypervisor.start(world.uuid)
    world.hypervisor.calls.clear()
    return ForeignSnapshot("e1", is_external=True, kept_paths=(kept,), made_paths=(made,))


def test_what_could_not_be_merged_with_the_machine_off_either_refuses_at_once(running):
    """H40: a snapshot of libvirt's needs what would wait; no delete could ever end the group."""
    snapshot = put_between(running)
    running.hypervisor.machines[running.uuid].foreign_snapshots = (snapshot,)
    before = running.everything()
    with pytest.raises(StateError, match="external snapshot 'e1'"):
        running.delete("five")
    assert running.everything() == before
    assert merges(running) == []
    assert running.journals() == ()


def test_a_layer_that_waits_for_an_earlier_delete_holds_no_later_one(running):
    """H40: no group names it, so that which came first has to come by again."""
    put_between(running)
    groups, before = held(running), running.machine()
    assert not running.delete("five").is_complete
    assert ending(running) == ["five"]
    result = running.delete("one")
    assert {merge.group for merge in result.results if not merge.merged} == {"five"}
    assert ending(running) == ["five"]
    running.hypervisor.stop(running.uuid)
    (recovered,) = recover_all(running.ports, dry_run=False)
    assert recovered.outcome == "finished"
    assert held(running) == rest(groups, "one", "five")
    assert running.machine() == before


def test_a_layer_that_the_next_start_would_use_refuses(running):
    """H41: somebody edited the definition of a running machine."""
    (layer,) = {
        item.layer_id: item
        for group in running.rows()[0]
        for item in group.snapshots
        if group.name == "two" and item.target == "vda"
    }
    path = next(item.path for item in running.rows()[2] if item.id == layer)
    machine = running.hypervisor.machines[running.uuid]
    sources = {"vda": (path, "qcow2")}
    machine.xml = running.ports.definitions.with_sources(machine.xml, sources)
    before = running.rows()
    with pytest.raises(StateError, match="next start"):
        running.delete("one")
    assert running.rows() == before


def test_a_chain_that_is_not_the_recorded_one_refuses(running):
    """H40: nothing else would keep QEMU from merging it."""
    chains = running.hypervisor.machines[running.uuid].live_chains
    chains["vda"] = (chains["vda"][0], *chains["vda"][2:])
    before = running.rows()
    with pytest.raises(StateError, match="right below"):
        running.delete("one")
    assert running.rows() == before


def test_a_block_job_of_somebody_else_refuses(running):
    running.hypervisor.machines[running.uuid].block_jobs = (Job("block copy", "vda"),)
    before = running.rows()
    with pytest.raises(StateError, match="block copy on vda"):
        running.delete("one")
    assert running.rows() == before


def test_a_merge_that_fails_leaves_the_group_to_be_deleted_again(running):
    groups, before = held(running), running.machine()
    running.hypervisor.fail("merge_live", when="middle")
    result = running.delete("two")
    assert [merge.merged for merge in result.results] == [False, True]
    assert ending(running) == ["two"]
    assert held(running) == rest(groups, "two")
    assert running.delete("two").is_complete
    assert held(running) == rest(groups, "two")
    assert running.machine() == before


def test_a_failure_behind_the_merge_is_believed_less_than_the_chain(running):
    """H24: libvirt's answer was lost; the group is deleted all the same."""
    groups, before = held(running), running.machine()
    running.hypervisor.fail("merge_live", when="after")
    running.delete("two")
    assert ending(running) == []
    assert held(running) == rest(groups, "two")
    assert running.machine() == before


@pytest.mark.parametrize("name", ["two", "four"])
def test_a_machine_that_stops_in_the_middle_is_gone_on_with_behind_a_fence(running, name):
    """H26: the block job ends with QEMU."""
    groups, before = held(running), running.machine()

    def stop():
        running.hypervisor.stop(running.uuid)
        raise LibvirtError("libvirt cannot merge: domain is not running")

    running.hypervisor.on("merge_live", stop, when="middle")
    assert running.delete(name).is_complete
    assert held(running) == rest(groups, name)
    assert running.machine() == before
    assert not running.hypervisor.domain(running.uuid).definition.is_fenced


def test_an_interruption_leaves_the_group_and_a_second_run_goes_on(running):
    """Ctrl-C: the adapter has cancelled the job."""
    groups, before = held(running), running.machine()

    def interrupt():
        raise KeyboardInterrupt

    running.hypervisor.on("merge_live", interrupt, when="middle", skip=1)
    with pytest.raises(KeyboardInterrupt) as caught:
        running.delete("one", "three")
    assert caught.value.vmsnap_partial is True
    assert set(ending(running)) == {"one", "three"}
    assert running.journals() == ()
    assert held(running) == rest(groups, "one", "three")
    assert running.delete("one").is_complete
    assert held(running) == rest(groups, "one", "three")
    assert running.machine() == before


def test_a_job_that_could_not_be_ended_keeps_the_journal(running):
    """H44: it goes on writing; recover takes it over."""
    groups, before = held(running), running.machine()
    machine = running.hypervisor.machines[running.uuid]

    def linger():
        machine.block_jobs = (Job("block commit", "vda"),)
        raise LibvirtError("libvirt cannot end the merge")

    for _ in range(2):
        running.hypervisor.on("merge_live", linger, when="middle")
    with pytest.raises(LeftChangedError):
        running.delete("two")
    assert running.journals() == (running.uuid,)
    machine.block_jobs = ()
    (recovered,) = recover_all(running.ports, dry_run=False)
    assert recovered.outcome == "finished"
    assert held(running) == rest(groups, "two")
    assert running.machine() == before


def test_only_commits_are_asked_of_a_running_machine(branched):
    """H40, H44: whatever is deleted."""
    branched.delete(*held(branched))
    kinds = {call[3] for call in merges(branched)}
    assert kinds <= {MergeKind.COMMIT.value, MergeKind.COMMIT_ACTIVE.value}


def test_a_delete_that_recover_cannot_finish_yet_is_said(branched):
    """H27: a saved RAM image fits only the layers that it was made with."""
    branched.delete("three")
    branched.hypervisor.save(branched.uuid)
    (result,) = recover_all(branched.ports, dry_run=False)
    assert (result.outcome, result.verb) == ("waiting", "group delete")
    assert "managed-save" in result.message
    assert ending(branched) == ["three"]


def test_a_file_that_stays_is_named_by_the_recover_that_finishes_the_delete(world):
    """H59: the original image is smaller now, so it is pulled from and left in place."""
    start_with_groups(world)
    world.hypervisor.stop(world.uuid)
    world.delete(*NAMES[1:])
    original = world.disks["vda"]
    overlay = world.active("vda")
    assert overlay != original
    command = ["qemu-img", "resize", "-q", "--shrink", str(overlay), "512k"]
    subprocess.run(command, check=True)
    world.hypervisor.start(world.uuid)
    assert not world.delete(NAMES[0]).is_complete
    world.hypervisor.stop(world.uuid)
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "finished"
    said = [text for text in world.ports.reporter.warnings if f"'{original}' stays" in text]
    assert said
    assert original.exists()
