"""Who calls, what things are called and where: no umask, name or folder makes vmsnap unsafe."""

import os
import shlex
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.processes import environment

NAME = "vmsnap-test-web"
# XML can hold all but the first. The second begins a command to a terminal just as the first does.
ESCAPES = ("\x1b[31m", "\x9b31m", "\u202e", "\u2028", "\x85", "\r")
MASKS = (0o000, 0o022, 0o777)
NOT_OURS = {"vda.qcow2", "vdb.raw"}


def modes(folder):
    """Return the permission bits of all that lies in a folder; a file may be gone meanwhile."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.exists():
            found[path] = stat.S_IMODE(path.lstat().st_mode)
    return found


def too_open(folder):
    """Return what others may use of all that lies in a folder."""
    return {str(path): oct(mode) for path, mode in modes(folder).items() if mode & 0o077}


@pytest.mark.parametrize("mask", MASKS, ids=oct)
def test_whatever_the_caller_s_umask_nothing_is_open_to_others(
    vmsnap, host, nvram, tmp_path, monkeypatch, mask
):
    """Looked at before every verb's end too, when journal, lock, -wal and -shm are there."""
    home, images = tmp_path / "home", tmp_path / "host"
    for path in images.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    seen = set()
    append = FolderJournals.append

    def look(self, domain_id, entry):
        append(self, domain_id, entry)
        seen.update(path.name for path in modes(home))
        assert too_open(home) == {}
        assert too_open(images) == {}

    monkeypatch.setattr(FolderJournals, "append", look)
    for line in (
        "snapshot create {} --name one",
        "backup create {} --name alone",
        "group revert {} one",
        "undo {}",
        "group delete {} one --yes",
        "recover",
    ):
        nvram.write_bytes(line.encode())
        os.umask(mask)
        vmsnap(*line.format(NAME).split())
        assert os.umask(0o077) == 0o077
        assert too_open(home) == {}
        assert too_open(images) == {}
        # Nor too closed: with a mask of 0777 root alone could open them.
        assert all(mode & 0o600 == 0o600 for mode in modes(home).values())
    assert {"vmsnap.db", "vmsnap.db-wal", "vmsnap.db-shm", "vmsnap.log", "journal"} <= seen
    assert any(name.endswith(".jsonl") for name in seen)
    assert any(name.endswith(".lock") for name in seen)


@pytest.mark.parametrize("mask", MASKS, ids=oct)
def test_a_process_of_its_own_makes_private_files_under_any_umask(process, tmp_path, mask):
    (tmp_path / "home").mkdir(exist_ok=True)
    run = process(
        "backup", "create", "test", env={"VMSNAP_CONNECT": "test:///default"},
        preexec_fn=lambda: os.umask(mask),
    )  # fmt: skip
    assert b"vmsnap.db" not in run.stderr, run.stderr
    made = modes(tmp_path / "home")
    assert {"vmsnap.log", "vmsnap.db"} <= {path.name for path in made}
    assert too_open(tmp_path / "home") == {}


def program():
    path = Path(sys.executable).with_name("vmsnap")
    if not path.exists():
        pytest.skip("vmsnap is not installed beside this Python")
    return path


@pytest.mark.parametrize(
    "words", [["--version"], ["vm", "list"], ["db", "status"], ["recover", "--dry-run"]]
)
def test_the_program_imports_nothing_from_the_folder_it_is_called_in(tmp_path, words):
    """A user's folder may hold anything, and root may stand in it."""
    trap = "import os; os.open('caught', os.O_CREAT)\n"
    folder = tmp_path / "trap"
    (folder / "vmsnap").mkdir(parents=True)
    (folder / "vmsnap" / "__init__.py").write_text(trap)
    for module in (
        "typer",
        "rich",
        "lxml",
        "libvirt",
        "sqlalchemy",
        "json",
        "sqlite3",
        "sitecustomize",
    ):
        (folder / f"{module}.py").write_text(trap)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "VMSNAP_CONNECT": "test:///default",
    }
    subprocess.run(
        [program(), *words], cwd=folder, env=environ, check=False, capture_output=True, timeout=60
    )
    assert not (folder / "caught").exists()
    caught = subprocess.run(
        [sys.executable, "-c", "import typer"], cwd=folder, env=environ, check=False
    )
    assert caught.returncode == 0
    assert (folder / "caught").exists(), "the trap works"


def test_programs_do_not_inherit_vmsnap_s_settings(monkeypatch):
    """H50: VMSNAP_DATABASE may hold a password."""
    monkeypatch.setenv("VMSNAP_DATABASE", "mysql://u:hush@h/x")
    monkeypatch.setenv("VMSNAP_ANYTHING", "x")
    assert not [name for name in environment() if name.startswith("VMSNAP_")]
    assert environment()["PATH"] == os.environ["PATH"]


