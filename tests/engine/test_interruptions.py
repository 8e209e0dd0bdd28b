"""Every verb, ended at every one of its steps: the machine is as before, or the verb is finished.

The run ends with an error, right after a step took effect: before the journal says so, or after.
"""

from datetime import timedelta
from types import MappingProxyType

import pytest
from fakes.dying import DyingJournals, KilledError, die
from fakes.merging import merging_images
from fakes.saved_world import SavedWorld
from fakes.second_machine import second_machine

from vmsnap.engine.backup import create_backup, delete_backup
from vmsnap.engine.clone import clone_backup
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.pin import pin_groups
from vmsnap.engine.prune import prune_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import (
    CloneRequest,
    CreateRequest,
    DeleteRequest,
    PinRequest,
    PruneRequest,
    RestoreRequest,
    RevertRequest,
    TpmChoice,
    UndoRequest,
)
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.retention import Policy
from vmsnap.engine.revert import revert_group
from vmsnap.engine.undo import undo_last
from vmsnap.errors import LeftChangedError, VmsnapError
from vmsnap.model import DomainState


class InjectedError(VmsnapError):
    """What the tests throw."""

    exit_code = 24
    code = "injected"


def two_groups(world):
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    world.fill(3)


def running(world):
    """It runs, with an agent; libvirt's merges are real ones."""
    two_groups(world)
    world.hypervisor.on_merge = merging_images(world.hypervisor)
    world.hypervisor.machines[world.uuid].agent = "connected"
    world.hypervisor.start(world.uuid)


def reverted(world):
    two_groups(world)
    revert_group(world.ports, world.name, "monday", RevertRequest())
    world.fill(4)


def with_backup(world):
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    world.touch_firmware(7)


def with_backup_of_a_tpm_file(world):
    """The state's one file is where libvirt's own place has a file in a directory."""
    source = f"<source type='file' path='{world.tpm / 'tpm2-00.permall'}'/>"
    plain = "<backend type='emulator' version='2.0'/>"
    world.edit(plain, f"{plain.replace('/>', '>')}{source}</backend>")
    with_backup(world)


def restored(world):
    with_backup(world)
    restore_backup(world.ports, world.name, "kept", RestoreRequest())


def clone(world, tpm):
    """Clone to the one machine; as with one target on the command line its error is raised."""
    request = CloneRequest(tpm=tpm)
    (target,) = clone_backup(world.ports, "vmsnap-test-source", [world.name], request).targets
    if target.error is not None:
        raise target.error


def cloned(world):
    second_machine(world)
    clone(world, TpmChoice.RESET)


def aged(world):
    """Three groups and two backups on a branch that a revert left, all of one second each."""
    with_backup(world)
    two_groups(world)
    revert_group(world.ports, world.name, "monday", RevertRequest())
    world.fill(4)
    world.create("wednesday")
    create_backup(world.ports, world.name, CreateRequest(name="newer"))
    world.fill(5)


def prune(world):
    """Keep the newest of each kind alone, and no safety point."""
    request = PruneRequest(Policy(last=1, safety=timedelta(seconds=1)))
    return prune_domain(world.ports, world.name, lambda _name: request)


VERBS = MappingProxyType(
    {
        "create": (lambda world: None, lambda world: world.create("wednesday")),
        "create again": (two_groups, lambda world: world.create("wednesday")),
        "create while it runs": (running, lambda world: world.create("wednesday")),
        "create with the guest standing still": (
            running,
            lambda world: world.create("wednesday", suspend=True, quiesce=True),
        ),
        "revert": (
            two_groups,
            lambda world: revert_group(world.ports, world.name, "monday", RevertRequest()),
        ),
        "revert without safety": (
            two_groups,
            lambda world: revert_group(
                world.ports, world.name, "monday", RevertRequest(with_safety=False)
            ),
        ),
        "undo of a revert": (
            reverted,
            lambda world: undo_last(world.ports, world.name, UndoRequest()),
        ),
        "undo of a restore": (
            restored,
            lambda world: undo_last(world.ports, world.name, UndoRequest()),
        ),
        "restore": (
            with_backup,
            lambda world: restore_backup(world.ports, world.name, "kept", RestoreRequest()),
        ),
        "restore of a TPM in a file": (
            with_backup_of_a_tpm_file,
            lambda world: restore_backup(world.ports, world.name, "kept", RestoreRequest()),
        ),
        "delete the first": (
            two_groups,
            lambda world: delete_groups(world.ports, world.name, ["monday"], DeleteRequest()),
        ),
        "delete the last": (
            two_groups,
            lambda world: delete_groups(world.ports, world.name, ["tuesday"], DeleteRequest()),
        ),
        "delete all": (
            two_groups,
            lambda world: delete_groups(
                world.ports, world.name, ["monday", "tuesday"], DeleteRequest()
            ),
        ),
        "delete beside a branch": (
            reverted,
            lambda world: delete_groups(world.ports, world.name, ["tuesday"], DeleteRequest()),
        ),
        "pin": (
            two_groups,
            lambda world: pin_groups(world.ports, world.name, ["monday", "tuesday"], PinRequest()),
        ),
        "prune": (aged, prune),
        "clone": (second_machine, lambda world: clone(world, TpmChoice.RESET)),
        "clone with the TPM": (second_machine, lambda world: clone(world, TpmChoice.KEEP)),
        "undo of a clone": (
            cloned,
            lambda world: undo_last(world.ports, world.name, UndoRequest()),
        ),
        "backup create": (
            lambda world: None,
            lambda world: create_backup(world.ports, world.name, CreateRequest(name="kept")),
        ),
        "backup replace": (
            with_backup,
            lambda world: create_backup(
                world.ports, world.name, CreateRequest(name="kept", replace=True)
            ),
        ),
        "backup delete": (
            with_backup,
            lambda world: delete_backup(world.ports, world.name, "kept", dry_run=False),
        ),
    }
)


