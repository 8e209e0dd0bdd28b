"""The verbs of domains."""

import os
from datetime import UTC, datetime
from pathlib import Path

from vmsnap.cli.terminal.text import local_time
from vmsnap.host.locks import FileLocks
from vmsnap.model import DomainState, ForeignSnapshot, Job

NAME = "vmsnap-test-web"


def test_the_list_says_what_a_snapshot_would_take(vmsnap, host):
    title, row = vmsnap("vm", "list").out.splitlines()
    assert title.split() == ["DOMAIN", "STATE", "FIRMWARE", "NVRAM", "TPM", "DISKS", "SNAPSHOT"]
    assert row.split() == [
        NAME, "shut", "off", "UEFI", "yes", "2.0", "vda,", "vdb,", "sda", "whole",
    ]  # fmt: skip


def test_a_disk_that_cannot_be_taken_is_named(vmsnap, host):
    machine = next(iter(host.machines.values()))
    machine.xml = machine.xml.replace(
        '<target dev="vdb" bus="virtio"/>', '<target dev="vdb" bus="virtio"/><shareable/>'
    )
    assert "cannot be taken: " in vmsnap("vm", "show", NAME).out


def test_show_draws_every_part_with_its_verdict(vmsnap, host, nvram, tmp_path):
    out = vmsnap("vm", "show", NAME).out
    assert f"NVRAM:     {nvram}, raw, 1000 B\n`-- would be taken\n" in out
    assert "TPM:       2.0, " in out
    assert f"`-- {tmp_path}/host/vda.qcow2  qcow2, 1 MiB, " in out
    assert "disk sda:  cdrom" in out
    assert "left out: " in out


def test_without_domains_the_list_says_so(vmsnap, host):
    host.machines.clear()
    run = vmsnap("vm", "list")
    assert (run.out, run.err) == ("", "no domains yet\n")


def test_what_keeps_a_snapshot_from_being_taken_stands_above_the_parts(vmsnap, host):
    next(iter(host.machines.values())).state = DomainState.OTHER
    out = vmsnap("vm", "show", NAME).out
    assert out.index("note: being started, stopped") < out.index("would be taken")
    assert "no snapshot" in vmsnap("vm", "show", NAME, "--json").data["domain"]["notes"][0]


def test_show_lists_what_libvirt_keeps_itself(vmsnap, host):
    machine = next(iter(host.machines.values()))
    machine.foreign_snapshots = (
        ForeignSnapshot("e1", True, (Path("/base.qcow2"),), (Path("/base.e1"),)),
        ForeignSnapshot("i1", False, (Path("/base.e1"),)),
    )
    machine.checkpoints = ("c1",)
    machine.block_jobs = (Job("block copy", "vda"), Job("backup"))
    out = vmsnap("vm", "show", NAME).out
    assert "libvirt snapshot 'e1':  external\n|-- froze /base.qcow2\n`-- made /base.e1\n" in out
    assert "libvirt snapshot 'i1':  internal\n`-- in /base.e1\n" in out
    assert "libvirt checkpoint 'c1'\njob:       block copy on vda\njob:       backup\n" in out
    data = vmsnap("vm", "show", NAME, "--json").data["domain"]
    assert data["foreign_snapshots"][1] == {
        "name": "i1",
        "is_external": False,
        "kept_paths": ["/base.e1"],
        "made_paths": [],
    }
    assert data["checkpoints"] == ["c1"]
    assert data["jobs"] == [
        {"kind": "block copy", "target": "vda"},
        {"kind": "backup", "target": None},
    ]


def test_who_is_at_work_on_a_domain_is_shown(vmsnap, host, tmp_path):
    """H48: in the list, on the page and in JSON; the time as in the lists."""
    state = tmp_path / "home" / ".local" / "state" / "vmsnap"
    assert vmsnap("vm", "show", NAME, "--json").data["domain"]["busy"] is None
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with FileLocks(state, now=lambda: now).hold(next(iter(host.machines)), "group revert", 0):
        line = f"'group revert' (process {os.getpid()}) has been at work on it since"
        assert f"busy:      {line} {local_time(now)}\n" in vmsnap("vm", "show", NAME).out
        assert "shut off, busy" in vmsnap("vm", "list").out
        (listed,) = vmsnap("vm", "list", "--json").data["domains"]
        assert listed["busy"] == {
            "verb": "group revert",
            "pid": os.getpid(),
            "since": "2026-01-02T03:04:05Z",
            "has_ended": False,
        }
        run = vmsnap("snapshot", "create", NAME, "--json", status=75)
        assert (run.code, run.changed) == ("busy", False)
        assert f"domain '{NAME}' is busy: {line}" in run.document["errors"][0]["message"]
