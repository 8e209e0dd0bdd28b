"""The units of the package: what they run, what systemd says of them, and which were edited."""

import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from vmsnap.errors import ConfigError
from vmsnap.host.unit_files import UnitState, install, require_root_s_own, unit_files

PROGRAM = ("/opt/vm/bin/vmsnap",)
DATA = Path(str(resources.files("vmsnap") / "data"))
SERVICES = sorted(path.name for path in DATA.glob("*.service"))
TIMERS = sorted(path.name for path in DATA.glob("*.timer"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "system"
    made.mkdir()
    return made


def states(folder, program=PROGRAM):
    return {unit.path.name: unit.state for unit in unit_files(folder, program)}


def install_all(folder, program=PROGRAM):
    for unit in unit_files(folder, program):
        install(unit)


def settings(name):
    lines = (DATA / name).read_text().replace("\\\n", " ").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


def test_every_unit_of_the_package_is_new_in_an_empty_folder(folder):
    found = states(folder)
    assert sorted(found) == sorted([*SERVICES, *TIMERS])
    assert set(found.values()) == {UnitState.NEW}


def test_the_program_that_was_called_is_run(folder):
    install_all(folder)
    for path in folder.glob("*.service"):
        commands = [line for line in path.read_text().splitlines() if line[:1] != "#"]
        text = "\n".join(commands)
        assert "/opt/vm/bin/vmsnap" in text
        assert "/usr/bin/vmsnap" not in text
        assert path.stat().st_mode & 0o777 == 0o644


def test_what_was_installed_is_the_same_the_next_time(folder):
    install_all(folder)
    assert set(states(folder).values()) == {UnitState.SAME}


def test_what_was_installed_for_another_path_may_be_replaced(folder):
    install_all(folder, ("/usr/local/bin/vmsnap",))
    found = states(folder)
    assert {found[name] for name in SERVICES} == {UnitState.OLDER}
    assert {found[name] for name in TIMERS} == {UnitState.SAME}


@pytest.mark.parametrize("edit", ["line", "header", "other", "empty", "bytes"])
def test_what_was_edited_is_known(folder, edit):
    install_all(folder)
    path = folder / "vmsnap-snapshot.timer"
    text = path.read_text()
    path.write_bytes(
        {
            "line": text.replace("02:00", "03:00").encode(),
            "header": text.partition("\n")[2].encode(),
            "other": b"[Timer]\nOnCalendar=weekly\n",
            "empty": b"",
            "bytes": b"\xff\xfe",
        }[edit]
    )
    assert states(folder)[path.name] is UnitState.EDITED
    assert states(folder)["vmsnap-prune.timer"] is UnitState.SAME


def test_a_masked_unit_counts_as_edited_and_is_not_followed(folder):
    (folder / "vmsnap-prune.timer").symlink_to("/dev/null")
    assert states(folder)["vmsnap-prune.timer"] is UnitState.EDITED
    install_all(folder)
    assert not (folder / "vmsnap-prune.timer").is_symlink()


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ConfigError):
        unit_files(tmp_path / "nowhere", PROGRAM)


@pytest.mark.parametrize("path", ["/opt/my tools/vmsnap", "/opt/100%/vmsnap", "/opt/$x", "vmsnap"])
def test_a_path_that_a_unit_cannot_hold_is_refused(folder, path):
    with pytest.raises(ConfigError):
        unit_files(folder, (path,))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whose", ["file", "folder", "open", "target"])
def test_a_program_that_another_user_could_change_is_not_run_by_root(tmp_path, whose):
    tmp_path.chmod(0o755)
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "vmsnap"
    program.touch(0o755)
    require_root_s_own(program)
    if whose == "file":
        os.chown(program, 1000, 1000)
    elif whose == "folder":
        os.chown(place, 1000, 1000)
    elif whose == "open":
        place.chmod(0o777)
    else:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.touch()
        os.chown(elsewhere, 1000, 1000)
        program.unlink()
        program.symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="not root's alone"):
        require_root_s_own(program)


@pytest.mark.parametrize("name", [name for name in SERVICES if "recover" not in name])
def test_a_service_is_quiet_and_leaves_alone_what_outlives_vmsnap_on_purpose(name):
    found = settings(name)
    assert found["Type"] == "oneshot"
    assert found["ExecStart"].startswith("/usr/bin/vmsnap -q ")
    if "status" not in name:
        assert " --wait 600 " in found["ExecStart"]
        assert found["SuccessExitStatus"] == "75"
        assert found["KillMode"] == "process"
    # These would close the devices that disks lie on.
    assert not {"ProtectClock", "PrivateDevices", "DeviceAllow", "ProtectHome"} & found.keys()


@pytest.mark.parametrize("name", TIMERS)
def test_a_timer_starts_its_service_not_all_hosts_at_once(name):
    assert name.replace(".timer", ".service") in SERVICES
    found = settings(name)
    assert found["RandomizedDelaySec"]
    assert found["WantedBy"] == "timers.target"
    assert ("Persistent" in found) is ("status" not in name)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_runs_is_a_command_line_of_vmsnap(name, folder):
    """A verb that is not there, or another option, would be found at night."""
    command = settings(name)["ExecStart"]
    words = command.replace("%I", "web1").partition("/usr/bin/vmsnap")[2].partition(";")[0].split()
    verb = [word for word in words if word[0] != "-" and word not in ("600", "web1")]
    done = subprocess.run(
        [sys.executable, "-m", "vmsnap", *verb, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words if word == "--all")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_all_of_them(folder):
    install_all(folder, (sys.executable, "-m", "vmsnap"))
    units = sorted(map(str, folder.iterdir()))
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
