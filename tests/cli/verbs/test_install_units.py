"""The verb install-units."""

import os
import sys
from pathlib import Path

import pytest

from vmsnap.cli.verbs import install_units
from vmsnap.cli.verbs.install_units import running_program

TIMER = "vmsnap-snapshot.timer"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "system"
    made.mkdir()
    return made


def text_of(folder, name=TIMER):
    return (folder / name).read_text()


def test_units_are_put_there_and_it_is_said_what_comes_next(vmsnap, folder):
    run = vmsnap("install-units", "--dir", str(folder))
    lines = run.out.splitlines()
    assert lines[1].split() == [f"{folder}/vmsnap-prune.service", "installed"]
    assert "  systemctl daemon-reload" in lines
    assert any(line.startswith("  systemctl enable --now vmsnap-snapshot.timer ") for line in lines)
    assert max(len(line) for line in lines[-6:]) <= 80
    assert f"{sys.executable} -m vmsnap -q status" in text_of(folder, "vmsnap-status.service")


def test_json_says_what_runs_and_what_was_written(vmsnap, folder):
    run = vmsnap("--json", "install-units", "--dir", str(folder))
    assert run.changed is True
    assert run.data["program"] == [sys.executable, "-m", "vmsnap"]
    assert {unit["state"] for unit in run.data["units"]} == {"new"}
    assert all(unit["is_written"] for unit in run.data["units"])
    again = vmsnap("--json", "install-units", "--dir", str(folder))
    assert again.changed is False
    assert {unit["state"] for unit in again.data["units"]} == {"same"}


def test_an_edited_unit_is_left_alone_without_force(vmsnap, folder):
    vmsnap("install-units", "--dir", str(folder))
    edited = text_of(folder).replace("02:00", "03:00")
    (folder / TIMER).write_text(edited)
    run = vmsnap("install-units", "--dir", str(folder), status=3)
    assert f"error: unit '{folder}/{TIMER}' was edited, so it is left alone" in run.err
    assert text_of(folder) == edited
    vmsnap("install-units", "--dir", str(folder), "--force")
    assert "02:00" in text_of(folder)
    vmsnap("install-units", "--dir", str(folder))


def test_a_dry_run_writes_nothing(vmsnap, folder):
    run = vmsnap("install-units", "--dir", str(folder), "--dry-run")
    assert "would be installed" in run.out
    assert "\nonce they are installed, what is wanted of:\n" in run.out
    assert list(folder.iterdir()) == []


def test_quietly_it_says_nothing(vmsnap, folder):
    run = vmsnap("-q", "install-units", "--dir", str(folder))
    assert (run.out, run.err) == ("", "")


def test_a_folder_that_is_missing_is_refused(vmsnap, tmp_path):
    run = vmsnap("--json", "install-units", "--dir", str(tmp_path / "no"), status=10)
    assert run.code == "config"


def test_units_of_the_package_are_enough(vmsnap, folder, tmp_path, monkeypatch):
    unit = tmp_path / "vmsnap-recover.service"
    unit.touch()
    monkeypatch.setattr(install_units, "_PACKAGED_UNIT", unit)
    monkeypatch.setattr(install_units, "_PACKAGED_PROGRAM", running_program())
    vmsnap("install-units", "--dir", str(folder), status=14)
    assert list(folder.iterdir()) == []
    vmsnap("install-units", "--dir", str(folder), "--force")


def test_the_program_is_the_one_that_was_called(tmp_path, monkeypatch):
    program = tmp_path / "vmsnap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert running_program() == (str(program),)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "argv", ["vmsnap"])
    assert running_program() == (str(program),)
    monkeypatch.setattr(sys, "argv", [str(Path("vmsnap") / "__main__.py")])
    assert running_program() == (sys.executable, "-m", "vmsnap")
