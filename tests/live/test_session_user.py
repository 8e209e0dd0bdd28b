"""An ordinary user's own machines need no root, and nothing but the user's own folders."""

import os
import stat
import sys
from pathlib import Path

import pytest
from livebed.machine import VirshError
from livebed.user import ID, ROOT_HOME, SESSION, User, UserMachine, UserVmsnap, account

from vmsnap.host.domain_xml import XmlDefinitions

pytestmark = pytest.mark.live

MONDAY, FRIDAY = 1, 5


@pytest.fixture
def user():
    with account():
        yield User()


@pytest.fixture
def own(user):
    """The user's machine: off, two disks, with NVRAM and TPM state that libvirt made."""
    with user.session():
        machine = UserMachine(user)
        machine.create()
        try:
            machine.make_host_files()
            yield machine
        finally:
            machine.remove()


@pytest.fixture
def vmsnap(user):
    return UserVmsnap(user, VMSNAP_CONNECT=SESSION)


def files_of_root():
    """Return all that is in the system's folders of vmsnap and of root."""
    folders = ("/var/lib/vmsnap", "/var/log/vmsnap", "/etc/vmsnap", ROOT_HOME)
    return {path for folder in folders for path in Path(folder).rglob("*")}


def test_every_verb_works_on_a_user_s_machine_in_the_user_s_folders(own, user, vmsnap):
    before = files_of_root()
    for target in own.targets:
        own.write(target, MONDAY)
    monday = own.host_files()
    made = vmsnap("snapshot", "create", own.name, "--name", "monday").data["groups"][0]
    assert made["backup"] == {"nvram": "captured", "tpm": "captured"}
    assert vmsnap("group", "check", own.name).data

    own.start()
    live = vmsnap("snapshot", "create", own.name, "--name", "live").data["groups"][0]
    assert live["instant"]["proof"] != "offline"
    own.destroy()
    for target in own.targets:
        own.write(target, FRIDAY)
    own.nvram.write_bytes(own.nvram.read_bytes()[::-1])
    friday = own.host_files()
    assert friday != monday

    vmsnap("group", "revert", own.name, "monday")
    assert own.host_files() == monday
    assert all(own.has(target, MONDAY) for target in own.targets)
    vmsnap("undo", own.name)
    assert own.host_files() == friday
    assert all(own.has(target, FRIDAY) for target in own.targets)

    vmsnap("backup", "create", own.name, "--name", "kept")
    own.nvram.write_bytes(own.nvram.read_bytes()[::-1])
    vmsnap("backup", "restore", own.name, "kept")
    assert own.host_files() == friday
    assert vmsnap("doctor").data["findings"] == []
    vmsnap("group", "delete", own.name, "monday", "live", "--yes")
    assert vmsnap("doctor").data["findings"] == []
    assert all(own.has(target, FRIDAY) for target in own.targets)
    own.start("--paused")
    own.destroy()

    assert files_of_root() == before
    assert_private(user)


