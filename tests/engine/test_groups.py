"""Drafting groups and backups of a machine as it is now."""

import hashlib

from vmsnap.engine.backup import create_backup
from vmsnap.engine.capture import capture
from vmsnap.engine.groups import BackupPlan, GroupPlan, draft_backup, draft_group, taken_names
from vmsnap.engine.requests import CreateRequest
from vmsnap.model import GroupKind, GroupState, LeftOutDisk, ResourceKind


def captured(world):
    return capture(world.ports, world.hypervisor.domain(world.uuid).definition)


def draft(world):
    plan = GroupPlan(
        name="monday",
        description="why",
        kind=GroupKind.SAFETY,
        parent_id="p",
        frozen=(),
        active=(),
        captured=captured(world),
        left_out=(LeftOutDisk("vdb", "excluded by name"),),
    )
    domain = world.hypervisor.domain(world.uuid)
    return draft_group(world.ports, world.hypervisor.host, domain, plan)


def test_a_draft_is_not_ready_and_owns_its_backups(world):
    """H9: rows are parked under an id of their own, never under the machine's."""
    made, contents = draft(world)
    assert made.group.state is GroupState.CREATING
    assert made.group.resource == made.resource
    assert {backup.resource_id for backup in made.resource.backups} == {made.resource.id}
    assert made.resource.id != world.uuid
    assert {backup.digest for backup in made.resource.backups} <= set(contents)


def test_the_definition_is_one_of_the_contents(world):
    made, contents = draft(world)
    definition = contents[made.group.definition_digest]
    assert hashlib.sha256(definition).hexdigest() == made.group.definition_digest
    assert b"hush" in definition


def test_a_backup_without_a_group_says_what_it_replaces(world):
    plan = BackupPlan("kept", ResourceKind.STANDALONE, captured(world), replaces="old")
    domain = world.hypervisor.domain(world.uuid)
    made, contents = draft_backup(world.ports, world.hypervisor.host, domain, plan)
    assert (made.group, made.replaces, made.resource.kind) == (None, "old", plan.kind)
    assert len(contents) == 2


def test_groups_and_backups_share_their_names(world):
    world.create("monday")
    create_backup(world.ports, world.name, CreateRequest(name="kept"))
    assert taken_names(world.ports, world.hypervisor.host, world.uuid) == {"monday", "kept"}
