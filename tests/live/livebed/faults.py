"""Runs of vmsnap under faults of disks, and what has to be true after any of them."""

import errno
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pytest
from livebed.killing import Ended, Runner
from livebed.machine import Machine, VirshError, virsh
from livebed.world import World
from servers.required import skip_or_fail

SOURCE = Path(__file__).with_name("faulty.c")
ORDERS_BYTES = 4096
SENTENCE_CHARACTERS = 500
LEFT = 30
STOP_SECONDS = 30
PID_FILE = Path("/run/libvirtd.pid")


class FaultyRunner(Runner):
    """Runs vmsnap in processes whose system calls fail when that is ordered."""

    def __init__(self, database: str) -> None:
        if shutil.which("cc") is None:
            skip_or_fail("needs a C compiler")
        self._faults = Path(tempfile.mkdtemp(prefix="vmsnap-test-"))
        library, self._orders = self._faults / "faulty.so", self._faults / "orders"
        compiler = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(compiler, check=True, timeout=60)
        self._orders.write_bytes(bytes(ORDERS_BYTES))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(library))
            patch.setenv("VMSNAP_TEST_FAULT", str(self._orders))
            super().__init__(database)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._faults)

    @contextmanager
    def fault(
        self, call: str, path: str, number: int = errno.EIO, *, count: int = 1, once: bool = False
    ) -> Iterator[None]:
        """Let calls on files whose path holds `path` fail from the `count`-th on, or that one only.

        `call` is one that faulty.c knows.
        """
        how = "once:" if once else ""
        self._order(f"{how}{call} {path} {number} {count}\n".encode())
        try:
            yield
        finally:
            self._order(b"")

    @property
    def met(self) -> bool:
        """Whether a call has failed since the last order."""
        return self._orders.read_bytes()[-1:] == b"!"

    def _order(self, line: bytes) -> None:
        descriptor = os.open(self._orders, os.O_WRONLY)
        try:
            os.pwrite(descriptor, line.ljust(ORDERS_BYTES, b"\0"), 0)
        finally:
            os.close(descriptor)


class Trial:
    """One verb on one machine, done once to see what it leads to, then again under faults."""

    def __init__(self, world: World, run: Runner, words: tuple[str, ...]) -> None:
        self.world, self.run, self.words = world, run, words
        self.start = world.save(f"start of {' '.join(words[:2])}")
        self.before = world.seen()
        self.calls = run(*words, status=0).calls
        self.after = world.seen()
        assert world.leftovers() == []
        assert self.after.essence != self.before.essence
        self.put_back()

    def put_back(self) -> None:
        """Make all as it was before the verb."""
        self.start.put_back()

    def judge(self, ended: Ended, where: str) -> str:
        """Fail unless status, words and state agree: "refused", "undone", "done" or "left".

        Refused and undone, all is as before; done, it is as after an undisturbed run; left, a
        journal is there and recover is named.
        """
        where = f"{where}: {ended.status} {ended.stdout} {ended.stderr}"
        assert "Traceback" not in ended.stderr, where
        if ended.status == 0:
            assert self.outcome(where) == "finished", where
            return "done"
        error = ended.document["errors"][0]
        sentence = error["message"]
        assert 0 < len(sentence) < SENTENCE_CHARACTERS, where
        assert "\n" not in sentence, where
        assert not sentence.endswith("."), where
        if ended.status == LEFT:
            assert error["hint"] == "vmsnap recover", where
            assert ended.document["changed"] is True, where
            assert self.world.journals(), where
            return "left"
        assert error["hint"], where
        assert 10 <= ended.status < LEFT, where
        assert ended.document["changed"] is False, where
        assert self.outcome(where) == "before", where
        return "refused" if ended.status < 20 else "undone"

    def outcome(self, where: str) -> str:
        """Return whether all is as before or finished; fail if it is neither."""
        assert self.world.leftovers() == [], where
        seen = self.world.seen()
        if seen == self.before:
            return "before"
        assert seen.essence == self.after.essence, where
        assert self.world.damaged() == [], where
        return "finished"

    def recover(self, where: str) -> str:
        """Recover, twice: the second time there is nothing to do."""
        done = self.run("recover", status=0)
        assert not done.stderr.startswith("error"), where
        again = self.run("recover", status=0)
        assert again.document["data"]["operations"] == [], where
        return self.outcome(where)


@contextmanager
def held(run: Runner, *words: str, at: int) -> Iterator[None]:
    """Let a run stand still behind its `at`-th changing call for a `with` block; `end` it then."""
    run.start(*words, at=at, number=signal.SIGSTOP)
    until = time.monotonic() + STOP_SECONDS
    try:
        while run.state() != "T":
            assert time.monotonic() < until, "it did not come to that call"
            time.sleep(0.005)
        yield
    finally:
        run.kill(signal.SIGCONT)


def kill_libvirtd() -> None:
    """Kill the private host's libvirtd, and wait until it is gone."""
    pid = int(PID_FILE.read_text())
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.005)


def start_libvirtd() -> None:
    """Start it again, and wait until it answers."""
    subprocess.run(["libvirtd", "-d"], check=True, timeout=30)
    until = time.monotonic() + STOP_SECONDS
    while True:
        try:
            virsh("version")
        except VirshError:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            return


def kill_qemu(machine: Machine) -> None:
    """Kill a machine's QEMU, and wait until libvirt knows."""
    pid = Path(f"/run/libvirt/qemu/{machine.name}.pid").read_text().strip()
    os.kill(int(pid), signal.SIGKILL)
    until = time.monotonic() + STOP_SECONDS
    while machine.state != "shut off":
        assert time.monotonic() < until
        time.sleep(0.02)
