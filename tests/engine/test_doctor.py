"""The verb doctor: healthy machines have nothing, one trouble hides no other, mending is safe."""

from dataclasses import replace

import pytest
from engine.conftest import qemu_img
from engine.patient import codes, counting, kill, mended, only, sql
from engine.running_machine import start_with_groups
from fakes.dying import DyingJournals, KilledError, die
from fakes.failing import Failing, raising
from fakes.second_machine import second_machine

from vmsnap.engine.doctor import VERB, examine, examine_without_database, mend
from vmsnap.engine.requests import UngroupRequest
from vmsnap.engine.ungroup import ungroup
from vmsnap.errors import BusyError, DomainNotFoundError, DomainRunningError, LibvirtError
from vmsnap.model import Outcome
from vmsnap.store.empty import EmptyCatalog

OVERLAY = "web.vmsnap-0123456789ab.qcow2"


def revert(seen):
    seen.revert("monday")


def test_a_healthy_machine_has_no_findings_whatever_was_done_to_it(world):
    assert codes(world) == []
    for name in ("monday", "tuesday", "wednesday"):
        world.create(name)
        world.fill(len(name))
        assert codes(world) == []
    for verb in (
        lambda: world.revert("monday"),
        lambda: world.create("branch"),
        lambda: world.delete("tuesday"),
        lambda: world.undo(force=True),
        lambda: ungroup(world.ports, world.name, "wednesday", UngroupRequest()),
        lambda: world.hypervisor.start(world.uuid),
        lambda: world.create("thursday"),
        lambda: world.hypervisor.stop(world.uuid),
        lambda: world.delete("monday", with_children=True),
    ):
        verb()
        assert codes(world) == []


def test_a_running_machine_whose_layers_are_merged_has_no_findings(world):
    start_with_groups(world)
    world.delete("two")
    assert counting(world) == []


def test_looking_changes_nothing_and_takes_no_lock(world):
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    qemu_img("create", "-q", "-f", "qcow2", world.disks["vda"].with_name(OVERLAY), "1M")
    before = (world.everything(), world.journals())
    locks = Failing(world.ports.locks, "hold", raising(AssertionError("it took the lock")))
    examine(world.with_ports(locks=locks).ports)
    assert (world.everything(), world.journals()) == before


def test_operation_at_work_is_a_note_and_nothing_else_is_said(world):
    """A cron job of doctor's meets another of create's."""
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    with world.ports.locks.hold(world.uuid, "group revert", 0):
        assert codes(world) == ["operation_at_work"]
        assert "'group revert' (process" in only(world, "operation_at_work").message
        assert counting(world) == []
    assert "journal_left" in codes(world)


def test_an_operation_that_ends_meanwhile_makes_doctor_look_again(world):
    world.create("monday")
    layer = world.ports.catalog.groups()[0]
    world.fill(2)
    looks = []

    def delete():
        if not looks:
            looks.append(layer)
            world.delete("monday")

    images = Failing(world.ports.images, "info", delete)
    assert examine(world.with_ports(images=images).ports) == ()


def test_unreadable_state_of_one_domain_does_not_hide_the_others(world):
    other = second_machine(world)
    world.nvram.chmod(0o644)
    other.nvram.chmod(0o600)
    hypervisor = Failing(world.hypervisor, "domain", raising(LibvirtError("no answer")))
    found = examine(world.with_ports(hypervisor=hypervisor).ports)
    assert sorted(item.kind.code for item in found) == ["nvram_readable", "unreadable"]
    (unreadable,) = (item for item in found if item.kind.code == "unreadable")
    assert (unreadable.message, unreadable.domain_name) == ("no answer", other.name)


def test_unreadable_parts_do_not_hide_other_findings_of_the_domain(world):
    world.tpm.chmod(0o755)
    world.create("monday")
    definitions = Failing(world.ports.images, "chain", raising(LibvirtError("odd")), times=9)
    found = examine(world.with_ports(images=definitions).ports)
    assert {item.kind.code for item in found} >= {"unreadable", "tpm_readable"}


def test_one_domain_alone_is_looked_at_by_name_or_uuid(world):
    other = second_machine(world)
    other.nvram.chmod(0o644)
    world.nvram.chmod(0o644)
    for text in (other.name, other.uuid, other.uuid[:8]):
        assert [item.domain_id for item in examine(world.ports, text)] == [other.uuid]
    with pytest.raises(DomainNotFoundError):
        examine(world.ports, "nobody")


