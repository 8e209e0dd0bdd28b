"""Identity records that are another's, or that others can read."""

import json

import pytest
from engine.patient import codes, mended, only

from vmsnap.engine.findings.finding import Cure, Severity

OTHER_HOST = "99999999-2222-4333-8444-555555555555"


@pytest.fixture
def record(world):
    """The copy of the machine's record beside its first disk."""
    world.create("monday")
    (path,) = world.disks["vda"].parent.glob(".*.vmsnap.json")
    return path


@pytest.mark.parametrize(
    ("changes", "whose"),
    [({"host_id": OTHER_HOST}, OTHER_HOST), ({"format": 3}, "another version")],
)
def test_identity_foreign_is_told_and_left(world, record, changes, whose):
    """H61: it is no failure of this machine, which is healthy."""
    text = record.read_text()
    if "host_id" in changes:
        text = text.replace(json.loads(text)["host_id"], OTHER_HOST)
    record.write_text(json.dumps({**json.loads(text), **changes}))
    kept = record.read_bytes()
    found = only(world, "identity_foreign")
    assert codes(world) == ["identity_foreign"]
    assert (found.kind.severity, found.kind.cure) == (Severity.WARNING, Cure.BY_HAND)
    assert whose in found.message
    assert found.command == f"mv -n {record} {record}.foreign"
    assert record.read_bytes() == kept
    record.rename(f"{record}.foreign")
    mended(world, only(world, "identity_stale"))
    assert codes(world) == []


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_record_readable_by_others_becomes_private(world, record, mode):
    record.chmod(mode)
    found = only(world, "record_readable")
    assert codes(world) == ["record_readable"]
    assert found.message == f"'{record}' has the mode {mode:04o}"
    assert found.command == f"chmod 0600 {record}"
    mended(world, found)
    assert codes(world) == []
    assert record.stat().st_mode & 0o777 == 0o600
