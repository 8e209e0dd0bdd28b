"""Where the database has lost what vmsnap made, lists and creates say so."""

import pytest
from engine.test_rebuild import lose_database, run

from vmsnap.engine.backup import create_backup
from vmsnap.engine.lost_overlays import lost_overlays
from vmsnap.engine.requests import CreateRequest


@pytest.fixture
def lost(world):
    """A machine with two groups whose database is new and empty."""
    world.create("one")
    world.create("two")
    return lose_database(world)


def said(world):
    """Return the warnings that name the cure."""
    command = f"'vmsnap db rebuild {world.name}'"
    return [text for text in world.ports.reporter.warnings if command in text]


def test_a_domain_on_overlays_that_no_layer_is_recorded_for_is_named(lost):
    assert lost_overlays(lost.ports) == (lost.name,)
    assert lost_overlays(lost.ports, lost.name) == (lost.name,)


def test_a_domain_whose_layers_are_recorded_is_not_named(world):
    assert lost_overlays(world.ports) == ()
    world.create("one")
    assert lost_overlays(world.ports) == ()


def test_what_cannot_be_read_counts_as_nothing_lost(lost):
    assert lost_overlays(lost.ports, "nobody") == ()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_create_warns_once_and_goes_on(lost, dry_run):
    result = lost.create("three", dry_run=dry_run)
    assert len(said(lost)) == 1
    assert (result.group is None) == dry_run
    if not dry_run:
        run(lost)
        assert {group.name for group in lost.rows()[0]} == {"one", "two", "three"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backup_warns_as_well(lost, dry_run):
    create_backup(lost.ports, lost.name, CreateRequest(name="files", dry_run=dry_run))
    assert len(said(lost)) == 1


def test_nothing_is_said_of_a_machine_that_the_database_knows(world):
    world.create("one")
    world.create("two")
    create_backup(world.ports, world.name, CreateRequest(name="files"))
    world.delete("one")
    world.delete("two")
    world.create("three")
    assert said(world) == []
