"""The names of domains and disks as virsh lists them: importing libvirt takes longer than virsh."""

import os
import select
import time

_LIMIT_SECONDS = 1.0
"""Who waits for these names has pressed a key: a libvirtd that hangs is not waited for."""
_SIGKILL = 9
_PIECE_BYTES = 65536
_DISK_COLUMNS = 3


def domain_names(uri: str) -> list[str]:
    """Return the names of all domains.

    This and all below raise TimeoutError if libvirt does not answer within a second, OSError if
    virsh fails or is not installed.
    """
    return _lines(uri, "list", "--all", "--name")


def disk_targets(uri: str, domain: str) -> list[str]:
    """Return the targets of a domain's disks, without CD-ROMs and floppies."""
    rows = [line.split() for line in _lines(uri, "domblklist", "--details", "--domain", domain)]
    return [row[2] for row in rows if row[1:2] == ["disk"] and len(row) >= _DISK_COLUMNS]


def domain_uuids(uri: str, domain: str) -> list[str]:
    """Return the UUID of the domain that is called so, if there is one."""
    return _lines(uri, "domuuid", "--domain", domain)


def _lines(uri: str, *words: str) -> list[str]:
    """Run virsh on a read-only connection; return the lines that it prints.

    It has no terminal: neither it nor libvirt can ask for a password.
    """
    reading, writing = os.pipe()
    command = ["virsh", "--readonly", "--quiet", "--connect", uri, *words]
    # Not subprocess: importing it takes as long as Python's own start.
    process = os.posix_spawnp(
        command[0],
        command,
        {name: value for name, value in os.environ.items() if not name.startswith("VMSNAP_")},
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ),
        setsid=True,
    )
    os.close(writing)
    try:
        output = _read_to_end(reading, process)
    except BaseException:
        os.kill(process, _SIGKILL)
        raise
    finally:
        os.close(reading)
        _, status = os.waitpid(process, 0)
    if status:
        raise ChildProcessError(f"virsh failed with status {status}")
    return [line for line in output.decode(errors="surrogateescape").split("\n") if line]


def _read_to_end(descriptor: int, process: int) -> bytes:
    """Read all that a process prints until it ends; raises TimeoutError if that takes too long."""
    until = time.monotonic() + _LIMIT_SECONDS
    pieces: list[bytes] = []
    _await(descriptor, until)
    while piece := os.read(descriptor, _PIECE_BYTES):
        pieces.append(piece)
        _await(descriptor, until)
    end = os.pidfd_open(process)
    try:
        _await(end, until)
    finally:
        os.close(end)
    return b"".join(pieces)


def _await(descriptor: int, until: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise TimeoutError