@pytest.fixture
def hostile(host):
    """The domain under a name, and with an image, that would write on a terminal."""
    for machine in host.machines.values():
        raw = "".join(ESCAPES[1:])
        machine.xml = machine.xml.replace(
            f"<name>{NAME}</name>", f"<name>web{raw.replace(chr(13), '&#13;')}</name>"
        ).replace(
            "/vdb.raw", "/vdb" + raw.replace("\r", "&#13;").replace("\x85", "&#133;") + ".raw"
        )
    (summary,) = host.domains()
    domain = host.domain(summary.id)
    disk = next(disk for disk in domain.definition.disks if disk.target == "vdb")
    disk.path.with_name("vdb.raw").rename(disk.path)
    return domain


def assert_harmless(text):
    """Only line feeds are left of what controls a terminal, and colours that we set ourselves."""
    for character in text:
        category = unicodedata.category(character)
        assert category not in {"Cc", "Cs", "Zl", "Zp"} or character in "\n\t\r\x1b", repr(text)
    for escape in ESCAPES[:4]:
        assert escape not in text


VERBS = """
vm list
vm show ID
snapshot create ID --name one
snapshot create ID --name one
snapshot create ID --name two --exclude no-such
group list
group list ID
group show ID one
group tree ID
group check ID
group diff ID one
group show ID nothing
backup verify ID
group revert ID one -v
undo ID -v
history ID
doctor
group delete ID one
group delete ID one --yes
recover
"""


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_names_and_paths_cannot_command_a_terminal(
    vmsnap, hostile, terminal, log_file, is_terminal
):
    """H51: nor a description, nor what was typed wrong, nor a line of the log."""
    statuses: list[int] = []
    for line in VERBS.strip().splitlines():
        words = [hostile.id if word == "ID" else word for word in line.split()]
        if not is_terminal:
            run = vmsnap(*words, status=None)
            shown = run.out + run.err
            assert "\r" not in shown
            assert "\x1b" not in shown
        else:
            with terminal("stdout", "stderr") as screen:
                run = vmsnap(*words, status=None)
            shown = screen.shown
        assert run.status != 1, shown
        statuses.append(run.status)
        assert_harmless(shown)
    logged = log_file.read_bytes().decode()
    assert_harmless(logged)
    assert "\r" not in logged
    assert statuses.count(0) > 10, statuses


@pytest.mark.parametrize("escape", ESCAPES, ids=ascii)
def test_what_was_typed_is_made_harmless_when_it_is_repeated(vmsnap, host, escape):
    for words in (
        ["group", "show", NAME, f"x{escape}"],
        ["vm", "show", f"x{escape}"],
        ["snapshot", "create", NAME, "--name", f"x{escape}y"],
        ["snapshot", "create", NAME, "--exclude", f"x{escape}"],
        ["snapshot", "create", NAME, f"--x{escape}"],
        [f"x{escape}"],
        ["--database", f"/no{escape}/x.db", "group", "list"],
        ["--config", f"/no{escape}", "group", "list"],
        ["--connect", f"qemu{escape}", "vm", "list"],
    ):
        run = vmsnap(*words, status=None)
        assert run.status not in {0, 1}
        assert_harmless(run.out + run.err)
        assert "\x1b" not in run.out + run.err
        assert "\r" not in run.out + run.err


def test_a_description_with_escapes_is_shown_harmless(vmsnap, host):
    described = "".join(ESCAPES) + "\nsecond line"
    vmsnap("snapshot", "create", NAME, "--name", "one", "--description", described)
    for verb in (["group", "show", NAME, "one"], ["group", "list", NAME]):
        run = vmsnap(*verb)
        assert_harmless(run.out + run.err)
        assert "\x1b" not in run.out


SHELL = "x; touch pwned $(id) `id` 'q' \"d\" & | > <"


def test_shell_characters_in_hints_are_quoted(vmsnap, host):
    """H51: a hint can be pasted, whatever the names in it are."""
    for machine in host.machines.values():
        escaped = SHELL.replace("&", "&amp;").replace("<", "&lt;")
        machine.xml = machine.xml.replace(f"<name>{NAME}</name>", f"<name>{escaped}</name>")
    vmsnap("snapshot", "create", SHELL, "--name", SHELL)
    hints = []
    for words in (
        ["snapshot", "create", SHELL, "--name", SHELL],
        ["group", "show", SHELL, "nothing"],
        ["group", "revert", SHELL, "nothing"],
        ["snapshot", "delete", SHELL, f"{SHELL}/vda", "--yes"],
        ["backup", "delete", SHELL, SHELL, "--yes"],
        ["undo", SHELL],
        ["vm", "show", SHELL + "y"],
    ):
        document = vmsnap(*words, "--json", status=None).document
        hints += [error["hint"] for error in document["errors"] if error["hint"]]
    named = [hint for hint in hints if "touch" in hint]
    assert named
    for hint in named:
        assert {SHELL, f"{SHELL}/vda", SHELL + "y"} & set(shlex.split(hint)), hint


def test_a_database_s_path_in_a_hint_is_quoted(vmsnap, host, tmp_path):
    """H50, H51: it can be pasted."""
    folder = f"{tmp_path}/it's $(id)"
    run = vmsnap("--database", f"{folder}/x.db", "group", "list", "--json", status=10)
    hint = run.document["errors"][0]["hint"]
    assert shlex.split(hint) == ["mkdir", "-m", "700", folder]
