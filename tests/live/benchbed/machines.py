"""Machines that are shut off, and the way back to how they were before each measured run."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from livebed.machine import IMAGES, Hardware, Machine

STATE = Path("/var/lib/vmsnap")


class Machines:
    """So many UEFI+TPM machines of two disks, with NVRAM and TPM state; removed at the end."""

    def __init__(self, count: int) -> None:
        if os.environ.get("VMSNAP_TEST_HOST") != "private":
            raise RuntimeError("not on a private host: all of vmsnap's state would be removed")
        self._stack = ExitStack()
        self._machines = [Machine(Hardware()) for _ in range(count)]
        self._database: bytes | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(_empty, STATE)
            for machine in self._machines:
                stack.callback(machine.remove)
                machine.create()
                machine.make_host_files()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def names(self) -> list[str]:
        """Return what the machines are called."""
        return [machine.name for machine in self._machines]

    def make_database(self, vmsnap: str) -> None:
        """Have vmsnap make a database, as every host but a new one has it."""
        subprocess.run([vmsnap, "backup", "create", self.names[0]], check=True, capture_output=True)
        self._database = (STATE / "vmsnap.db").read_bytes()

    def reset(self) -> None:
        """Let all machines use their first images again; forget what was made since."""
        for machine in self._machines:
            machine.define(machine.xml())
            for path in machine.folder.iterdir():
                if path not in machine.originals.values():
                    path.unlink()
        for path in STATE.glob("vmsnap.db*"):
            path.unlink()
        if self._database is not None:
            (STATE / "vmsnap.db").write_bytes(self._database)
            (STATE / "vmsnap.db").chmod(0o600)
        # What was written here must not be waited for in what is measured.
        os.sync()


@contextmanager
def on_disk() -> Iterator[None]:
    """Put images and vmsnap's state on the machine's disk: a private host has them in memory."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="vmsnap-test-", dir="/var/tmp"))
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o711)
        for place, mode in ((IMAGES, 0o711), (STATE, 0o700)):
            own = folder / place.name
            own.mkdir()
            own.chmod(mode)
            subprocess.run(["mount", "--bind", str(own), str(place)], check=True)
            stack.callback(subprocess.run, ["umount", str(place)], check=True)
        yield


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
