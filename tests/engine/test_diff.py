"""What a revert would change, told beforehand."""

import pytest
from fakes.failing import Failing, raising

from vmsnap.engine.diff import HIDDEN_ONLY, diff_group
from vmsnap.errors import GroupNotFoundError, HostFileError
from vmsnap.model import DomainState, HostFileType

KIB = 1024
NVRAM, TPM = HostFileType


def difference(world, group="monday"):
    return diff_group(world.ports, world.name, group)


def disks(world, group="monday"):
    return {disk.target: (disk.state, disk.lost_bytes) for disk in difference(world, group).disks}


def host_files(world):
    return {file.type: file.state for file in difference(world).host_files}


def test_right_after_the_create_only_empty_overlays_differ(world):
    world.create("monday")
    found = difference(world)
    assert found.definition == ()
    assert host_files(world) == {NVRAM: "same", TPM: "same"}
    assert {disk.state for disk in found.disks} == {"written"}
    assert all(disk.lost_bytes < 512 * KIB for disk in found.disks)
    assert found.reasons == ()
    assert found.age_seconds > 0


def test_what_was_written_since_is_what_the_layers_above_take(world):
    world.create("monday")
    for sector in range(8):
        world.write("vda", 7, sector)
    layer = world.active("vda")
    world.create("tuesday")
    above = sum(world.ports.images.allocated_bytes(path) for path in (layer, world.active("vda")))
    assert disks(world)["vda"] == ("written", above)
    assert above > 512 * KIB
    assert disks(world, "tuesday")["vda"][1] < disks(world)["vda"][1]


def test_on_another_branch_what_both_have_in_common_is_not_lost(world):
    world.create("monday")
    world.write("vda", 2)
    world.create("tuesday")
    world.revert("monday")
    active = world.ports.images.allocated_bytes(world.active("vda"))
    assert disks(world, "tuesday")["vda"] == ("on_branch", active)
    assert disks(world)["vda"] == ("written", active)


def test_disks_that_came_went_or_were_replaced_say_so(world):
    world.create("monday")
    other = world.disks["vda"].with_name("other.qcow2")
    world.ports.images.create_overlay(other, world.disks["vdb"], "raw")
    world.edit(f"file='{world.active('vda')}'", f"file='{other}'")
    world.edit("dev='vdb'", "dev='vdc'")
    assert disks(world) == {
        "vda": ("replaced", None),
        "vdb": ("detached", None),
        "vdc": ("added", None),
    }


def test_host_files_that_differ_or_are_gone_say_so(world):
    world.create("monday")
    world.nvram.write_bytes(b"\x07" * 4096)
    (world.tpm / "tpm2-00.permall").unlink()
    world.tpm.rmdir()
    assert host_files(world) == {NVRAM: "differs", TPM: "gone"}


def test_a_host_file_with_another_mode_differs_in_that_alone(world):
    world.create("monday")
    world.nvram.chmod(0o640)
    nvram = difference(world).host_files[0]
    assert (nvram.state, nvram.remark) == ("differs", "only its owner, mode or attributes")


def test_a_host_file_that_the_group_has_not_is_added_or_not_kept(world):
    world.nvram.unlink()
    world.create("monday", without=frozenset({TPM}))
    world.nvram.write_bytes(b"new")
    assert host_files(world) == {NVRAM: "added", TPM: "not_kept"}


def test_a_host_file_that_cannot_be_read_is_unknown_and_the_rest_is_told(world):
    world.create("monday")
    files = Failing(world.ports.host_files, "read", raising(HostFileError("no")))
    found = difference(world.with_ports(host_files=files))
    assert [(file.state, file.remark) for file in found.host_files] == [
        ("unknown", "no"),
        ("same", None),
    ]


def test_the_definition_is_compared_line_by_line_from_now_to_the_group(world):
    world.create("monday")
    world.edit(">262144<", ">524288<")
    lines = difference(world).definition
    assert lines[:2] == ("--- now", "+++ group 'monday'")
    changed = [line for line in lines[2:] if line[0] in "+-"]
    assert changed == [
        '-  <memory unit="KiB">524288</memory>',
        '+  <memory unit="KiB">262144</memory>',
    ]


def test_a_password_is_never_told_though_it_was_changed(world):
    """Design rule 12: a definition is shown without its secrets only."""
    world.create("monday")
    world.edit("passwd='hush'", "passwd='other'")
    assert difference(world).definition == (HIDDEN_ONLY,)
    world.edit(" passwd='other'", " port='5901' passwd='other'")
    text = "\n".join(difference(world).definition)
    assert "5901" in text
    assert "hush" not in text
    assert "other" not in text


def test_a_renamed_domain_is_no_difference(world):
    world.create("monday")
    world.edit(f"<name>{world.name}</name>", "<name>vmsnap-test-other</name>")
    world.name = "vmsnap-test-other"
    assert difference(world).definition == ()


def test_a_damaged_definition_is_said_and_the_rest_is_told(world, monkeypatch):
    group = world.create("monday").group.group
    real = world.ports.catalog.content

    def content(digest):
        if digest == group.definition_digest:
            digest = "0" * 64
        return real(digest)

    monkeypatch.setattr(world.ports.catalog, "content", content)
    found = difference(world)
    assert found.definition is None
    assert len(found.reasons) == 1
    assert len(found.disks) == 2


def test_a_running_domain_is_told_too_with_what_stands_against_a_revert(world):
    world.create("monday")
    world.hypervisor.machines[world.uuid].state = DomainState.RUNNING
    found = difference(world)
    assert found.reasons == ("the domain is running",)
    assert {disk.state for disk in found.disks} == {"written"}


def test_a_group_that_is_not_there_is_refused(world):
    with pytest.raises(GroupNotFoundError):
        difference(world)


def test_nothing_is_changed_by_telling(world):
    world.create("monday")
    world.fill(2)
    before = world.everything()
    difference(world)
    assert world.everything() == before


def test_a_dry_run_of_a_revert_tells_the_same(world):
    world.create("monday")
    world.fill(2)
    world.edit(">262144<", ">524288<")
    changes = world.revert("monday", dry_run=True).changes
    assert any(line.startswith("the group is of 2026-11-22 12:00:") for line in changes)
    assert any(line.startswith("disk vda: ") and "left behind" in line for line in changes)
    assert {"nvram: differs", "tpm: differs"} <= set(changes)
    assert '  +  <memory unit="KiB">262144</memory>' in changes
    kept = world.revert("monday", dry_run=True, keep_definition=True, leave=frozenset({TPM}))
    assert not any("memory" in line or line.startswith("tpm") for line in kept.changes)
