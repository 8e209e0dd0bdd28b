"""Whoever is not root is told so in one sentence, on every verb, and never shown an empty list."""

import grp
import os
from pathlib import Path

import pytest
from livebed.user import ID, User, UserVmsnap, account

pytestmark = pytest.mark.live

READING = (
    "vm list",
    "vm show {0}",
    "group list",
    "group list {0}",
    "group show {0} monday",
    "group tree {0}",
    "group check {0}",
    "group diff {0} monday",
    "snapshot list",
    "backup list",
    "backup show {0} monday",
    "backup verify {0}",
    "history",
    "status",
    "doctor",
    "db status",
)
CHANGING = (
    "snapshot create {0}",
    "snapshot create {0} --dry-run",
    "snapshot create --all",
    "snapshot delete {0} monday/vda --yes",
    "group revert {0} monday",
    "group delete {0} monday --yes",
    "group ungroup {0} monday",
    "group pin {0} monday",
    "group unpin {0} monday",
    "backup create {0}",
    "backup restore {0} monday",
    "backup delete {0} monday --yes",
    "undo {0}",
    "recover",
    "recover --dry-run",
    "purge {0} --yes",
    "prune {0} --keep-last 1",
    "doctor --fix",
    "db upgrade",
    "db upgrade --dry-run",
    "db rebuild {0}",
    "db backup /run/copy.db",
)
STATE = Path("/var/lib/vmsnap")


SOME = ("vm list", "group list", "status", "doctor", "db status", "snapshot create {0}", "recover")
# Who asks, what is there, and which verbs are tried.
CASES = {
    "member, closed": ("member", "closed", (*READING, *CHANGING)),
    "member, only the database closed": ("member", "open", SOME),
    "member, nothing yet": ("member", "nothing", SOME),
    "member, nothing yet and closed": ("member", "nothing closed", SOME),
    "outsider, closed": ("outsider", "closed", SOME),
    "outsider, nothing yet": ("outsider", "nothing", SOME),
}


@pytest.fixture(scope="module")
def unprivileged():
    """Vmsnap as somebody who is not root, in group libvirt or not."""
    groups = (grp.getgrnam("libvirt").gr_gid,)
    with account():
        # A package would leave it open; the private host does not.
        Path("/etc/vmsnap").chmod(0o755)
        yield {"member": UserVmsnap(User(groups)), "outsider": UserVmsnap(User())}
        Path("/etc/vmsnap").chmod(0o700)


@pytest.fixture
def web(machine):
    yield machine(disks=("qcow2",), disk_mib=1)
    STATE.chmod(0o700)
    for path in STATE.glob("vmsnap.db*"):
        path.unlink()


@pytest.fixture
def make_group(web, vmsnap):
    """Make the machine's group in the system's database."""
    vmsnap.database = f"sqlite:///{STATE}/vmsnap.db"
    return lambda: vmsnap("snapshot", "create", web.name, "--name", "monday")


@pytest.mark.parametrize("case", CASES)
def test_every_verb_refuses_and_says_how_it_is_run(web, make_group, unprivileged, case):
    who, state, lines = CASES[case]
    if not state.startswith("nothing"):
        make_group()
    STATE.chmod(0o700 if state.endswith("closed") else 0o755)
    before = sorted((path, path.stat().st_mtime_ns) for path in STATE.rglob("*"))
    for line in lines:
        words = line.format(web.name).split()
        answer = unprivileged[who](*words, status=10)
        (problem,) = answer.document["errors"]
        assert problem["code"] == "no_access", line
        assert problem["message"].startswith("qemu:///system needs root's rights: '/var/lib/vmsnap")
        assert problem["hint"] == " ".join(("sudo vmsnap", *words, "--json"))
        assert answer.document["changed"] is False
        assert answer.stderr == ""
    assert sorted((path, path.stat().st_mtime_ns) for path in STATE.rglob("*")) == before


def test_the_settings_are_shown_to_everybody(unprivileged):
    assert unprivileged["outsider"]("config", "show").data["settings"]


def test_a_config_file_that_cannot_be_read_is_not_passed_over(unprivileged):
    path = Path("/etc/vmsnap/config.toml")
    path.write_text("wait = 1\n")
    path.chmod(0o600)
    vmsnap = unprivileged["member"]
    try:
        (problem,) = vmsnap("config", "show", status=10).document["errors"]
        assert problem["message"] == f"config file '{path}' cannot be read: Permission denied"
        assert problem["hint"] == "sudo vmsnap config show --json"
        assert vmsnap("--connect", "test:///default", "vm", "list").data["domains"]
    finally:
        path.unlink()


def test_a_copy_of_the_database_is_read_by_those_who_may_ask_libvirt(
    web, make_group, unprivileged, vmsnap
):
    make_group()
    copy = User().home / "copy.db"
    vmsnap("db", "backup", str(copy))
    os.chown(copy, ID, ID)
    words = ("--database", str(copy), "group", "list")
    try:
        answer = unprivileged["member"](*words)
        assert [group["name"] for group in answer.data["groups"]] == ["monday"]
        (problem,) = unprivileged["outsider"](*words, status=10).document["errors"]
        # What only root can open is not damaged.
        doctor = unprivileged["member"](*words[:2], "doctor", status=10)
        assert doctor.code == "no_access"
    finally:
        copy.unlink()
    assert problem["code"] == "no_access"
    assert problem["message"].startswith("cannot connect to libvirt at 'qemu:///system'")
    assert problem["hint"] == " ".join(("sudo vmsnap", *words, "--json"))


def test_journals_that_cannot_be_read_are_not_passed_over(web, make_group, unprivileged):
    """A database that is missing may be that of an operation that was interrupted."""
    make_group()
    STATE.chmod(0o755)
    words = ("--database", "/run/vmsnap-test-none.db", "group", "list")
    (problem,) = unprivileged["member"](*words, status=10).document["errors"]
    assert problem["message"].startswith("the journals in '/var/lib/vmsnap/journal' cannot be read")
