"""Bad input and faults of the host: one sentence, the right status, nothing changed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from livebed.command import Vmsnap
from livebed.machine import Hardware, Machine, virsh
from livebed.refusing import SmallDisk, refused

pytestmark = pytest.mark.live

LOCKS = Path("/var/lib/vmsnap/locks")


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    """One machine for all that is refused before anything changes."""
    made = Machine(Hardware(disk_mib=4))
    try:
        made.create()
        made.make_host_files()
        yield made
    finally:
        made.remove()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., SmallDisk]]:
    made: list[SmallDisk] = []

    def make(folder: Path, mib: int) -> SmallDisk:
        made.append(SmallDisk(folder, mib))
        return made[-1]

    yield make
    for each in made:
        each.remove()


# --- names and ids -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["n" * 300, "two\nlines", "a/b", "-dash", ".dot", "", "bell\a"],
    ids=["long", "newline", "slash", "dash", "dot", "empty", "control"],
)
def test_a_name_that_breaks_the_rules_is_a_usage_error(web, vmsnap, name):
    """H51: such a name is refused before anything is looked at."""
    refused(vmsnap, "snapshot", "create", web.name, f"--name={name}", status=2, machine=web)


def test_a_chinese_name_works_without_a_locale(machine, vmsnap, monkeypatch):
    """H51: names are stored, printed and matched as they are, also under LANG=C."""
    for variable in ("LANG", "LC_ALL"):
        monkeypatch.setenv(variable, "C")
    web, name = machine(disk_mib=4), "星期一"
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", name)
    assert name in vmsnap("group", "list", web.name, as_json=False).stdout
    assert vmsnap("group", "show", web.name, name).data["group"]["name"] == name
    assert name in refused(
        vmsnap, "snapshot", "create", web.name, "--name", name, status=13, machine=web
    )
    assert all(path.name.isascii() for path in web.folder.iterdir())
    vmsnap("group", "delete", web.name, name, "--yes")


def test_what_is_not_there_is_named(web, vmsnap):
    assert "'nosuch'" in refused(vmsnap, "snapshot", "create", "nosuch", status=11)
    for words in (("group", "revert"), ("group", "check"), ("backup", "restore")):
        assert "'nosuch'" in refused(vmsnap, *words, web.name, "nosuch", status=12, machine=web)
    refused(vmsnap, "undo", web.name, status=14, machine=web)


def test_a_prefix_that_fits_two_domains_names_both(machine, vmsnap):
    first = machine(disk_mib=4)
    second = Machine(Hardware(disk_mib=4))
    second.id = first.id[:8] + second.id[8:]
    try:
        second.create()
        sentence = refused(vmsnap, "vm", "show", first.id[:8], status=12)
        assert first.name in sentence
        assert second.name in sentence
        assert vmsnap("vm", "show", first.id[:-1]).data["domain"]["name"] == first.name
    finally:
        second.remove()


def test_a_prefix_that_fits_two_backups_is_ambiguous(web, vmsnap):
    found: dict[str, str] = {}
    while True:
        rows = vmsnap("backup", "create", web.name).data["backups"]
        uuid = rows[0]["resource_uuid"]
        if uuid[0] in found:
            break
        found[uuid[0]] = uuid
    assert refused(vmsnap, "backup", "show", web.name, uuid[0], status=12, machine=web)
    assert vmsnap("backup", "show", web.name, uuid[:-1]).data


def test_a_libvirt_on_another_host_is_refused_in_one_sentence(vmsnap):
    sentence = refused(
        vmsnap,
        "--connect",
        "qemu+ssh://root:geheim@host/system",
        "vm",
        "list",
        status=14,
        hint=False,
    )
    assert "another host" in sentence
    assert "geheim" not in sentence


# --- the machine -------------------------------------------------------------------------------


def test_a_domain_without_disks_is_refused_with_what_to_do_instead(machine, vmsnap):
    web = machine(disks=())
    web.make_host_files()
    refused(vmsnap, "snapshot", "create", web.name, status=14, machine=web)
    assert vmsnap("backup", "create", web.name).data["backups"]


def test_an_image_that_is_gone_is_named(machine, vmsnap):
    web = machine(disk_mib=4)
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.original("vda").rename(web.folder / "elsewhere")
    for words, status in (
        (("snapshot", "create", web.name), 14),
        (("group", "revert", web.name, "monday"), 15),
    ):
        sentence = refused(vmsnap, *words, status=status, machine=web)
        assert str(web.original("vda")) in sentence
    reasons = vmsnap("group", "check", web.name, status=15).data["groups"][0]["reasons"]
    assert [reason["kind"] for reason in reasons] == ["damage"]
    assert vmsnap("vm", "show", web.name).status == 0


@pytest.mark.parametrize("part", ["nvram", "tpm"])
@pytest.mark.parametrize("kind", ["fifo", "link", "device"])
def test_a_host_file_that_is_no_file_is_refused_and_never_opened(machine, vmsnap, part, kind):
    """H22: a FIFO would hang, a link or a device would lead anywhere."""
    web = machine(disk_mib=4)
    web.make_host_files()
    path = getattr(web, part)
    moved = path.rename(path.with_name(f"{path.name}.moved"))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(moved)
    else:
        os.mknod(path, 0o020600, os.makedev(1, 5))
    try:
        for verb in ("snapshot", "backup"):
            sentence = refused(vmsnap, verb, "create", web.name, status=21, machine=web)
            assert str(path) in sentence
        assert vmsnap("vm", "show", web.name).status == 0
        vmsnap("snapshot", "create", web.name, "--without", part, "--name", "rest")
    finally:
        path.unlink()
        moved.rename(path)


def test_a_managed_save_image_is_refused_and_can_be_dropped(machine, vmsnap):
    """H27: reverting disks under a saved RAM image would destroy file systems."""
    web = machine(disk_mib=4)
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    web.start()
    virsh("managedsave", web.id)
    assert "managed-save" in refused(vmsnap, "snapshot", "create", web.name, status=14, machine=web)
    revert = ("group", "revert", web.name, "monday")
    assert "managed-save" in refused(vmsnap, *revert, status=14, machine=web)
    assert not vmsnap("group", "check", web.name, status=15).data["groups"][0]["available"]
    assert vmsnap("group", "check", web.name, "--intact").data["groups"][0]["available"]

    vmsnap(*revert, "--drop-managed-save")
    assert "no" in virsh("dominfo", web.id).split("Managed save:")[1].split()[0]
    web.start("--paused")
    # A machine that is resumed from a saved image was started by no one.
    assert "<on_reboot>destroy</on_reboot>" in web.definition()
    reason = virsh("domstate", web.id, "--reason")
    assert "starting up" in reason or "user" in reason
    web.destroy()


def test_an_overlay_of_virsh_on_top_keeps_groups_from_being_deleted(machine, vmsnap):
    """H41, H43: what vmsnap does not know is not merged."""
    web = machine(disk_mib=4)
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    virsh("snapshot-create-as", web.id, "theirs", "--disk-only", "--no-metadata", "--atomic")
    sentence = refused(
        vmsnap, "group", "delete", web.name, "monday", "--yes", status=14, machine=web
    )
    assert ".theirs" in sentence


# --- the lock ----------------------------------------------------------------------------------


def test_a_locked_domain_is_busy_and_readers_do_not_wait(web, vmsnap):
    """H48: the second of two cron runs is told who is at work, and since when."""
    vmsnap("backup", "create", web.name)
    holder = (
        "import datetime, pathlib, sys; from vmsnap.host.locks import FileLocks\n"
        "now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)\n"
        "locks = FileLocks(pathlib.Path(sys.argv[1]), now=lambda: now)\n"
        "with locks.hold(sys.argv[2], 'snapshot create', 0): print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, LOCKS.parent, web.id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        sentence = refused(vmsnap, "snapshot", "create", web.name, status=75, machine=web)
        assert f"'snapshot create' (process {process.pid})" in sentence
        assert "since 2026-01-0" in sentence
        begin = time.monotonic()
        refused(vmsnap, "undo", web.name, "--wait", "1.5", status=75, machine=web)
        assert time.monotonic() - begin > 1.5
        assert vmsnap("group", "list", web.name).status == 0
        shown = vmsnap("vm", "show", web.name).data["domain"]["busy"]
        assert (shown["verb"], shown["pid"]) == ("snapshot create", process.pid)
        assert shown["since"] == "2026-01-02T03:04:05Z"
        process.stdin.close()
    assert vmsnap("vm", "show", web.name).data["domain"]["busy"] is None
    # A lock outlives nobody: what the file still says does not count.
    vmsnap("backup", "create", web.name)


# --- space -------------------------------------------------------------------------------------


def on_small_disk(web: Machine, small_disk: Callable[..., SmallDisk]) -> SmallDisk:
    """Move a machine's second disk to a file system of 6 MiB."""
    small = small_disk(web.folder / "small", 6)
    moved = small.folder / "vdb.qcow2"
    shutil.move(web.original("vdb"), moved)
    web.define(web.definition().replace(str(web.original("vdb")), str(moved)))
    return small


