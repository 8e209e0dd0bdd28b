"""Hooks around operations: when they are run, what they are told, what their failure does."""

import os

import pytest
from fakes.dying import DyingJournals, KilledError, die
from fakes.failing import Failing, raising

from vmsnap.engine.backup import create_backup, delete_backup
from vmsnap.engine.changing import changing
from vmsnap.engine.recover import recover_all
from vmsnap.engine.requests import CreateRequest
from vmsnap.errors import BusyError, HookError, ImageError, LibvirtError, NameTakenError
from vmsnap.host.hooks import ProcessHooks
from vmsnap.model import Outcome
from vmsnap.ports import Hook, HookMoment

FACTS = ("WHEN", "OPERATION", "DOMAIN", "DOMAIN_UUID", "NAME", "STATUS", "CODE", "CHANGED")


@pytest.fixture
def told(tmp_path):
    """The file in which the telling hook notes each of its runs."""
    return tmp_path / "told"


@pytest.fixture
def telling(tmp_path, told):
    """Make hooks that note what they were told, and end with a status."""
    script = tmp_path / "tell"
    words = "|".join(f"${{VMSNAP_HOOK_{name}-}}" for name in FACTS)
    script.write_text(f'#!/bin/sh\necho "{words}" >> {told}\nexit "${{1-0}}"\n')
    script.chmod(0o755)

    def make(moment, *arguments, **options):
        return Hook(HookMoment(moment), (str(script), *map(str, arguments)), **options)

    return make


def lines(told):
    """What the hooks were told, a dictionary each."""
    text = told.read_text() if told.exists() else ""
    return [dict(zip(FACTS, line.split("|"), strict=True)) for line in text.splitlines()]


def hooked(world, *hooks):
    return world.with_ports(hooks=ProcessHooks(hooks))


def outcomes(world):
    return [entry.outcome for entry in world.ports.catalog.history()]


def test_hooks_are_told_what_is_done_and_what_came_of_it(world, telling, told):
    hooked(world, telling("before"), telling("after")).create("monday")
    common = {"OPERATION": "snapshot create", "DOMAIN": world.name, "DOMAIN_UUID": world.uuid}
    before, after = lines(told)
    assert before == common | {
        "WHEN": "before", "NAME": "monday", "STATUS": "", "CODE": "", "CHANGED": ""
    }  # fmt: skip
    assert after == common | {
        "WHEN": "after", "NAME": "monday", "STATUS": "0", "CODE": "", "CHANGED": "true"
    }  # fmt: skip


def test_the_name_that_was_made_up_is_known_afterwards(world, telling, told):
    made = hooked(world, telling("before"), telling("after")).create()
    assert [line["NAME"] for line in lines(told)] == ["", made.name]


def test_a_hook_is_run_for_its_operations_and_domains_alone(world, telling, told):
    hooks = (
        telling("before", operations=("backup create",)),
        telling("before", operations=("group revert", "snapshot create"), domains=("db*", "*web")),
        telling("before", domains=("VMSNAP*", "web")),
    )
    hooked(world, *hooks).create("monday")
    assert len(lines(told)) == 1
    create_backup(hooked(world, *hooks).ports, world.name, CreateRequest(name="tuesday"))
    assert [line["OPERATION"] for line in lines(told)] == ["snapshot create", "backup create"]


def test_hooks_are_run_in_their_order(world, tmp_path):
    note = tmp_path / "note"
    hooks = [
        Hook(HookMoment.BEFORE, ("/bin/sh", "-c", f"echo {number} >> {note}"))
        for number in range(3)
    ]
    hooked(world, *hooks).create("monday")
    assert note.read_text().split() == ["0", "1", "2"]


def test_a_hook_that_may_stop_refuses_the_operation_before_anything_is_changed(
    world, telling, told
):
    before = world.everything()
    refusing = hooked(world, telling("before", 4, may_stop=True), telling("after"))
    with pytest.raises(HookError, match=f"snapshot create of domain '{world.name}'") as caught:
        refusing.create("monday")
    assert caught.value.exit_code == 17
    assert world.everything() == before
    assert (world.journals(), outcomes(world)) == ((), [])
    after = lines(told)[1]
    assert (after["STATUS"], after["CODE"], after["CHANGED"]) == ("17", "hook", "false")


