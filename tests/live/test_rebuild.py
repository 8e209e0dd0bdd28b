"""The database of a real host is removed, and its groups come back from beside the images."""

from collections.abc import Callable
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.machine import Machine
from livebed.reading import content, write

pytestmark = pytest.mark.live


def contents(machine: Machine) -> dict[str, str]:
    """Hash what the disks read as now."""
    return {target: content(path) for target, path in machine.disks.items()}


def groups(vmsnap: Vmsnap, machine: Machine) -> dict[str, dict[str, object]]:
    """Return the listed groups by name, without what only a database can hold."""
    found = vmsnap("group", "list", machine.name).data["groups"]
    return {group["name"]: {**group, "backup": None, "size_bytes": None} for group in found}


def test_a_lost_database_is_rebuilt_and_the_machine_goes_back(
    machine: Callable[..., Machine], vmsnap: Vmsnap, tmp_path: Path
) -> None:
    """H15, H59: with branches; after all groups are deleted the machine is on its own files."""
    made = machine(disks=("qcow2", "raw"), disk_mib=4)
    made.make_host_files()
    seen = {}
    for value, name in enumerate(("monday", "tuesday"), start=1):
        write(made, value)
        seen[name] = contents(made)
        vmsnap("snapshot", "create", made.name, "--name", name)
    write(made, 3)
    vmsnap("group", "revert", made.name, "monday")
    write(made, 4)
    now, host_files, before = contents(made), made.host_files(), groups(vmsnap, made)
    definition = made.definition()
    copy = tmp_path / "copy.db"
    vmsnap("db", "backup", str(copy))

    for path in tmp_path.glob("vmsnap.db*"):
        path.unlink()
    assert vmsnap("group", "list", made.name).data["groups"] == []
    rebuilt = vmsnap("db", "rebuild").data["domains"]
    (found,) = [item for item in rebuilt if item["domain"] == made.name]
    assert set(found["groups"]) == set(before)
    assert groups(vmsnap, made) == before
    assert (contents(made), made.host_files(), made.definition()) == (now, host_files, definition)
    (again,) = vmsnap("db", "rebuild", made.name).data["domains"]
    assert (again["groups"], again["layers"], again["is_done"]) == ([], 0, False)

    assert vmsnap("group", "revert", made.name, "tuesday", status=15).code == "not_available"
    leave = ("--leave", "nvram", "--leave", "tpm")
    vmsnap("group", "revert", made.name, "tuesday", *leave)
    assert contents(made) == seen["tuesday"]
    assert made.host_files() == host_files
    made.start()
    made.destroy()

    last = contents(made)
    vmsnap("group", "delete", made.name, *groups(vmsnap, made), "--yes")
    assert made.disks == made.originals
    assert contents(made) == last
    names = {path.name for path in made.folder.rglob("*") if path.is_file()}
    assert not [name for name in names if "vmsnap-" in name and name.endswith(".qcow2")]
    assert not [name for name in names if name.startswith(".") and name.endswith(".vmsnap.json")]
    # The copy still has the host files that the lost database had.
    assert copy.stat().st_mode & 0o777 == 0o600
