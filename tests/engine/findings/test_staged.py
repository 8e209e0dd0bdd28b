"""NVRAM and TPM state that was left beside the live ones."""

from dataclasses import replace

import pytest
from engine.patient import codes, kill, mended, operation

from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.doctor import examine
from vmsnap.engine.findings.finding import Cure
from vmsnap.engine.findings.staged import _STAGED
from vmsnap.engine.placing import staged_path
from vmsnap.model import HostFileType, HostId


def killed(world):
    """A revert that was killed with everything staged."""
    world.create("monday")
    world.fill(2)
    kill(world, "host_files", "exchange", lambda seen: seen.revert("monday"), skip=1)


def test_what_a_journal_names_is_not_left(world):
    killed(world)
    assert codes(world) == ["fence_left", "journal_left"]


@pytest.mark.parametrize("type_", HostFileType)
def test_host_file_left_without_a_journal_goes_after_a_question(world, type_):
    killed(world)
    before = world.machine()
    world.ports.journals.remove(world.uuid)
    left = {item.subject: item for item in found(world)}
    definition = world.hypervisor.domain(world.uuid).definition
    spec = host_file_spec(definition, type_)
    (finding,) = (item for path, item in left.items() if path.endswith(f"-{type_.value}"))
    assert finding.kind.cure is Cure.ASKS
    assert (finding.domain_name is None) == (type_ is HostFileType.NVRAM)
    mended(world, finding)
    assert finding.subject not in {item.subject for item in found(world)}
    assert world.ports.host_files.identity(spec.path) is not None
    assert world.machine() == before


def test_nothing_is_told_while_a_journal_cannot_be_read(world):
    killed(world)
    path = world.folder / "state" / "journal" / f"{world.uuid}.jsonl"
    path.write_text(path.read_text().replace('"done":0', "?", 1))
    assert codes(world) == ["fence_left", "journal_unreadable"]


def test_what_another_host_stages_at_this_moment_is_not_left(world):
    """H61: where the folder of NVRAM files is shared, its journal is there."""
    spec = host_file_spec(world.hypervisor.domain(world.uuid).definition, HostFileType.NVRAM)
    pending = replace(operation(world), host_id=HostId("99999999-2222-4333-8444-555555555555"))
    staged_path(spec, pending.id).write_bytes(b"new")
    assert len(found(world)) == 1
    world.ports.catalog.reserve(pending, (), {})
    assert found(world) == []


def test_the_names_are_those_that_are_given(world):
    definition = world.hypervisor.domain(world.uuid).definition
    for type_ in HostFileType:
        spec = host_file_spec(definition, type_)
        assert _STAGED.fullmatch(staged_path(spec, world.ports.clock.new_id()).name)


def found(world):
    return [item for item in examine(world.ports) if item.kind.code == "host_file_left"]