def test_the_hooks_behind_one_that_stopped_are_not_run_but_those_of_after_are(world, telling, told):
    hooks = telling("before", 1, may_stop=True), telling("before"), telling("after")
    with pytest.raises(HookError):
        hooked(world, *hooks).create("monday")
    assert [line["WHEN"] for line in lines(told)] == ["before", "after"]


def test_a_hook_that_may_not_stop_is_only_warned_of(world, telling):
    hooked(world, telling("before", 1), telling("after", 2)).create("monday")
    assert [text.rsplit(" hook ")[0] for text in world.ports.reporter.warnings] == [
        f"snapshot create of domain '{world.name}':"
    ] * 2
    assert outcomes(world) == [Outcome.DONE]


def test_a_hook_of_after_never_fails_the_operation(world, telling):
    """Even if it is said that it may stop: there is nothing left to be stopped."""
    hooked(world, telling("after", 1, may_stop=True)).create("monday")
    assert outcomes(world) == [Outcome.DONE]


def test_hooks_of_after_are_run_when_it_was_refused(world, telling, told):
    world.create("monday")
    with pytest.raises(NameTakenError):
        hooked(world, telling("after")).create("monday")
    (after,) = lines(told)
    assert (after["STATUS"], after["CODE"], after["CHANGED"]) == ("13", "name_taken", "false")


def test_hooks_of_after_are_run_when_it_failed_and_was_undone(world, telling, told):
    def fail():
        message = "libvirt is gone"
        raise LibvirtError(message)

    world.hypervisor.on("switch_disks", fail)
    with pytest.raises(LibvirtError):
        hooked(world, telling("after")).create("monday")
    (after,) = lines(told)
    assert (after["STATUS"], after["CODE"], after["CHANGED"]) == ("20", "libvirt", "false")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(KeyboardInterrupt, "130", "interrupted"), (RuntimeError, "1", "bug")],
)
def test_hooks_of_after_are_run_when_a_signal_or_a_bug_ended_it(
    world, telling, told, error, status, code
):
    with (
        pytest.raises(error),
        changing(hooked(world, telling("after")).ports, world.uuid, "test"),
    ):
        raise error
    (after,) = lines(told)
    assert (after["STATUS"], after["CODE"], after["CHANGED"]) == (status, code, "false")


def test_a_delete_that_left_something_says_so(world, telling, told):
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    images = Failing(world.ports.images, "commit", raising(ImageError("no")))
    hooked(world.with_ports(images=images), telling("after")).delete("monday")
    assert outcomes(world)[-1] is Outcome.PARTIAL
    (after,) = lines(told)
    assert (after["STATUS"], after["CODE"], after["CHANGED"]) == ("3", "", "true")


def test_dry_runs_run_no_hooks(world, telling, told):
    hooked(world, telling("before"), telling("after")).create("monday", dry_run=True)
    assert lines(told) == []


def test_a_busy_domain_runs_no_hooks(world, telling, told):
    with world.ports.locks.hold(world.uuid, "other", 0), pytest.raises(BusyError):
        hooked(world, telling("before"), telling("after")).create("monday")
    assert lines(told) == []


def test_a_recovery_on_the_way_runs_no_hooks_of_its_own(world, telling, told):
    """What was interrupted had its own before it."""
    interrupted(world)
    hooked(world, telling("before"), telling("after")).create("tuesday")
    assert [line["NAME"] for line in lines(told)] == ["tuesday", "tuesday"]


def test_recover_runs_no_hooks(world, telling, told):
    interrupted(world)
    recover_all(hooked(world, telling("before"), telling("after")).ports, dry_run=False)
    assert world.journals() == ()
    assert lines(told) == []


