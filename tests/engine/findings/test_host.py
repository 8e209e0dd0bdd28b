"""Overlays and contents that nothing names."""

import hashlib

import pytest
from engine.conftest import qemu_img
from engine.patient import codes, counting, kill, mended, only, operation, sql
from fakes.second_machine import second_machine

from vmsnap.engine.findings.finding import Cure
from vmsnap.engine.findings.host import _is_ours
from vmsnap.engine.identity.publishing import refresh
from vmsnap.host.image_pull import _stand_in_path
from vmsnap.model import ForeignSnapshot

NAME = "web.vmsnap-0123456789ab.qcow2"


@pytest.fixture
def orphan(world):
    """An overlay that another database may know."""
    path = world.disks["vda"].with_name(NAME)
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", world.disks["vda"], path)
    path.chmod(0o600)
    return path


def test_orphan_overlay_is_removed_after_a_question_alone(world, orphan):
    world.create("monday")
    found = only(world, "orphan_overlay")
    assert codes(world) == codes(world, world.name) == ["orphan_overlay"]
    assert (found.kind.cure, found.domain_name) == (Cure.ASKS, world.name)
    assert "another database may" in found.kind.meaning
    assert found.command == f"vmsnap doctor --fix {world.name}"
    before = world.machine()
    mended(world, found)
    assert not orphan.exists()
    assert codes(world) == []
    assert world.machine() == before


def test_orphan_overlay_that_is_used_by_then_stays(world, orphan):
    found = only(world, "orphan_overlay")
    world.edit(f"file='{world.disks['vda']}'", f"file='{orphan}'")
    mended(world, found)
    assert orphan.exists()


def test_an_orphan_of_nobody_is_shown_with_all_domains_alone(world, orphan):
    qemu_img("rebase", "-u", "-f", "qcow2", "-b", "", orphan)
    found = only(world, "orphan_overlay")
    assert (found.domain_id, found.command) == (None, "vmsnap doctor --fix")
    assert codes(world, world.name) == []
    mended(world, found)
    assert not orphan.exists()


def test_what_any_domain_stands_on_is_no_orphan(world, orphan):
    """H28: by the chain, by a snapshot of libvirt's, by a saved image."""
    other = second_machine(world)
    other.nvram.chmod(0o600)
    machine = world.hypervisor.machines[other.uuid]
    above = world.stacked(orphan, "above")
    disk = f'<disk type="file" device="disk"><source file="{above}"/><target dev="vda"/></disk>'
    plain = machine.xml
    machine.xml = plain.replace("<devices>", f"<devices>{disk}")
    assert codes(world) == []
    machine.xml = plain
    assert codes(world) == ["orphan_overlay"]
    machine.saved_xml = plain.replace("<devices>", f"<devices>{disk}")
    assert codes(world) == []
    machine.saved_xml = None
    snapshot = ForeignSnapshot("e1", is_external=True, kept_paths=(orphan,))
    machine.foreign_snapshots = (snapshot,)
    assert codes(world) == []


def test_a_link_and_a_name_of_somebody_elses_are_no_orphans(world, orphan):
    orphan.rename(orphan.with_name("web.vmsnap-backup.qcow2"))
    orphan.symlink_to(world.disks["vda"])
    assert codes(world) == []


def test_what_a_journal_names_is_no_orphan(world):
    """An overlay that is just being made, or whose create was killed."""
    kill(world, "hypervisor", "switch_disks", lambda seen: seen.create("monday"))
    assert codes(world) == ["journal_left"]
    assert any(_is_ours(path.name) for path in world.disks["vda"].parent.iterdir())


def test_what_a_killed_pull_left_is_an_orphan_once_no_delete_takes_it_up(world):
    world.create("monday")
    left = _stand_in_path(world.active("vda"), None)
    qemu_img("create", "-q", "-f", "qcow2", left, "1M")
    assert codes(world) == ["orphan_overlay"]
    sql(world, "UPDATE snapshot_group SET state = 'deleting'")
    refresh(world.ports, world.uuid)
    assert codes(world) == ["delete_waits"]


def test_without_a_journal_that_can_be_read_nothing_is_taken_for_an_orphan(world, orphan):
    kill(world, "catalog", "commit", lambda seen: seen.create("monday"))
    path = world.folder / "state" / "journal" / f"{world.uuid}.jsonl"
    path.write_text(path.read_text().replace('"done":0', "?", 1))
    assert codes(world) == ["journal_unreadable"]


def test_perhaps_orphan_overlay_is_left_while_a_chain_cannot_be_read(world, orphan):
    world.disks["vda"].write_bytes(b"no qcow2")
    found = only(world, "perhaps_orphan_overlay")
    assert found.kind.cure is Cure.BY_HAND
    assert "disk vda of domain" in found.message


def test_contents_unreferenced_are_dropped(world):
    world.create("monday")
    kept = world.rows()
    sql(
        world,
        "INSERT INTO content VALUES ('" + "a" * 64 + "', 'zlib', 1, 1)",
        "INSERT INTO content_chunk VALUES ('" + "a" * 64 + "', 0, X'00')",
    )
    found = only(world, "contents_unreferenced")
    assert found.kind.cure is Cure.SURELY
    mended(world, found)
    assert codes(world) == []
    assert world.rows() == kept
    assert all(world.ports.catalog.content(item) for item in digests(world))


def test_contents_unreferenced_are_not_what_another_process_has_just_reserved(world, ports):
    """H10."""
    data = b"just captured"
    digest = hashlib.sha256(data).hexdigest()
    pending = operation(world)
    ports.catalog.reserve(pending, (), {digest: data})
    assert "contents_unreferenced" not in codes(world)
    ports.catalog.drop_unreferenced([digest])
    assert ports.catalog.content(digest) == data
    ports.catalog.discard(pending.id)
    assert counting(world) == []


def digests(world):
    """Every content that a group names."""
    for group in world.ports.catalog.groups():
        yield group.definition_digest
        yield from (backup.digest for backup in group.resource.backups)
