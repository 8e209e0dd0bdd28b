"""Refusals: one sentence, a hint, the right status, and nothing changed."""

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from livebed.command import Vmsnap
from livebed.machine import Machine

SENTENCE_CHARACTERS = 400


def refused(
    vmsnap: Vmsnap, *words: str, status: int, machine: Machine | None = None, hint: bool = True
) -> str:
    """Run a command that must be refused with `status`; return the sentence that says why.

    Fails unless it is one sentence on standard error, with a hint if `hint`, and unless the
    machine's folder, definition and host files are the same afterwards.
    """
    before = None if machine is None else looks(machine)
    answer = vmsnap(*words, status=status, as_json=False)
    assert machine is None or looks(machine) == before
    said = answer.stderr.splitlines()
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1, answer.stderr
    sentence = errors[0].removeprefix("error: ")
    assert 0 < len(sentence) < SENTENCE_CHARACTERS
    assert not sentence.endswith(".")
    hints = [line for line in said if line.startswith("hint: ")]
    assert len(hints) == int(hint), answer.stderr
    return sentence


def looks(machine: Machine) -> tuple[object, ...]:
    """Return what a refusal must not change."""
    files = {
        path.name: (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in machine.folder.iterdir()
    }
    return (machine.definition(), files, _host_files(machine))


def _host_files(machine: Machine) -> Mapping[str, object]:
    paths = (machine.nvram, machine.tpm.parent, machine.tpm, *machine.tpm.parent.rglob("*"))
    found = {}
    for path in paths:
        try:
            look = path.lstat()
        except FileNotFoundError:
            continue
        found[str(path)] = (look.st_ino, look.st_mode, look.st_size, look.st_mtime_ns)
    return found


class SmallDisk:
    """A file system of a few MiB in memory, mounted at a folder."""

    def __init__(self, folder: Path, mib: int) -> None:
        self.folder = folder
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)
        # As what it hides, for a folder of libvirt's.
        look = folder.stat()
        options = f"size={mib}m,mode={look.st_mode & 0o777:o},uid={look.st_uid},gid={look.st_gid}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)

    def fill(self, free_kib: int = 0) -> None:
        """Take all the space that is left, but for a few KiB."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(bytes(4096))
            file.truncate(file.tell() - free_kib * 1024)

    def empty(self) -> None:
        """Give the space back."""
        (self.folder / "filler").unlink()

    def remount(self, option: str) -> None:
        """Change an option, ro or rw."""
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)

    def remove(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
