"""The verbs of domains."""

from vmsnap.model import DomainState

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
    next(iter(host.machines.values())).state = DomainState.RUNNING
    out = vmsnap("vm", "show", NAME).out
    assert out.index("note: running: no snapshot") < out.index("would be taken")
    assert "running: no snapshot" in vmsnap("vm", "show", NAME, "--json").data["domain"]["notes"][0]
