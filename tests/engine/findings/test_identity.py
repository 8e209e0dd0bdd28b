"""Identity records beside the images that are not what they should be."""

import json

import pytest
from engine.patient import codes, mended, only


def records(world):
    """The copies of the machine's record: one in each folder with layers."""
    return sorted(world.folder.rglob(".*.vmsnap.json"))


def names(path):
    return [group["resource"]["name"] for group in json.loads(path.read_text())["groups"]]


@pytest.mark.parametrize("text", [None, "[]", "no JSON"])
def test_identity_stale_is_written_anew(world, text):
    world.create("monday")
    copy = records(world)[0]
    if text is None:
        copy.unlink()
    else:
        copy.write_text(text)
    assert codes(world) == ["identity_stale"]
    mended(world, only(world, "identity_stale"))
    assert codes(world) == []
    assert names(copy) == ["monday"]


def test_identity_stale_sees_a_record_of_an_earlier_day(world):
    world.create("monday")
    monday = {path: path.read_bytes() for path in records(world)}
    world.create("tuesday")
    for path, data in monday.items():
        path.write_bytes(data)
    mended(world, only(world, "identity_stale"))
    assert all(names(path) == ["monday", "tuesday"] for path in monday)


def test_identity_stale_is_what_groups_are_that_an_older_vmsnap_made(world):
    world.create("monday")
    for path in records(world):
        path.unlink()
    mended(world, only(world, "identity_stale"))
    assert [names(path) for path in records(world)] == [["monday"]] * len(records(world))
    assert records(world)
