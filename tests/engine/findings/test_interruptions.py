"""What an operation leaves that did not end, each made by hand, and how --fix mends it."""

from dataclasses import replace

import pytest
from engine.patient import codes, counting, kill, mended, only, operation, sql

from vmsnap.engine.doctor import examine
from vmsnap.engine.findings.finding import Cure
from vmsnap.model import DomainState, HistoryEntry, Outcome


def revert(seen):
    seen.revert("monday")


def interrupted(world):
    """A revert that was killed before its commit: journal and fence are left."""
    world.create("monday")
    world.fill(2)
    before = world.everything()
    kill(world, "catalog", "commit", revert)
    return before


def journal(world):
    return world.folder / "state" / "journal" / f"{world.uuid}.jsonl"


def test_journal_left_and_fence_left_are_mended_by_recovery(world):
    before = interrupted(world)
    found = only(world, "journal_left"), only(world, "fence_left")
    assert codes(world) == ["fence_left", "journal_left"]
    assert all(item.kind.cure is Cure.SURELY for item in found)
    assert all(item.command == "vmsnap recover" for item in found)
    assert "'group revert' of 2026-11-22" in found[0].message
    mended(world, *found)
    assert codes(world) == []
    assert world.everything() == before


def test_journal_left_whose_beginning_was_never_whole_is_dropped(world):
    journal(world).parent.mkdir()
    journal(world).write_text("{")
    mended(world, only(world, "journal_left"))
    assert world.journals() == ()


def test_journal_left_by_an_undefined_domain_is_found(world):
    interrupted(world)
    world.hypervisor.undefine(world.uuid)
    assert codes(world) == ["domain_gone", "journal_left"]


def test_journal_of_other_database_names_it(world):
    interrupted(world)
    text = journal(world).read_text()
    journal(world).write_text(text.replace("vmsnap.db", "other.db"))
    found = only(world, "journal_of_other_database")
    assert found.kind.cure is Cure.BY_HAND
    assert "other.db" in found.message
    assert found.command.startswith("vmsnap --database ")
    assert found.command.endswith("other.db recover")


@pytest.mark.parametrize(("text", "instead"), [("vmsnap.db", "other.db"), ('"done":0', "?")])
def test_nothing_is_said_to_be_mended_here_that_has_to_be_settled_elsewhere(world, text, instead):
    """Every change of the domain begins with recovering it."""
    interrupted(world)
    journal(world).write_text(journal(world).read_text().replace(text, instead))
    world.nvram.chmod(0o644)
    found = [item for item in examine(world.ports) if item.domain_id == world.uuid]
    assert "nvram_readable" in {item.kind.code for item in found}
    assert {item.kind.cure for item in found} == {Cure.BY_HAND}


def test_journal_unreadable_is_left_to_a_person(world):
    interrupted(world)
    text = journal(world).read_text()
    journal(world).write_text(text.replace('"done":0', "?", 1))
    assert codes(world) == ["fence_left", "journal_unreadable"]
    assert "damaged in line 2" in only(world, "journal_unreadable").message


def test_fence_without_journal_is_lifted_after_a_question(world):
    interrupted(world)
    world.ports.journals.remove(world.uuid)
    found = only(world, "fence_without_journal")
    assert found.kind.cure is Cure.ASKS
    assert found.command == "vmsnap recover --lift-fences"
    mended(world, found)
    assert not world.hypervisor.domain(world.uuid).definition.is_fenced
    assert "fence_without_journal" not in codes(world)


def test_pending_without_journal_is_struck_off_after_a_question(world):
    world.create("monday")
    before = world.rows()
    kill(world, "hypervisor", "switch_disks", lambda seen: seen.create("tuesday"))
    world.ports.journals.remove(world.uuid)
    lost = [item for item in counting(world) if item.kind.code == "pending_without_journal"]
    assert [item.kind.cure for item in lost] == [Cure.ASKS]
    mended(world, *lost)
    assert world.rows() == before
    assert "pending_without_journal" not in codes(world)


def test_pending_without_journal_of_a_committed_operation_keeps_what_it_made(world):
    kill(world, "catalog", "finish", lambda seen: seen.create("monday"))
    world.ports.journals.remove(world.uuid)
    mended(world, only(world, "pending_without_journal"))
    assert codes(world) == []
    assert [group.name for group in world.ports.catalog.groups()] == ["monday"]


def test_pending_without_journal_finds_drafts_whose_registration_is_gone(world):
    kill(world, "catalog", "commit", lambda seen: seen.create("monday"))
    world.ports.journals.remove(world.uuid)
    sql(world, "DELETE FROM pending_content", "DELETE FROM pending", "DELETE FROM claim")
    found = only(world, "pending_without_journal")
    assert "what an operation of 2026-11-22" in found.message
    mended(world, found)
    assert world.ports.catalog.groups() == ()
    assert "pending_without_journal" not in codes(world)


def test_an_operation_of_another_host_is_its_own_affair(world):
    other = replace(
        operation(world),
        host_id="99999999-0000-4000-8000-000000000009",
        domain_id="cccccccc-0000-4000-8000-000000000003",
    )
    world.ports.catalog.reserve(other, (), {})
    assert codes(world) == []


def test_guest_suspended_by_a_killed_create_goes_on(world):
    """H29: should the process that watches over the guest have died, too."""
    world.hypervisor.start(world.uuid)
    kill(world, "hypervisor", "resume", lambda seen: seen.create("monday", suspend=True))
    assert world.hypervisor.domain(world.uuid).state is DomainState.PAUSED
    found = only(world, "guest_suspended")
    assert found.kind.cure is Cure.SURELY
    mended(world, found)
    assert world.hypervisor.domain(world.uuid).state is DomainState.RUNNING
    assert codes(world) == []


def test_guest_perhaps_suspended_asks_where_the_journal_is_lost(world):
    world.hypervisor.start(world.uuid)
    entry = HistoryEntry(operation(world), world.ports.clock.now(), Outcome.LEFT, "left_changed")
    world.ports.catalog.add_history(entry)
    world.hypervisor.suspend(world.uuid)
    found = only(world, "guest_perhaps_suspended")
    assert found.command == f"virsh resume {world.name}"
    mended(world, found)
    assert world.hypervisor.domain(world.uuid).state is DomainState.RUNNING


def test_guest_paused_by_somebody_else_is_only_a_note(world):
    world.create("monday")
    world.hypervisor.start(world.uuid)
    world.hypervisor.suspend(world.uuid)
    assert codes(world) == ["guest_paused"]
    assert counting(world) == []
