"""The end of a group: ungrouped, deleted disk by disk, purged when its machine is gone."""

from collections.abc import Callable

import pytest
from livebed.command import Vmsnap
from livebed.machine import Machine, virsh
from livebed.reading import content, write

pytestmark = pytest.mark.live


def names(vmsnap: Vmsnap, machine: Machine) -> list[str]:
    """Name all snapshots that are listed."""
    rows = vmsnap("snapshot", "list", machine.name).data["snapshots"]
    return [row["name"] for row in rows]


@pytest.fixture
def old_machine(machine: Callable[..., Machine], vmsnap: Vmsnap) -> Machine:
    """Return a machine, off, with two groups and changes after each."""
    made = machine(disks=("qcow2", "raw"), disk_mib=4)
    made.make_host_files()
    for value, name in enumerate(("monday", "tuesday"), start=1):
        write(made, value)
        vmsnap("snapshot", "create", made.name, "--name", name)
    write(made, 9)
    return made


def test_a_group_is_ungrouped_and_deleted_disk_by_disk(
    old_machine: Machine, vmsnap: Vmsnap
) -> None:
    """H6, H59: the machine, which runs at the ungroup, ends on its original files."""
    read = {target: content(path) for target, path in old_machine.disks.items()}
    old_machine.start("--paused")
    definition = old_machine.definition()
    vmsnap("group", "ungroup", old_machine.name, "monday")
    vmsnap("group", "ungroup", old_machine.name, "tuesday", "--drop-backup")
    assert old_machine.definition() == definition
    old_machine.destroy()
    assert names(vmsnap, old_machine) == [
        *("monday/vda", "monday/vdb", "tuesday/vda", "tuesday/vdb")
    ]
    backups = vmsnap("backup", "list", old_machine.name).data["backups"]
    assert {row["name"] for row in backups} == {"monday"}
    vmsnap("snapshot", "delete", old_machine.name, "monday/vda", "tuesday/vda", "--yes")
    assert old_machine.disks["vda"] == old_machine.original("vda")
    assert names(vmsnap, old_machine) == ["monday/vdb", "tuesday/vdb"]
    vmsnap("snapshot", "delete", old_machine.name, "tuesday/vdb", "monday/vdb", "--yes")
    assert old_machine.disks == old_machine.originals
    assert {target: content(path) for target, path in old_machine.disks.items()} == read
    vmsnap("backup", "restore", old_machine.name, "monday")
    old_machine.start()
    old_machine.destroy()


def test_a_machine_that_was_undefined_is_shown_as_gone_and_purged(
    old_machine: Machine, vmsnap: Vmsnap
) -> None:
    """H41, H59."""
    definition = old_machine.definition()
    vmsnap("group", "ungroup", old_machine.name, "tuesday")
    assert vmsnap("purge", old_machine.name, "--yes", status=14).code == "wrong_state"
    virsh("undefine", old_machine.id, "--keep-nvram", "--keep-tpm")
    (group,) = vmsnap("group", "list", old_machine.name).data["groups"]
    assert (group["name"], group["domain_state"]) == ("monday", "gone")

    # Under another UUID, on the disks that are there.
    other = definition.replace(old_machine.id, old_machine.id[:-4] + "0000")
    old_machine.define(other)
    refused = vmsnap("purge", old_machine.id, "--yes", status=14)
    assert refused.code == "in_use"
    virsh("undefine", old_machine.name, "--keep-nvram", "--keep-tpm")

    host_files = old_machine.host_files()
    purged = vmsnap("purge", old_machine.name, "--yes").data
    assert purged["is_complete"]
    assert {item["path"] for item in purged["kept"]} == set(
        map(str, old_machine.originals.values())
    )
    assert list(old_machine.folder.glob("*.vmsnap-*")) == []
    assert old_machine.host_files() == host_files
    assert vmsnap("group", "list").data == {"groups": []}
    assert vmsnap("backup", "list").data == {"backups": []}
    # Nothing of it is in the way of a new machine of the same UUID.
    old_machine.define(old_machine.xml())
    vmsnap("snapshot", "create", old_machine.name, "--name", "monday")
