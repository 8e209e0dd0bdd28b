"""The test bed itself: the guest keeps what it is told, and virsh's snapshots lose half of it.

If virsh alone brought everything back, the tests of vmsnap with this guest would prove nothing.
"""

import pytest
from livebed.machine import virsh

pytestmark = pytest.mark.live

MONDAY = {"secret": "monday", "variable": "monday", "vda": "monday", "vdb": "monday"}


def test_the_guest_finds_what_it_wrote_when_it_boots_again(written_machine):
    assert written_machine.boot("read") == MONDAY


def test_virsh_brings_the_disks_back_but_loses_the_nvram_and_the_tpm(written_machine):
    web = written_machine
    virsh("snapshot-create-as", web.id, "monday", "--disk-only", "--atomic", "--no-metadata")
    assert web.disks != web.originals

    friday = web.boot("destroy", "read")
    assert friday == {"secret": "-", **dict.fromkeys(("variable", "vda", "vdb"), "destroyed")}

    # libvirt 9 cannot revert to an external snapshot: back to the frozen layers by hand.
    definition = web.definition()
    for target, path in web.disks.items():
        definition = definition.replace(str(path), str(web.originals[target]))
    web.define(definition)
    assert web.disks == web.originals
    assert web.boot("read") == {
        "secret": "-",
        "variable": "destroyed",
        "vda": "monday",
        "vdb": "monday",
    }


@pytest.mark.parametrize(
    "hardware",
    [
        {"firmware": "uefi"},
        {"firmware": "secure"},
        {"firmware": "auto"},
        {"firmware": "uefi", "tpm": "1.2"},
    ],
    ids=lambda hardware: "-".join(hardware.values()),
)
def test_a_paused_start_makes_the_host_files_without_a_boot(machine, hardware):
    web = machine(**hardware)
    assert not web.host_files()
    web.make_host_files()
    assert {path.rsplit("/", 1)[0] for path in web.host_files()} == {
        str(web.nvram.parent),
        str(web.tpm),
    }


def test_a_removed_machine_leaves_nothing(machine):
    web = machine()
    web.make_host_files()
    web.start("--paused")
    web.remove()
    assert web.id not in virsh("list", "--all", "--uuid")
    assert not web.folder.exists()
    assert not web.nvram.exists()
    assert not web.tpm.parent.exists()
