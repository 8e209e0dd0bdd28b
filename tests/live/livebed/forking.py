"""A program that has imported vmsnap and forks itself for each run: a start costs 40 ms, not 1 s.

Each line on its standard input orders one run; it answers with a line when the run has begun, and
with another when it has ended. A run can send itself a signal right after one of the calls by which
vmsnap changes anything, or after a step of its journal; before an fsync it is sent from outside.
vmsnap itself knows nothing of this.
"""

import functools
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from livebed import fsyncs

FLAGS = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC

IMPORTED = (
    *("libvirt", "typer.main", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.mysql.pymysql"),
    *("pymysql", "lxml.etree", "zoneinfo"),
    *(f"vmsnap.cli.{name}" for name in ("main", "app", "wiring", "log_file")),
    *(f"vmsnap.cli.render.{name}" for name in ("backup", "change", "group")),
    *(
        f"vmsnap.engine.{name}"
        for name in (
            *("backup", "check", "clone", "create", "delete"),
            *("purge", "recover", "restore", "revert", "undo", "ungroup"),
        )
    ),
)


def changing_calls() -> list[tuple[type, str]]:
    """Return every method of an adapter that changes something, and every qemu-img that writes."""
    from vmsnap.host.host_files import LocalHostFiles
    from vmsnap.host.hypervisor import LibvirtHypervisor
    from vmsnap.host.images import QemuImages
    from vmsnap.host.journal_files import FolderJournals
    from vmsnap.host.qemu_img import QemuImg
    from vmsnap.store.catalog import SqlCatalog

    methods = {
        FolderJournals: ("start", "append", "remove"),
        SqlCatalog: ("reserve", "discard", "commit", "was_committed", "apply", "finish"),
        LibvirtHypervisor: (
            *("define", "switch_disks", "merge_live"),
            *("suspend", "resume", "freeze", "thaw", "start", "shut_down"),
            *("remove_managed_save", "redefine_managed_save"),
        ),
        QemuImages: ("create_overlay", "commit", "rebase", "set_backing", "remove_overlay"),
        LocalHostFiles: ("stage", "exchange", "rename", "discard"),
        QemuImg: ("_write",),
    }
    return [(owner, name) for owner, names in methods.items() for name in names]


class Moments:
    """Counts what a run does, by kind, and ends it behind the one that was chosen."""

    def __init__(self, order: dict[str, Any]) -> None:
        folder = Path(order["folder"])
        self._at, self._kind, self._number = order["at"], order["kind"], order["signal"]
        self._files = {kind: os.open(folder / f"{kind}s", FLAGS) for kind in ("call", "step")}
        self._counts = dict.fromkeys(self._files, 0)

    def passed(self, kind: str, name: str) -> None:
        """Write down what has ended; die if it is the one."""
        self._counts[kind] += 1
        os.write(self._files[kind], f"{name}\n".encode())
        if (kind, self._counts[kind]) == (self._kind, self._at):
            os.kill(os.getpid(), self._number)


def leave_out(step: str) -> None:
    """Let "do" or "undo" of one kind of step do nothing, as if it had been forgotten."""
    from vmsnap.engine.steps.all import STEPS

    name, _, kind = step.partition(" ")
    if step:
        setattr(STEPS[kind], name, lambda _step, _run: None)


def watch(moments: Moments) -> None:
    """Let every changing call, and every step of a journal, be seen when it has ended."""
    from vmsnap.engine.steps.all import STEPS
    from vmsnap.host.journal_files import FolderJournals

    for owner, name in changing_calls():
        ended = functools.partial(moments.passed, "call", f"{owner.__name__}.{name}")
        _follow(owner, name, ended)
    for kind, step in STEPS.items():
        for name in ("do", "undo"):
            _follow(step, name, functools.partial(moments.passed, "step", f"{name} {kind}"))
    for name in ("start", "append", "remove"):
        _follow(FolderJournals, name, functools.partial(moments.passed, "step", f"journal {name}"))


def _follow(owner: type, name: str, ended: Callable[[], None]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        ended()
        return result

    setattr(owner, name, call)


def run(order: dict[str, Any]) -> int:
    """Run vmsnap as an order says, in this process, and watch it."""
    leave_out(order["without"])
    watch(Moments(order))
    return call(order)


def call(order: dict[str, Any]) -> int:
    """Run vmsnap as an order says, in this process."""
    folder = Path(order["folder"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, FLAGS), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])

    from vmsnap.cli.main import main

    try:
        return main(order["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def begin(order: dict[str, Any]) -> int:
    """Fork a process for a run, and one that sees its fsyncs if that was ordered."""
    if not order["sees_fsyncs"]:
        return forked(lambda: run(order))
    ours, theirs = socket.socketpair()

    def announced() -> int:
        ours.close()
        fsyncs.announce(theirs)
        theirs.close()
        return run(order)

    pid = forked(announced)
    theirs.close()
    at = order["at"] if order["kind"] == "fsync" else None
    log = os.open(Path(order["folder"]) / "fsyncs", FLAGS)

    def supervise() -> int:
        fsyncs.supervise(ours, pid, log, at, with_children=order["with_children"])
        return 0

    # A child of a child: nobody needs to wait for it.
    os.waitpid(forked(lambda: min(0, forked(supervise))), 0)
    ours.close()
    os.close(log)
    return pid


def forked(do: Callable[[], int]) -> int:
    """Run something in a process of its own; return its number."""
    pid = os.fork()
    if pid == 0:
        # A process like one that a shell has started: signals as they are by default.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = 1
        try:
            status = do()
        finally:
            os._exit(status)
    return pid


def serve() -> None:
    """Carry out the orders on standard input, one after the other."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        pid = begin(order)
        _answer(pid)
        _answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
