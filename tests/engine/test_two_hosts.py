"""Two hosts with one database: neither changes, finishes or ends what is the other's."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from engine.conftest import OTHER_HOST
from engine.patient import codes, kill, mended, only
from fakes.dying import KilledError, die

from vmsnap.cli.terminal.text import local_time
from vmsnap.engine import doctor
from vmsnap.engine.backup import (
    create_backup,
    delete_backup,
    list_backups,
    show_backup,
    verify_backups,
)
from vmsnap.engine.check import check_groups
from vmsnap.engine.clone import clone_backup
from vmsnap.engine.diff import diff_group
from vmsnap.engine.findings.finding import Cure, Severity
from vmsnap.engine.history import list_history
from vmsnap.engine.listing import list_groups, list_snapshots, show_group
from vmsnap.engine.pin import pin_groups
from vmsnap.engine.prune import prune_domain
from vmsnap.engine.purge import purge_domain
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import (
    CloneRequest,
    CreateRequest,
    PinRequest,
    Power,
    PruneRequest,
    PurgeRequest,
    RestoreRequest,
    UngroupRequest,
)
from vmsnap.engine.restore import restore_backup
from vmsnap.engine.retention import Policy
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import (
    DatabaseError,
    DomainNotFoundError,
    OtherHostError,
    ResourceNotFoundError,
    UndoRefusedError,
)
from vmsnap.model import CatalogChange, GroupState

OTHER_UUID = "cccccccc-0000-4000-8000-000000000003"


def verbs(seen, name):
    """Every verb on a group or backup, for the machine of `seen`: name -> call."""
    ports, domain = seen.ports, seen.name
    return {
        "group revert": lambda: seen.revert(name),
        "group revert --dry-run": lambda: seen.revert(name, dry_run=True),
        "group delete": lambda: seen.delete(name),
        "group delete --dry-run": lambda: seen.delete(name, dry_run=True),
        "snapshot delete": lambda: seen.delete(singles=(f"{name}/vda",)),
        "group pin": lambda: pin_groups(ports, domain, [name], PinRequest()),
        "group ungroup": lambda: ungroup(ports, domain, name, UngroupRequest()),
        "backup restore": lambda: restore_backup(ports, domain, name, RestoreRequest()),
        "backup delete": lambda: delete_backup(ports, domain, name, dry_run=False),
        "group show": lambda: show_group(ports, domain, name),
        "group check": lambda: check_groups(ports, domain, name),
        "group diff": lambda: diff_group(ports, domain, name),
        "backup show": lambda: show_backup(ports, domain, name),
        "backup verify": lambda: verify_backups(ports, domain, name),
        "backup clone": lambda: clone_backup(ports, domain, [domain], CloneRequest(backup=name)),
    }


def prune(seen, **options):
    """Prune all that the machine of `seen` has."""
    request = PruneRequest(Policy(within=timedelta(milliseconds=1)), may_be_empty=True, **options)
    return prune_domain(seen.ports, seen.name, lambda _name: request)


def changing_verbs(seen):
    """Every verb that would change the machine of `seen`, and has something to change."""
    return {
        **{
            key: call
            for key, call in verbs(seen, "mine").items()
            if key.split()[1] not in {"show", "check", "diff", "verify", "clone"}
            and key not in {"snapshot delete", "backup delete"}
        },
        "snapshot create": lambda: seen.create("new"),
        "snapshot create --dry-run": lambda: seen.create("new", dry_run=True),
        "backup create": lambda: create_backup(seen.ports, seen.name, CreateRequest()),
        "backup delete": lambda: delete_backup(seen.ports, seen.name, "kept", dry_run=False),
        "prune": lambda: prune(seen),
        "prune --dry-run": lambda: prune(seen, dry_run=True),
        "undo": seen.undo,
        "undo --dry-run": lambda: seen.undo(dry_run=True),
    }


def state_of(*worlds):
    return [world.everything() for world in worlds]


@pytest.mark.parametrize("is_uuid", [False, True], ids=["name", "uuid"])
def test_no_verb_finds_what_is_the_other_hosts_but_says_where_it_is(world, other, is_uuid):
    """H61: neither by name nor by UUID, though the domain has the same of both."""
    group = other.create("theirs").group.group
    before = state_of(world, other)
    for verb, call in verbs(world, group.id if is_uuid else "theirs").items():
        with pytest.raises(ResourceNotFoundError) as caught:
            call()
        if verb != "snapshot delete":
            assert f"; host '{OTHER_HOST}' has one" in caught.value.message, verb
            assert "--all-hosts" in caught.value.hint, verb
        assert state_of(world, other) == before, verb


def test_a_prefix_picks_nothing_of_the_other_host(world, other):
    """H61."""
    group = other.create("theirs").group.group
    with pytest.raises(ResourceNotFoundError):
        world.delete(group.id[:12])


def test_each_host_undoes_its_own(world, other):
    """H61: what the other has reverted is nothing to undo here."""
    other.create("monday")
    other.revert("monday")
    before = state_of(world, other)
    with pytest.raises(UndoRefusedError):
        world.undo()
    assert state_of(world, other) == before


def test_both_hosts_live_their_lives_side_by_side(world, other):
    """H61: with the same names; deletes and purges take nothing of the other's."""
    for seen in (world, other):
        seen.create("monday")
        seen.fill(2)
        seen.create("tuesday")
    kept = other.machine()
    world.revert("monday")
    world.undo()
    world.delete("monday", "tuesday")
    world.hypervisor.undefine(world.uuid)
    purge_domain(world.ports, world.uuid, PurgeRequest())
    assert {view.group.name for view in list_groups(other.ports, None).groups} == {
        "monday",
        "tuesday",
    }
    assert [check.is_available for check in check_groups(other.ports, other.name, None)] == [
        True,
        True,
    ]
    assert all(result.problem is None for result in verify_backups(other.ports, None, None))
    assert other.machine() == kept
    other.delete("monday", "tuesday")
    assert other.rows()[0] == ()