def test_a_hook_can_make_a_delete_wait_that_recover_would_finish(world, telling, told):
    """It is a group delete with its hooks; what else there is to recover goes on."""
    world.create("monday")
    world.fill(2)
    world.create("tuesday")
    images = Failing(world.ports.images, "commit", raising(ImageError("no")))
    world.with_ports(images=images).delete("monday")
    hooks = telling("before", 1, may_stop=True, operations=("group delete",))
    (result,) = recover_all(hooked(world, hooks).ports, dry_run=False)
    assert (result.outcome, result.verb) == ("waiting", "group delete")
    assert "ended with status 1" in result.message
    assert [line["NAME"] for line in lines(told)] == ["monday"]
    (result,) = recover_all(world.ports, dry_run=False)
    assert result.outcome == "finished"


def interrupted(world):
    """Leave what a kill in the middle of a create leaves."""
    dying = world.with_ports(journals=DyingJournals(world.ports.journals, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vmsnap.engine.journal._settle_after", die)
        patch.setattr("vmsnap.engine.changing.record_failure", lambda *_: None)
        with pytest.raises(KilledError):
            dying.create("monday")
    assert world.journals()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_lock_is_held_while_a_hook_is_run(world, moment, tmp_path):
    """A hook that calls vmsnap on the same domain is refused as busy, and nothing hangs."""
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    os.mkfifo(go_on)
    seen = []

    def look():
        if begun.exists() and not seen:
            seen.append(world.ports.locks.holder(world.uuid).verb)
            go_on.write_text("now")
        return False

    hook = Hook(HookMoment(moment), ("/bin/sh", "-c", f"touch {begun}; cat {go_on}"))
    world.with_ports(hooks=ProcessHooks((hook,)), is_cancelled=look).create("monday")
    assert seen == ["snapshot create"]


def test_ctrl_c_in_a_hook_of_before_changes_nothing(world, tmp_path):
    before = world.everything()
    begun = tmp_path / "begun"
    hook = Hook(HookMoment.BEFORE, ("/bin/sh", "-c", f"touch {begun}; sleep 60"))
    cancelled = world.with_ports(hooks=ProcessHooks((hook,)), is_cancelled=begun.exists)
    with pytest.raises(KeyboardInterrupt) as caught:
        cancelled.create("monday")
    assert not getattr(caught.value, "vmsnap_changed", False)
    assert world.everything() == before


def test_ctrl_c_in_a_hook_of_after_says_that_it_is_done(world, tmp_path):
    begun = tmp_path / "begun"
    hook = Hook(HookMoment.AFTER, ("/bin/sh", "-c", f"touch {begun}; sleep 60"))
    cancelled = world.with_ports(hooks=ProcessHooks((hook,)), is_cancelled=begun.exists)
    with pytest.raises(KeyboardInterrupt) as caught:
        cancelled.create("monday")
    assert caught.value.vmsnap_changed is True
    assert outcomes(world) == [Outcome.DONE]


def test_what_was_cancelled_has_its_hooks_of_after(world, telling, told):
    """Of several domains side by side: the others were cancelled, and each has its hooks."""
    cancelled = world.with_ports(hooks=ProcessHooks((telling("after"),)), is_cancelled=lambda: True)
    with pytest.raises(KeyboardInterrupt):
        cancelled.create("monday")
    assert [line["STATUS"] for line in lines(told)] == ["130"]


def test_a_delete_of_a_backup_has_hooks_too(world, telling, told):
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    ports = hooked(world, telling("before"), telling("after")).ports
    delete_backup(ports, world.name, "kept", dry_run=False)
    assert [(line["OPERATION"], line["NAME"]) for line in lines(told)] == [
        ("backup delete", "kept")
    ] * 2


@pytest.mark.parametrize("verb", ["doctor", "db rebuild"])
def test_no_hook_keeps_what_is_broken_from_being_mended(world, telling, told, verb):
    hooks = telling("before", 1, may_stop=True), telling("after")
    with changing(hooked(world, *hooks).ports, world.uuid, verb):
        pass
    assert lines(told) == []
