"""Rows that tell of damage, or of something that waits."""

import pytest
from engine.patient import codes, counting, only, sql

from vmsnap.engine.backup import create_backup
from vmsnap.engine.identity.publishing import refresh
from vmsnap.engine.requests import CreateRequest
from vmsnap.model import HostFileType


def digest(world, type_):
    return world.ports.catalog.groups()[0].resource.backup(type_).digest


@pytest.mark.parametrize(
    "damage",
    ["UPDATE content_chunk SET data = X'00'", "DELETE FROM content_chunk"],
)
def test_content_damaged_names_whose_it_is(world, damage):
    world.create("monday")
    nvram = digest(world, HostFileType.NVRAM)
    sql(world, f"{damage} WHERE sha256 = '{nvram}'")
    found = only(world, "content_damaged")
    assert codes(world) == ["content_damaged"]
    assert nvram in found.message
    assert found.message.endswith("(monday: nvram)")


def test_content_damaged_sees_a_definition_and_what_is_missing(world):
    world.create("monday")
    wanted = world.ports.catalog.groups()[0].definition_digest
    for table in ("content_chunk", "content"):
        sql(world, f"DELETE FROM {table} WHERE sha256 = '{wanted}'")  # noqa: S608 - our own names
    assert only(world, "content_damaged").message.endswith(
        "is missing from the database (monday: definition)"
    )


def test_content_damaged_of_a_standalone_backup(world):
    create_backup(world.ports, world.name, CreateRequest(name="weekly"))
    sql(world, "UPDATE content_chunk SET data = X'00'")
    assert codes(world) == ["content_damaged", "content_damaged"]


def test_delete_waits_is_a_note_with_its_reason(world):
    world.create("monday")
    world.hypervisor.start(world.uuid)
    sql(world, "UPDATE snapshot_group SET state = 'deleting'")
    refresh(world.ports, world.uuid)
    running = only(world, "delete_waits")
    assert running.message.endswith("it goes on when the domain is off")
    assert running.command == f"virsh shutdown {world.name}"
    world.hypervisor.stop(world.uuid)
    off = only(world, "delete_waits")
    assert off.command == "vmsnap recover"
    assert counting(world) == []


def test_domain_gone_is_a_note(world):
    world.create("monday")
    world.hypervisor.undefine(world.uuid)
    found = only(world, "domain_gone")
    assert codes(world) == ["domain_gone"]
    assert codes(world, world.name) == ["domain_gone"]
    assert found.command == f"vmsnap purge {world.uuid}"
