"""What swtpm's and QEMU's users plant on a real host, by their own hands, is not followed."""

import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

SECRET = b"root:$y$planted-secret\n"
# Swaps a name for links and back, as fast as it can.
RACER = """
import os, sys
name, outside = sys.argv[1:]
trap, kept = name + ".trap", name + ".kept"
os.rename(name, kept)
data = open(kept, "rb").read()
while True:
    for plant in (lambda: os.symlink(outside, trap), lambda: os.mkfifo(trap),
                  lambda: open(trap, "wb").write(data)):
        try:
            plant()
            os.rename(trap, name)
        except OSError:
            pass
"""


@pytest.fixture
def outside(tmp_path_factory):
    """A file that only root may read, where everyone can name it."""
    folder = Path("/var/lib/libvirt/images/vmsnap-test-outside")
    folder.mkdir(mode=0o755)
    file = folder / "shadow"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    before = file.stat()
    yield file
    after = file.stat()
    assert file.read_bytes() == SECRET
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid, before.st_gid, before.st_mode,
    )  # fmt: skip
    assert [path.name for path in folder.iterdir()] == ["shadow"]
    file.unlink()
    folder.rmdir()


@pytest.fixture
def web(machine):
    made = machine(firmware="uefi")
    made.make_host_files()
    return made


def as_owner_of(path, *words, **options):
    """Run a program as the user who owns a path; return the running process."""
    status = path.stat()
    user = pwd.getpwuid(status.st_uid)
    assert user.pw_uid != 0
    return subprocess.Popen(
        words, user=user.pw_uid, group=status.st_gid, extra_groups=[], cwd="/",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def do_as_owner_of(path, program, *arguments):
    process = as_owner_of(path, sys.executable, "-c", program, *map(str, arguments))
    _, complaint = process.communicate(timeout=30)
    return process.returncode, complaint.decode()


def refuse_backup(vmsnap, web):
    answer = vmsnap("backup", "create", web.name, "--name", "caught", status=21)
    assert answer.code in {"host_file", "host_file_changed"}
    listed = vmsnap("backup", "list", web.name)
    assert "caught" not in listed.stdout
    return answer


@pytest.mark.parametrize(
    "plant", ["os.symlink(outside, name)", "os.mkfifo(name)", "os.mkdir(name)"]
)
def test_what_swtpm_s_user_plants_in_its_directory_is_refused(web, vmsnap, outside, plant):
    program = f"import os, sys; name, outside = sys.argv[1:]; {plant}"
    status, complaint = do_as_owner_of(web.tpm, program, web.tpm / "planted", outside)
    assert status == 0, complaint
    answer = refuse_backup(vmsnap, web)
    assert "planted" in answer.stdout


def test_the_kernel_or_vmsnap_keeps_swtpm_s_user_from_handing_in_a_hard_link(web, vmsnap, outside):
    program = "import os, sys; os.link(sys.argv[2], sys.argv[1])"
    status, complaint = do_as_owner_of(web.tpm, program, web.tpm / "planted", outside)
    if Path("/proc/sys/fs/protected_hardlinks").read_text().strip() == "1":
        assert status != 0
        assert "PermissionError" in complaint
        os.link(outside, web.tpm / "planted")
    answer = refuse_backup(vmsnap, web)
    assert "has 2 names" in answer.stdout


def test_an_nvram_that_qemu_s_user_turned_into_a_link_is_refused(web, vmsnap, outside):
    program = "import os, sys; os.unlink(sys.argv[1]); os.symlink(sys.argv[2], sys.argv[1])"
    status, complaint = do_as_owner_of(web.nvram.parent, program, web.nvram, outside)
    assert status == 0, complaint
    answer = refuse_backup(vmsnap, web)
    assert "is a symbolic link, not a regular file" in answer.stdout


def test_qemu_s_user_races_in_vain_with_backup_and_restore(web, vmsnap, outside):
    """The fixture asserts that the file outside is as it was, its owner and mode too."""
    vmsnap("backup", "create", web.name, "--name", "good")
    racer = as_owner_of(web.nvram.parent, sys.executable, "-c", RACER, str(web.nvram), str(outside))
    try:
        statuses = set()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for words in (
                ("backup", "create", web.name),
                ("backup", "restore", web.name, "good", "--no-safety", "--yes"),
            ):
                answer = vmsnap(*words, status=None)
                assert answer.status != 1, answer.stderr
                statuses.add(answer.status)
    finally:
        racer.kill()
        racer.communicate()
    assert statuses & {21, 30, 14, 15}, statuses
    for path in web.nvram.parent.iterdir():
        if path.is_symlink() or not path.is_file():
            path.unlink()
    vmsnap("recover", status=None)