def test_lists_show_the_other_hosts_only_when_asked(world, other):
    """H61: each line says of which host it is."""
    world.create("mine")
    other.create("theirs")
    for listed in (list_groups, list_snapshots):
        for domain in (None, world.name, world.uuid):
            (view,) = {item.group.id: item for item in listed(world.ports, domain).groups}.values()
            assert view.group.name == "mine"
            views = listed(world.ports, domain, all_hosts=True).groups
            hosts = [(view.group.name, view.group.resource.host_id) for view in views]
            assert hosts == [("mine", world.hypervisor.host), ("theirs", OTHER_HOST)]
    for domain in (None, world.name):
        assert {item.resource.name for item in list_backups(world.ports, domain)} == {"mine"}
        rows = list_backups(world.ports, domain, all_hosts=True)
        assert {item.resource.name for item in rows} == {"mine", "theirs"}
        lines = list_history(world.ports, domain, limit=9).lines
        assert [line.entry.operation.subject for line in lines] == ["mine"]
        lines = list_history(world.ports, domain, limit=9, all_hosts=True).lines
        assert [line.entry.operation.subject for line in lines] == ["mine", "theirs"]
        assert [line.undo for line in lines] == [None, None]


def test_domains_of_one_name_and_two_uuids_are_both_listed(world, other):
    """H61: a name is only a host's own."""
    twin = replace(other, uuid=OTHER_UUID)
    machine = other.hypervisor.machines.pop(other.uuid)
    twin.hypervisor.add(machine.xml.replace(other.uuid, OTHER_UUID))
    other.tpm.parent.rename(twin.tpm.parent)
    world.create("mine")
    twin.create("theirs")
    for seen in (world, twin):
        views = list_groups(seen.ports, world.name, all_hosts=True).groups
        assert [view.group.name for view in views] == ["mine", "theirs"]
        lines = list_history(seen.ports, world.name, limit=9, all_hosts=True).lines
        assert len(lines) == 2
        rows = list_backups(seen.ports, world.name, all_hosts=True)
        assert {item.resource.host_id for item in rows} == {world.hypervisor.host, OTHER_HOST}


