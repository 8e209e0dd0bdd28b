"""A journal that a disk has ruined: an error of ours or the operation as it was, nothing else."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vmsnap.engine.codec import from_json, to_json
from vmsnap.engine.journal import load
from vmsnap.engine.steps.all import STEPS
from vmsnap.errors import HostFileError, VmsnapError
from vmsnap.model import Operation

JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=8)
    | some.sampled_from([10**400, "2026-11-22T18:00:00", "9999-12-31T23:59:59-23:59", "\0", ""]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)
OPERATION = {
    "id": "o",
    "verb": "group revert",
    "host_id": "h",
    "domain_id": "d",
    "domain_name": "web",
    "started_at": "2026-11-22T18:00:00+00:00",
}
COMMIT = {"kind": "commit", "fields": {"change": {}}}
HEADER = {
    "format": 1,
    "operation": OPERATION,
    "database": "sqlite:////x.db",
    "database_identity": "1 2",
    "steps": [
        {"kind": "fence", "fields": {}},
        {
            "kind": "define",
            "fields": {"new": "<a/>", "old": "<b/>", "sources": {"vda": ["/x", "qcow2"]}},
        },
        COMMIT,
        {"kind": "lift_fence", "fields": {}},
    ],
}
ENTRIES = (HEADER, {"done": 0, "facts": {"defined": "<a/>"}}, {"done": 1, "facts": {}})


class ReadJournals:
    """Journals that give back what a file held."""

    def __init__(self, entries):
        self.entries = entries

    def load(self, _domain_id):
        return self.entries


class OnlyJournals:
    """Ports of which nothing else is touched."""

    def __init__(self, entries):
        self.journals = ReadJournals(entries)


def places(value, here=()):
    """Return every place in a JSON value, by the keys that lead to it."""
    yield here
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*here, key))


PLACES = [place for place in places(list(ENTRIES)) if place]


def changed(place, value):
    entries = copy.deepcopy(list(ENTRIES))
    inner = entries
    for key in place[:-1]:
        inner = inner[key]
    if value is DELETED:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return tuple(entries)


DELETED = object()


def look(entries):
    if not all(isinstance(entry, dict) for entry in entries):
        return
    try:
        interrupted = load(OnlyJournals(entries), "d", STEPS)
    except VmsnapError:
        return
    if interrupted is None:
        return
    # What was believed has the form of what was written, and can be written again.
    assert isinstance(interrupted.operation, Operation)
    for step in interrupted.steps:
        assert from_json(type(step), json.loads(json.dumps(to_json(step)))) == step


def test_the_journal_that_is_changed_below_is_a_good_one():
    interrupted = load(OnlyJournals(ENTRIES), "d", STEPS)
    assert interrupted is not None
    assert interrupted.done == 2
    assert [step.kind for step in interrupted.steps] == ["fence", "define", "commit", "lift_fence"]


@given(some.sampled_from(PLACES), JSON)
def test_a_journal_with_another_value_somewhere_is_read_or_damaged(place, value):
    look(changed(place, value))


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("value", [DELETED, None, 0, True, "x", [], {}, [[]], 1e999])
def test_a_journal_in_which_any_one_place_is_wrong_is_read_or_damaged(place, value):
    look(changed(place, value))


@given(some.lists(some.dictionaries(some.text(), JSON, max_size=4), max_size=3).map(tuple))
def test_any_entries_are_read_or_damaged(entries):
    look(entries)


@given(some.sampled_from(sorted(STEPS)), some.dictionaries(some.text(), JSON) | JSON)
def test_any_fields_of_any_step_are_read_or_damaged(kind, data):
    try:
        from_json(STEPS[kind], data)
    except HostFileError:
        return


@pytest.mark.parametrize(
    "entries",
    [
        changed((0, "steps"), []),
        changed((0, "steps", 2, "kind"), "fence"),
        changed((0, "steps"), [COMMIT, COMMIT]),
        changed((0, "steps"), [COMMIT]),
        changed((0, "operation", "domain_id"), "another"),
        changed((0, "operation", "started_at"), "2026-11-22T18:00:00"),
        changed((0, "steps", 1, "fields", "sources"), {"vda": ["/x"]}),
        changed((0, "steps", 1, "fields", "new"), 7),
        changed((1, "facts"), None),
    ],
    ids=str.split(
        "no-steps no-commit two-commits more-done-than-steps another-domain no-zone half-a-pair "
        "number facts"
    ),
)
def test_a_journal_that_cannot_be_is_never_settled(entries):
    with pytest.raises(HostFileError, match=r"damaged|another version"):
        load(OnlyJournals(entries), "d", STEPS)