def essence(world):
    """What counts: the machine, how many files there are, and what the groups are and read as."""
    groups, resources, layers, records = world.rows()
    by_id = {layer.id: layer for layer in layers}
    names = {resource.id: resource.name for resource in resources}
    return (
        world.machine(),
        len(world.files()),
        [
            (
                group.name if not group.name.startswith("safety-") else "safety",
                group.state,
                group.is_pinned,
                {
                    item.target: world.read(by_id[item.layer_id].path, by_id[item.layer_id].format)
                    for item in group.snapshots
                },
            )
            for group in groups
        ],
        [
            (resource.kind, [(row.type, row.capture, row.digest) for row in resource.backups])
            for resource in resources
        ],
        [names.get(record.current_id) for record in records],
        world.ports.hypervisor.domain(world.uuid).definition.is_fenced,
        # H29, H30: what ran runs on, with its file systems thawed.
        world.ports.hypervisor.domain(world.uuid).state,
        world.hypervisor.machines[world.uuid].is_frozen,
    )


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
def test_an_error_at_any_step_leaves_all_as_before_or_finished(world, verb, is_written):
    """H4, H5, H36, H37, H44: one recovery path, and an answer on every way."""
    _sweep(world, verb, is_written, InjectedError)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("is_written", [True, False], ids=["recorded", "unrecorded"])
def test_a_kill_at_any_step_is_settled_by_recover(world, verb, is_written, monkeypatch):
    """H44, H55: in between, a start fails with the fence's name, or the machine is whole."""
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    _sweep(world, verb, is_written, KilledError)


def _sweep(world, verb, is_written, error):
    prepare, do = VERBS[verb]
    prepare(world)
    start = SavedWorld(world)
    before = essence(world)
    do(world)
    after = essence(world)
    world = start.put_back()
    assert essence(world) == before

    step, outcomes = 0, []
    while True:
        step += 1
        journals = DyingJournals(world.ports.journals, step, is_written=is_written, error=error)
        seen = world.with_ports(journals=journals)
        try:
            do(seen)
        except (InjectedError, KilledError):
            pass
        except LeftChangedError:  # pragma: no cover - the sweep is there to show that it is not
            pytest.fail(f"step {step} could not be settled")
        if journals.count < step:
            break
        if error is KilledError:
            _try_to_start(world, (before[0], after[0]))
            recover_all(world.ports, dry_run=False)
            assert recover_all(world.ports, dry_run=False) == ()
        outcomes.append(_outcome(essence(world), before, after))
        assert world.journals() == ()
        world = start.put_back()
    assert outcomes == sorted(outcomes, key=("before", "finished").index), outcomes
    assert "finished" in outcomes


def _try_to_start(world, machines):
    """H55: what autostart would do after a power cut."""
    if world.hypervisor.domain(world.uuid).state is not DomainState.SHUT_OFF:
        return
    try:
        world.hypervisor.start(world.uuid)
    except VmsnapError as error:
        refusal = error.message
    else:
        refusal = None
        assert world.machine() in machines
        world.hypervisor.stop(world.uuid)
    assert refusal is None or "interrupted-run-vmsnap-recover" in refusal


def _outcome(found, before, after):
    if found == before:
        return "before"
    assert found == after
    return "finished"