def test_a_domain_that_only_the_other_host_has_is_pointed_at(world, other):
    """H61."""
    other.create("theirs")
    world.hypervisor.undefine(world.uuid)
    with pytest.raises(DomainNotFoundError, match="another host has some") as caught:
        list_groups(world.ports, world.name)
    assert caught.value.hint == f"vmsnap group list --all-hosts {world.name}"
    (view,) = list_groups(world.ports, world.name, all_hosts=True).groups
    assert view.domain_state is None


@pytest.fixture
def killed(other, monkeypatch):
    """Leave an operation of the other host as a kill would: pending, its journal there."""

    def raise_it():
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        other.hypervisor.on("switch_disks", raise_it, when="after")
        with pytest.raises(KilledError):
            other.create("theirs")
    return other


def test_nothing_is_changed_here_while_the_other_host_has_something_pending(world, other, request):
    """H61: each verb is refused, names the host, and says what to do; readers go on."""
    world.create("mine")
    world.revert("mine")
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    killed = request.getfixturevalue("killed")
    before = state_of(world, killed)
    calls = len(world.hypervisor.calls)
    for verb, call in changing_verbs(world).items():
        with pytest.raises(OtherHostError) as caught:
            call()
        assert caught.value.exit_code == 14
        begun = re.escape(local_time(world.ports.clock.time)[:10])
        assert re.match(
            f"host '{OTHER_HOST}' has 'snapshot create' of {begun} .* pending on domain"
            f" '{world.name}', which has the same UUID there",
            caught.value.message,
        ), verb
        assert "run on that host: vmsnap recover" in caught.value.hint
        assert caught.value.hint.endswith(f"run here: vmsnap doctor {world.uuid}")
        assert state_of(world, killed) == before, verb
    assert recover_all(world.ports, dry_run=False) == ()
    assert codes(world) == ["pending_on_other_host"]
    assert check_groups(world.ports, world.name, "mine")[0].is_available
    assert list_groups(world.ports, world.name, all_hosts=True).groups
    assert state_of(world, killed) == before
    asked = {name for name, *_ in world.hypervisor.calls[calls:]}
    assert not asked & {"define", "switch_disks", "shut_down", "start"}

    (result,) = recover_all(killed.ports, dry_run=False)
    assert result.outcome == "undone"
    world.create("new")


def test_a_guest_is_not_shut_down_for_what_the_other_host_keeps_from_being_done(world, other):
    """H61: refused before the guest is asked."""
    world.create("mine")
    world.hypervisor.start(world.uuid)
    operation = replace(pending_of(other), verb="group revert")
    other.ports.catalog.reserve(operation, (), {})
    with pytest.raises(OtherHostError):
        world.revert("mine", power=Power(shut_down=True, start=True))
    assert not [call for call in world.hypervisor.calls if call[0] == "shut_down"]
    assert [entry.code for entry in world.ports.catalog.history()] == [None]


def test_recover_finishes_no_delete_of_the_other_host(world, other):
    """H61: a group that is `deleting` there is nothing to finish here."""
    group = other.create("theirs").group.group
    operation = pending_of(other)
    other.ports.catalog.reserve(operation, (), {})
    other.ports.catalog.commit(operation.id, CatalogChange(deleting=(group.id,)))
    other.ports.catalog.finish(operation.id)
    before = state_of(world, other)
    assert recover_all(world.ports, dry_run=True) == ()
    assert recover_all(world.ports, dry_run=False) == ()
    world.create("mine")
    world.delete("mine")
    assert state_of(other)[0][:2] == before[1][:2]
    (left,) = other.rows()[0]
    assert (left.id, left.state) == (group.id, GroupState.DELETING)
    assert recover_all(other.ports, dry_run=False)[0].outcome == "finished"


