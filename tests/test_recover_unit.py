"""The unit that recovers at boot: what it waits for, and when it does nothing."""

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from vmsnap.config import SYSTEM_STATE_FOLDER
from vmsnap.host.journal_files import FolderJournals

UNIT = Path(str(resources.files("vmsnap") / "data" / "vmsnap-recover.service"))


def settings():
    lines = UNIT.read_text().replace("\\\n", " ").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


def test_it_runs_after_libvirt_and_before_guests_are_resumed():
    found = settings()
    assert {"libvirtd.service", "virtqemud.service"} <= set(found["After"].split())
    assert found["Before"] == "libvirt-guests.service"
    assert found["Type"] == "oneshot"


def test_it_does_nothing_without_an_interrupted_operation(tmp_path):
    FolderJournals(tmp_path).start("uuid", {})
    (folder,) = [path for path in tmp_path.iterdir() if any(path.iterdir())]
    expected = SYSTEM_STATE_FOLDER / folder.name
    assert settings()["ConditionDirectoryNotEmpty"] == str(expected)


def run_script(tmp_path, recover_status):
    """Run the unit's command with a vmsnap and a virsh that only say that they were called."""
    script = settings()["ExecStart"].removeprefix("/bin/sh -c '").removesuffix("'")
    script = script.replace("/usr/bin/vmsnap", str(tmp_path / "vmsnap"))
    (tmp_path / "vmsnap").write_text(f"#!/bin/sh\necho vmsnap $*\nexit {recover_status}\n")
    (tmp_path / "virsh").write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '*list*) printf "fenced\\nswitched-off\\n\\n" ;;\n'
        "*dumpxml*fenced) echo /var/lib/vmsnap/interrupted-run-vmsnap-recover ;;\n"
        "*dumpxml*) echo nothing ;;\n"
        "*) echo virsh $* ;; esac\n"
    )
    for name in ("vmsnap", "virsh"):
        (tmp_path / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "-c", script.replace("$$", "$")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("status", [0, 3, 14])
def test_it_starts_what_the_fence_kept_off_and_nothing_else_and_fails_as_recover_did(
    status, tmp_path
):
    done = run_script(tmp_path, status)
    assert done.returncode == status
    assert done.stdout.splitlines() == [
        "vmsnap recover",
        "virsh -q --connect qemu:///system start fenced",
    ]
