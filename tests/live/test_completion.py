"""TAB pressed in real shells: verbs and options without Python, names quickly and in silence."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.machine import Hardware, Machine
from livebed.shells import START_FILES, Shell

pytestmark = pytest.mark.live

PID_FILE = Path("/run/libvirtd.pid")
AT_ONCE_SECONDS = 10.0
"""Far more than the second after which names are given up, on a machine under load too."""
WITH_SPACE = "vmsnap-test-my web"
PLAIN = "vmsnap-test-grün"

VERBS = {
    "vmsnap sna": "vmsnap snapshot ",
    "vmsnap group rev": "vmsnap group revert ",
    "vmsnap -q --wait 5 group ung": "vmsnap -q --wait 5 group ungroup ",
    "vmsnap und": "vmsnap undo ",
    "vmsnap nonsense x": "vmsnap nonsense x",
}
OPTIONS = {
    "vmsnap --js": "vmsnap --json ",
    "vmsnap group delete x --js": "vmsnap group delete x --json ",
    "vmsnap group delete --child": "vmsnap group delete --children ",
    "vmsnap --json group delete --child": "vmsnap --json group delete --children ",
    "vmsnap group delete --children --child": "vmsnap group delete --children --child",
    "vmsnap --json group list --js": "vmsnap --json group list --js",
    "vmsnap snapshot create --without nv": "vmsnap snapshot create --without nvram ",
    "vmsnap snapshot create --without=t": "vmsnap snapshot create --without=tpm ",
    "vmsnap backup clone --tpm r": "vmsnap backup clone --tpm reset ",
    "vmsnap --connect qemu:///ses": "vmsnap --connect qemu:///session ",
    "vmsnap db backup my.": "vmsnap db backup my.toml ",
    "vmsnap --config my": "vmsnap --config my.toml ",
    "vmsnap snapshot create --overlay-dir over": "vmsnap snapshot create --overlay-dir overlays/",
}
NAMES = {
    "vmsnap vm show vmsnap-test-g": f"vmsnap vm show {PLAIN} ",
    "vmsnap vm show vmsnap-test-m": "vmsnap vm show vmsnap-test-my\\ web ",
    "vmsnap vm show 'vmsnap-test-m": "vmsnap vm show 'vmsnap-test-my web' ",
    'vmsnap vm show "vmsnap-test-m': 'vmsnap vm show "vmsnap-test-my web" ',
    "vmsnap vm show vmsnap-test-colon:": "vmsnap vm show vmsnap-test-colon:1 ",
    "vmsnap vm show vmsnap-test-col": "vmsnap vm show vmsnap-test-colon:1 ",
    "vmsnap vm show -- -vm": "vmsnap vm show -- -vmsnap-test-dash ",
    "vmsnap vm show vmsnap-test-none": "vmsnap vm show vmsnap-test-none",
    f"vmsnap snapshot create {PLAIN} vmsnap-test-g": (
        f"vmsnap snapshot create {PLAIN} vmsnap-test-g"
    ),
    "vmsnap group revert 'vmsnap-test-my web' bef": (
        "vmsnap group revert 'vmsnap-test-my web' before\\ upgrade "
    ),
    "vmsnap group delete vmsnap-test-my\\ web 'before upgrade' bü": (
        "vmsnap group delete vmsnap-test-my\\ web 'before upgrade' büro "
    ),
    "vmsnap backup restore 'vmsnap-test-my web' week": (
        "vmsnap backup restore 'vmsnap-test-my web' weekly "
    ),
    "vmsnap backup clone 'vmsnap-test-my web' --from week": (
        "vmsnap backup clone 'vmsnap-test-my web' --from weekly "
    ),
    "vmsnap snapshot delete 'vmsnap-test-my web' ": (
        "vmsnap snapshot delete 'vmsnap-test-my web' loose/vda "
    ),
    "vmsnap snapshot create 'vmsnap-test-my web' --exclude v": (
        "vmsnap snapshot create 'vmsnap-test-my web' --exclude vda "
    ),
    "vmsnap --database /nowhere/x.db group revert 'vmsnap-test-my web' bef": (
        "vmsnap --database /nowhere/x.db group revert 'vmsnap-test-my web' bef"
    ),
    "vmsnap group revert --connect=qemu+ssh://nowhere/system vmsnap-test-g": (
        "vmsnap group revert --connect=qemu+ssh://nowhere/system vmsnap-test-g"
    ),
}


@dataclass(frozen=True)
class Bed:
    """Domains and a database, and a `vmsnap` in `folder` that keeps account of its calls."""

    vmsnap: Vmsnap
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "VMSNAP_DATABASE": self.vmsnap.database,
            "LC_ALL": "C.UTF-8",
        }

    def calls(self) -> list[str]:
        """Return the calls since the last time this was asked."""
        file = self.folder / "calls"
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("bed")
    vmsnap = Vmsnap(folder / "vmsnap.db")
    (folder / "bin").mkdir()
    program = folder / "bin" / "vmsnap"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{folder}/calls\nexec {sys.executable} -m vmsnap "$@"\n'
    )
    program.chmod(0o755)
    names = (WITH_SPACE, PLAIN, "vmsnap-test-colon:1", "-vmsnap-test-dash")
    hardware = Hardware(firmware="bios", tpm=None, disks=("qcow2",), disk_mib=1)
    machines = [Machine(hardware, name=name) for name in names]
    try:
        for machine in machines:
            machine.create()
        for name in ("before upgrade", "büro", "loose"):
            vmsnap("snapshot", "create", WITH_SPACE, "--name", name)
        vmsnap("group", "ungroup", WITH_SPACE, "loose")
        vmsnap("backup", "create", WITH_SPACE, "--name", "weekly")
        yield Bed(vmsnap, folder)
    finally:
        for machine in machines:
            machine.remove()


@pytest.fixture(scope="module", params=START_FILES)
def shell(
    request: pytest.FixtureRequest, bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    (folder / "my.toml").touch()
    (folder / "overlays").mkdir()
    with Shell(request.param, folder, bed.environment) as made:
        yield made


@contextmanager
def stopped_libvirtd() -> Iterator[None]:
    """Let libvirtd take connections and never answer."""
    process = int(PID_FILE.read_text())
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_verbs_and_options_are_completed_and_no_program_is_started_for_them(shell, bed):
    bed.calls()
    expected = {**VERBS, **OPTIONS}
    assert {typed: shell.complete(typed) for typed in expected} == expected
    assert bed.calls() == []


def test_names_are_completed_as_the_shell_has_to_be_told_them(shell):
    assert {typed: shell.complete(typed) for typed in NAMES} == NAMES


def test_a_password_that_was_typed_does_not_come_into_the_process_list(shell, bed):
    bed.calls()
    typed = "vmsnap --database mysql://me:secret@localhost/vmsnap vm show vmsnap-test-g"
    assert shell.complete(typed).endswith(f"vm show {PLAIN} ")
    assert set(bed.calls()) == {"__complete domain"}


def test_all_names_that_fit_are_shown(shell):
    typed = "vmsnap group revert 'vmsnap-test-my web' b"
    shown = shell.list_of(typed, until_shown="büro")
    assert "before" in shown
    assert "loose" not in shown


def test_a_libvirtd_that_hangs_leaves_the_line_as_it_was(shell):
    typed = "vmsnap vm show vmsnap-test-g"
    with stopped_libvirtd():
        begin = time.monotonic()
        assert shell.complete(typed) == typed
        assert time.monotonic() - begin < AT_ONCE_SECONDS
    assert shell.complete(typed) != typed


def test_a_database_that_is_damaged_leaves_the_line_as_it_was(shell, tmp_path):
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * 1000)
    typed = f"vmsnap --database {damaged} group revert 'vmsnap-test-my web' bef"
    assert shell.complete(typed) == typed


def test_another_user_gets_no_names_of_root_s_database_in_silence(bed):
    command = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    done = subprocess.run(
        [*command, sys.executable, "-m", "vmsnap", "__complete", "group", WITH_SPACE],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **bed.environment},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
