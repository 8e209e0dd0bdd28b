"""Every fsync of a process and of all that it starts, seen just before it happens.

The kernel stops each at a seccomp filter and asks: SQLite's own calls and those of qemu-img are
seen like Python's. A kill before and one behind an fsync are the same but for a power cut: what
was written is in the page cache either way.
"""

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

# Numbers of x86-64, where QEMU's own tests run too.
FSYNC, FDATASYNC, SECCOMP = 74, 75, 317
SET_MODE_FILTER, NEW_LISTENER = 1, 8
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ASK = 0x7FFF0000, 0x7FC00000
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTICE_BYTES, ARGUMENTS_AT = 80, 32
GO_ON = 1
STAYS = "guest_watcher"
"""What vmsnap starts to outlive it: a kill of its children leaves it alone."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def announce(channel: socket.socket) -> None:
    """Have every fsync of this process and its children asked for; send the listener."""
    instructions = (
        (LOAD, 0, 0, 0),
        (JUMP_IF_EQUAL, 2, 0, FSYNC),
        (JUMP_IF_EQUAL, 1, 0, FDATASYNC),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ASK),
    )
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *item) for item in instructions)
    )
    program = _Program(len(instructions), ctypes.cast(code, ctypes.c_void_p))
    library = ctypes.CDLL(None, use_errno=True)
    listener = library.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp does not let fsyncs be seen here")
    socket.send_fds(channel, [b"."], [listener])
    os.close(listener)


def supervise(
    channel: socket.socket, pid: int, log: int, at: int | None, *, with_children: bool
) -> None:
    """Write each fsync's name to `log`; kill `pid` before the `at`-th; end when all have ended.

    What outlives the kill is served on: without an answer its fsyncs would fail.
    """
    handle = os.pidfd_open(pid)
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    for count, (asked, name) in enumerate(_notices(descriptors[0]), start=1):
        os.write(log, f"{name}\n".encode())
        if count == at:
            children = _children(pid) if with_children else []
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        with contextlib.suppress(OSError):  # it was killed
            fcntl.ioctl(descriptors[0], SEND, bytearray(struct.pack("QqiI", asked, 0, 0, GO_ON)))


def _notices(listener: int) -> Iterator[tuple[int, str]]:
    """Yield the id and the name of each fsync that waits for an answer."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while not any(event & select.POLLHUP for _, event in waiting.poll()):
        notice = bytearray(NOTICE_BYTES)
        try:
            fcntl.ioctl(listener, RECEIVE, notice)
        except OSError:  # it was killed meanwhile
            continue
        asked, pid = struct.unpack_from("QI", notice)
        (descriptor,) = struct.unpack_from("Q", notice, ARGUMENTS_AT)
        yield asked, _name(pid, descriptor)


def _name(pid: int, descriptor: int) -> str:
    try:
        program = Path(f"/proc/{pid}/comm").read_text().strip()
        path = str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
    except OSError:
        return "a process that ended"
    place = next((word for part, word in PLACES if part in path), "another file")
    return f"qemu-img: {place}" if program == "qemu-img" else place


PLACES = (
    ("/journal", "journal"),
    ("vmsnap.db-wal", "database's log"),
    ("vmsnap.db", "database"),
    ("/database", "database's folder"),
    ("/swtpm/", "TPM state"),
    ("/nvram", "NVRAM"),
    ("/qemu", "NVRAM"),
    (".vmsnap.json", "identity record"),
    (".qcow2", "image"),
    (".raw", "image"),
    ("/images/", "folder of images"),
)


def _children(pid: int) -> list[int]:
    """Stop a process; return all that it has started and that is not meant to outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and STAYS not in (place / "cmdline").read_text():
                found.append(int(place.name))
    return found