def assert_private(user: User) -> None:
    """Everything that vmsnap made is the user's, and nobody else's business."""
    state = user.home / ".local/state/vmsnap"
    database = user.home / ".local/share/vmsnap/vmsnap.db"
    log = state / "log/vmsnap.log"
    assert database.is_file()
    assert "end: group delete status=0" in log.read_text()
    assert list((state / "locks").glob("*.lock"))
    assert (state / "journal").is_dir()
    made = [database.parent, database, state, *state.rglob("*")]
    made += [path for path in (user.home / "images").iterdir() if ".vmsnap" in path.name]
    for path in made:
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (ID, ID), path
        assert stat.S_IMODE(status.st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_fence_holds_a_user_s_machine_too(own, user, vmsnap):
    """H55: although the user may not look into the folder that it names."""
    definitions = XmlDefinitions(own.nvram.parent, own.tpm.parent)
    own.define(definitions.with_fence(own.definition()))
    before = own.host_files()
    with pytest.raises(VirshError, match="interrupted-run-vmsnap-recover"):
        own.start()
    assert own.host_files() == before
    vmsnap("recover", "--lift-fences")
    own.start("--paused")


def test_the_user_s_own_file_can_choose_the_session(own, user):
    path = user.home / ".config/vmsnap/config.toml"
    user.run("mkdir", "-p", str(path.parent))
    path.write_text(f'connect = "{SESSION}"\n[defaults]\nexclude = ["vdb"]\n')
    os.chown(path, ID, ID)
    # The system's own file is not asked for, and may well be closed to the user.
    Path("/etc/vmsnap/config.toml").write_text("wait = 1\n")
    try:
        vmsnap = UserVmsnap(user)
        data = vmsnap("config", "show", own.name).data
        assert data["settings"][0] == {
            "key": "connect",
            "value": SESSION,
            "source": f"file {path}",
        }
        assert data["files"] == [{"path": str(path), "is_there": True}]
        group = vmsnap("snapshot", "create", own.name).data["groups"][0]
        assert [disk["target"] for disk in group["disks"]] == ["vda"]
    finally:
        Path("/etc/vmsnap/config.toml").unlink()


def planted(user: User) -> dict[str, str]:
    """Plant links to root's files in every place of the user's that root might follow."""
    target = Path("/run/vmsnap-test-target")
    target.mkdir()
    own = {
        "XDG_CONFIG_HOME": user.home / ".config",
        "XDG_DATA_HOME": user.home / ".local/share",
        "XDG_STATE_HOME": user.home / ".local/state",
        "XDG_CACHE_HOME": user.home / ".cache",
    }
    for folder in own.values():
        user.run("mkdir", "-p", str(folder))
        user.run("ln", "-s", str(target), str(folder / "vmsnap"))
    return {"HOME": str(user.home), **{name: str(path) for name, path in own.items()}}


def test_root_follows_nothing_into_a_user_s_folder(user, machine, vmsnap):
    """As sudo -E leaves it: HOME and XDG_* are the user's, who has planted links."""
    web = machine(disks=("qcow2",), disk_mib=1)
    environment = planted(user)
    root = AsRoot(user, environment)
    before = {path: path.lstat().st_mtime_ns for path in user.home.rglob("*")}
    for words in (
        ("snapshot", "create", web.name, "--name", "monday"),
        ("group", "list"),
        ("config", "show"),
        ("group", "delete", web.name, "monday", "--yes"),
    ):
        root(*words)
    # Neither does another libvirt than the system's lead there.
    root("backup", "create", "test", status=None, connect="test:///default")
    assert {path: path.lstat().st_mtime_ns for path in user.home.rglob("*")} == before
    assert not list(Path("/run/vmsnap-test-target").iterdir())
    Path("/run/vmsnap-test-target").rmdir()
    files = [row["path"] for row in root("config", "show").data["files"]]
    assert files == [f"{ROOT_HOME}/.config/vmsnap/config.toml", "/etc/vmsnap/config.toml"]
    assert (ROOT_HOME / ".local/state/vmsnap/log/vmsnap.log").is_file()


def test_root_is_refused_a_user_s_session(own, user):
    root = AsRoot(user, user.environment())
    answer = root("group", "list", status=10, connect=SESSION)
    assert "another user's" in answer.document["errors"][0]["message"]


def test_root_believes_no_config_file_of_a_user(user):
    """Its hooks would run as root."""
    path = user.home / "config.toml"
    user.run("touch", str(path))
    path.write_text('[[hook]]\nwhen = "before"\nrun = ["/bin/true"]\n')
    root = AsRoot(user, {"VMSNAP_CONFIG": str(path)})
    answer = root("vm", "list", status=10)
    assert answer.document["errors"][0]["message"].endswith(f"belongs to user {ID}, not to root")


class AsRoot(UserVmsnap):
    """Vmsnap as root, with an environment that is a user's."""

    def __init__(self, user: User, environment: dict[str, str]) -> None:
        super().__init__(user)
        self._environment = {"PATH": os.environ["PATH"], **environment}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "vmsnap", *arguments]

    def environment(self) -> dict[str, str]:
        return self._environment

    def __call__(self, *arguments, status=0, as_json=True, connect="qemu:///system"):
        self._environment["VMSNAP_CONNECT"] = connect
        return super().__call__(*arguments, status=status, as_json=as_json)
