"""A program that has imported vmsnap and forks itself for each run: a start costs 40 ms, not 1 s.

Each line on its standard input orders one run; it answers with a line when the run has begun, and
with another when it has ended. A run can send itself a signal right after one of the calls by which
vmsnap changes anything. vmsnap itself knows nothing of this.
"""

import functools
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

IMPORTED = (
    *("libvirt", "typer.main", "sqlalchemy.dialects.sqlite", "lxml.etree", "zoneinfo"),
    *(f"vmsnap.cli.{name}" for name in ("main", "app", "wiring", "log_file")),
    *(f"vmsnap.cli.render_{name}" for name in ("backup", "change", "group")),
    *(
        f"vmsnap.engine.{name}"
        for name in ("backup", "check", "create", "delete", "recover", "restore", "revert", "undo")
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


def watch(calls: int, at: int | None, number: int) -> None:
    """Write the name of each changing call that has ended into `calls`; after the `at`-th, die."""
    count = 0

    def ended(name: str) -> None:
        nonlocal count
        count += 1
        os.write(calls, f"{name}\n".encode())
        if count == at:
            os.kill(os.getpid(), number)

    for owner, name in changing_calls():
        setattr(owner, name, _watched(getattr(owner, name), f"{owner.__name__}.{name}", ended))


def _watched(real: Any, name: str, ended: Any) -> Any:
    @functools.wraps(real)
    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        ended(name)
        return result

    return call


def run(order: dict[str, Any]) -> int:
    """Run vmsnap as an order says, in this process."""
    folder = Path(order["folder"])
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, flags), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    watch(os.open(folder / "calls", flags), order["at"], order["signal"])
    os.environ.update(order["environment"])

    from vmsnap.cli.main import main

    try:
        return main(order["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve() -> None:
    """Carry out the orders on standard input, one after the other."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            # A process like one that a shell has started: signals as they are by default.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os._exit(run(order))
        _answer(pid)
        _answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
