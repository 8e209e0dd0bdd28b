"""What the Catalog port promises of pinned groups, on SQLite and MariaDB alike."""

import dataclasses

from contracts.test_catalog_history import reserved

from vmsnap.model import CatalogChange, ResourceId


def pins(catalog):
    return {group.name: group.is_pinned for group in catalog.groups()}


def ready(catalog, samples, name, **changed):
    operation, group = reserved(catalog, samples, name, **changed)
    catalog.commit(operation.id, CatalogChange(ready=(group.id,)))
    return group


def test_a_group_is_pinned_and_unpinned_alone(catalog, samples):
    """H2: those beside it stay as they are."""
    one, two = (ready(catalog, samples, name) for name in ("one", "two"))
    assert pins(catalog) == {"one": False, "two": False}
    before = catalog.groups()[0]
    operation = samples.operation()
    catalog.reserve(operation, (), {})
    catalog.commit(operation.id, CatalogChange(pins={one.id: True}))
    assert catalog.groups()[0] == dataclasses.replace(before, is_pinned=True)
    assert pins(catalog) == {"one": True, "two": False}
    catalog.apply(CatalogChange(pins={one.id: False, two.id: True}))
    assert pins(catalog) == {"one": False, "two": True}


def test_a_change_that_does_not_speak_of_pins_keeps_them(catalog, samples):
    one = ready(catalog, samples, "one")
    catalog.apply(CatalogChange(pins={one.id: True}))
    catalog.apply(CatalogChange(deleting=(one.id,)))
    assert pins(catalog) == {"one": True}


def test_the_pin_of_a_group_that_is_gone_changes_nothing(catalog, samples):
    ready(catalog, samples, "one")
    catalog.apply(CatalogChange(pins={ResourceId(samples.id()): True}))
    assert pins(catalog) == {"one": False}


def test_a_draft_that_is_pinned_stays_so(catalog, samples):
    """As `db rebuild` brings it back."""
    ready(catalog, samples, "one", is_pinned=True)
    assert pins(catalog) == {"one": True}