def test_doctor_neither_names_nor_mends_what_is_the_other_hosts(world, other):
    """H61: though its files are not to be found here."""
    other.create("theirs")
    before = state_of(world, other)
    assert doctor.examine(world.ports) == ()
    other.ports.catalog.reserve(pending_of(other), (), {})
    world.hypervisor.undefine(world.uuid)
    assert doctor.examine(world.ports) == (), "nothing is kept from being done here"
    assert state_of(other) == before[1:]
    assert other.ports.catalog.pending(OTHER_HOST) != ()


ENDS = {
    "create before its commit": ("snapshot create", False, lambda seen: seen.create("new")),
    "create behind its commit": ("snapshot create", True, lambda seen: seen.create("new")),
    "revert before its commit": ("group revert", False, lambda seen: seen.revert("theirs")),
    "revert behind its commit": ("group revert", True, lambda seen: seen.revert("theirs")),
    "delete behind its commit": ("group delete", True, lambda seen: seen.delete("theirs")),
}


@pytest.mark.parametrize("end", ENDS)
def test_pending_on_other_host_is_struck_off_and_settled_there_if_it_comes_back(world, other, end):
    """H61: that host finds its operation aborted or committed, and settles its own disks."""
    verb, is_committed, call = ENDS[end]
    other.create("theirs")
    other.fill(2)
    before = state_of(other)
    kill(other, "catalog", "commit", call, is_after=is_committed)
    left = (other.machine(), other.files(), other.journals(), other.definition())

    found = only(world, "pending_on_other_host")
    assert (found.kind.severity, found.kind.cure) == (Severity.WARNING, Cure.ASKS)
    assert found.message.startswith(f"host '{OTHER_HOST}' has '{verb}' pending since 2026-11-22 ")
    assert found.command == f"vmsnap doctor --fix {world.name}"
    mended(world, found)
    assert codes(world) == []
    assert (other.machine(), other.files(), other.journals(), other.definition()) == left
    mine = world.create("mine").group.group

    (result,) = recover_all(other.ports, dry_run=False)
    assert result.outcome == ("finished" if is_committed else "undone")
    assert codes(other) == []
    (now,) = state_of(other)
    if not is_committed:
        theirs = tuple(item for item in now[2][0] if item.id != mine.id)
        assert (now[0], now[1], now[3], theirs) == (*before[0][:2], before[0][3], before[0][2][0])
    checks = check_groups(other.ports, other.name, None)
    assert all(check.is_available for check in checks)
    other.create("later")
    assert check_groups(world.ports, world.name, "mine")[0].is_available


def test_an_operation_that_is_struck_off_while_it_works_is_taken_back_there(world, other):
    """H61: an answer that was wrong costs that operation, and nothing else."""
    before = state_of(other)
    other.hypervisor.on(
        "switch_disks",
        lambda: mended(world, only(world, "pending_on_other_host")),
        when="after",
    )
    with pytest.raises(DatabaseError):
        other.create("theirs")
    assert state_of(other) == before
    assert codes(other) == codes(world) == []


def test_doctor_mends_nothing_else_while_the_other_host_has_something_pending(world, killed):
    """H61: but with it, if that is struck off too."""
    world.nvram.chmod(0o644)
    (result,) = doctor.mend(world.ports, [readable := only(world, "nvram_readable")])
    assert isinstance(result.problem, OtherHostError)
    mended(world, readable, only(world, "pending_on_other_host"))
    assert codes(world) == []


def pending_of(seen):
    from vmsnap.engine.changing import preview_operation

    operation = preview_operation(seen.ports, seen.uuid, "group delete")
    return replace(operation, domain_name=seen.name)