def filling_qemu_img(folder: Path, small: SmallDisk, command: str) -> str:
    """Write a qemu-img that fills a disk before it runs `command`; return the PATH with it."""
    program = folder / "qemu-img"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = {command} ]; then\n'
        f'    case "$*" in *{small.folder}*) cat /dev/zero 2>&- >{small.folder}/filler;; esac\nfi\n'
        f'exec {shutil.which("qemu-img")} "$@"\n'
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_full_disk_refuses_the_create_before_anything_is_made(machine, vmsnap, small_disk):
    """H31: where the lack of space can be known, it is known before."""
    web = machine(disk_mib=4)
    small = on_small_disk(web, small_disk)
    web.make_host_files()
    small.fill()
    sentence = refused(vmsnap, "snapshot", "create", web.name, status=16, machine=web)
    assert str(small.folder) in sentence
    small.empty()
    vmsnap("snapshot", "create", web.name)


def test_a_disk_that_fills_up_takes_the_create_back(
    machine, vmsnap, small_disk, tmp_path, monkeypatch
):
    """H31: where it cannot be known, what was done is undone."""
    web = machine(disk_mib=4)
    small = on_small_disk(web, small_disk)
    web.make_host_files()
    before = web.definition(), sorted(web.folder.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setenv("PATH", filling_qemu_img(tmp_path, small, "create"))
        answer = vmsnap("snapshot", "create", web.name, status=24)
    assert "No space left" in answer.document["errors"][0]["message"]
    assert answer.document["changed"] is False
    small.empty()
    assert (web.definition(), sorted(web.folder.rglob("*"))) == before
    assert vmsnap("group", "list", web.name).data["groups"] == []
    vmsnap("snapshot", "create", web.name)


def test_a_disk_that_fills_up_leaves_the_delete_to_be_finished(
    machine, vmsnap, small_disk, tmp_path, monkeypatch
):
    """H1, H31: the whole backup stays until every disk is merged; the next delete goes on."""
    web = machine(disk_mib=4)
    small = on_small_disk(web, small_disk)
    web.make_host_files()
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    for path in web.disks.values():
        write = ["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 1M 1M", str(path)]
        subprocess.run(write, check=True, capture_output=True)
    delete = ("group", "delete", web.name, "monday", "--yes")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", filling_qemu_img(tmp_path, small, "commit"))
        answer = vmsnap(*delete, status=3)
    merged = {row["target"]: row["merged"] for row in answer.data["results"]}
    assert merged == {"vda": True, "vdb": False}
    (group,) = vmsnap("group", "list", web.name).data["groups"]
    assert (group["state"], group["backup"]) == (
        "deleting",
        {"nvram": "captured", "tpm": "captured"},
    )
    assert vmsnap("recover", status=16).code == "no_space"
    small.empty()
    vmsnap(*delete)
    assert web.disks == {"vda": web.original("vda"), "vdb": small.folder / "vdb.qcow2"}
    for path in web.disks.values():
        read = ["qemu-io", "-f", "qcow2", "-c", "read -q -P 7 1M 1M", str(path)]
        said = subprocess.run(read, check=True, capture_output=True, text=True)
        assert "verification failed" not in said.stdout
    assert list(web.folder.rglob("*.vmsnap-*")) == []


# --- the database's folder ---------------------------------------------------------------------


def test_a_read_only_folder_of_the_database_is_refused(web, small_disk, tmp_path):
    """H52: a database that cannot be written is found out before anything changes."""
    small = small_disk(tmp_path / "database", 4)
    small.remount("ro")
    empty = Vmsnap(small.folder / "vmsnap.db")
    assert str(small.folder) in refused(
        empty, "snapshot", "create", web.name, status=10, machine=web
    )
    assert empty("group", "list").data["groups"] == []
    small.remount("rw")
    empty("backup", "create", web.name, "--name", "kept")
    small.remount("ro")
    refused(empty, "backup", "delete", web.name, "kept", "--yes", status=10, machine=web)
    assert [row["name"] for row in empty("backup", "list").data["backups"]] == ["kept"] * 2


def test_a_missing_folder_of_the_database_is_refused(web, tmp_path):
    nowhere = Vmsnap(tmp_path / "nowhere" / "vmsnap.db")
    for words in (("snapshot", "create", web.name), ("group", "list")):
        assert "nowhere" in refused(nowhere, *words, status=10, machine=web)
    assert not (tmp_path / "nowhere").exists()