def test_no_finding_shows_a_secret(world):
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    sql(world, "UPDATE content_chunk SET data = X'00'")
    text = repr(examine(world.ports))
    assert "content_damaged" in text
    assert "hush" not in text
    assert "<domain" not in text


# --- mending ------------------------------------------------------------------------------------


def test_mending_is_in_the_history(world):
    world.tpm.chmod(0o755)
    mended(world, only(world, "tpm_readable"))
    (entry,) = world.ports.catalog.history()
    assert (entry.operation.verb, entry.outcome) == (VERB, Outcome.DONE)
    assert entry.operation.subject == "tpm readable"


def test_a_busy_domain_is_left_and_the_others_are_mended(world):
    other = second_machine(world)
    for path in (world.nvram, other.nvram):
        path.chmod(0o644)
    found = examine(world.ports)
    with world.ports.locks.hold(world.uuid, "group revert", 0):
        results = {item.finding.domain_id: item.problem for item in mend(world.ports, found)}
    assert isinstance(results[world.uuid], BusyError)
    assert results[other.uuid] is None


def test_what_has_to_wait_for_a_running_machine_is_left(world):
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    without = world.ports.definitions.without_fence(world.hypervisor.machines[world.uuid].xml)
    world.hypervisor.machines[world.uuid].xml = without
    world.hypervisor.start(world.uuid)
    (result,) = mend(world.ports, [only(world, "journal_left")])
    assert isinstance(result.problem, DomainRunningError)
    assert world.journals() == (world.uuid,)


def test_what_is_gone_by_then_is_not_mended_again(world):
    world.tpm.chmod(0o755)
    found = only(world, "tpm_readable")
    world.tpm.chmod(0o700)
    host_files = Failing(world.ports.host_files, "take_from_others", raising(AssertionError()))
    (result,) = mend(world.with_ports(host_files=host_files).ports, [found])
    assert result.problem is None


def test_what_nothing_mends_is_not_said_to_be_mended(world):
    world.create("monday")
    sql(world, "UPDATE content_chunk SET data = X'00'")
    results = mend(world.ports, counting(world))
    assert all("nothing here mends it" in item.problem.message for item in results)


def test_a_kill_while_mending_leaves_what_a_second_run_mends(world, monkeypatch):
    """H29, H55: recovery is what mends, so it can be killed as that can."""
    world.create("monday")
    world.fill(2)
    before = world.everything()
    kill(world, "catalog", "commit", revert)
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    hypervisor = Failing(world.hypervisor, "define", raising(KilledError()))
    with pytest.raises(KilledError):
        mend(world.with_ports(hypervisor=hypervisor).ports, examine(world.ports))
    mended(world, *examine(world.ports))
    assert codes(world) == []
    assert world.everything() == before


@pytest.mark.parametrize("at", range(1, 17, 3))
def test_wherever_a_revert_is_killed_doctor_finds_it_and_mends_it(world, monkeypatch, at):
    world.create("monday")
    world.fill(2)
    monkeypatch.setattr("vmsnap.engine.journal._settle_after", die)
    journals = DyingJournals(world.ports.journals, at, is_written=True)
    try:
        world.with_ports(journals=journals).revert("monday")
    except KilledError:
        assert "journal_left" in codes(world)
        assert "orphan_overlay" not in codes(world)
        mended(world, *examine(world.ports))
    assert codes(world) == []


# --- without a database -------------------------------------------------------------------------


def test_without_a_database_journals_fences_and_modes_are_told(world):
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    world.tpm.chmod(0o755)
    url = world.ports.catalog.status().url
    ports = replace(world.ports, catalog=EmptyCatalog(url, "0002"))
    found = examine_without_database(ports)
    assert sorted(item.kind.code for item in found) == [
        "fence_left",
        "journal_left",
        "tpm_readable",
    ]


def test_without_a_database_an_undefined_domain_with_a_journal_is_told(world):
    world.create("monday")
    kill(world, "catalog", "commit", revert)
    world.hypervisor.undefine(world.uuid)
    ports = replace(world.ports, catalog=EmptyCatalog(world.ports.catalog.status().url, "0002"))
    assert [item.kind.code for item in examine_without_database(ports)] == ["journal_left"]
