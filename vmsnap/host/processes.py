"""Run an outside program to its end: the one door through which vmsnap starts processes."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from vmsnap.errors import LeftChangedError, ProgramMissingError, VmsnapError
from vmsnap.host.os_errors import KERNEL_LOG, hint_in

log = logging.getLogger(__name__)

PACKAGES = {"qemu-img": "qemu-utils"}
"""Which Debian package brings a program."""

LISTEN_SECONDS = 0.2
"""How often a listener is told."""
REAP_SECONDS = 10.0
"""How long a killed program may take to go; one that hangs in the kernel is not waited for."""


def run(
    argv: Sequence[str],
    *,
    task: str,
    error_class: type[VmsnapError],
    timeout_seconds: float,
    pass_fds: Sequence[int] = (),
    listener: Callable[[bytes], None] | None = None,
) -> bytes:
    """Run a program and return what it wrote to stdout.

    While it runs, a `listener` is told now and then all that it wrote so far.

    It gets a session of its own, so that a terminal's Ctrl-C reaches vmsnap alone, and inherits
    `pass_fds` and no other descriptor. Whatever ends the call early, a signal's exception too,
    kills the program first.

    Raises ProgramMissingError if the program is not installed; `error_class`, worded as "cannot
    TASK: reason", if it fails or is not done after `timeout_seconds`. Raises LeftChangedError if it
    inherited descriptors, so that it writes, and hangs in the kernel even when it was killed:
    nothing may be done beside it.
    """
    log.debug("running %s", argv)
    process = _start(argv, task, error_class, pass_fds)
    try:
        output, complaint = _output(process, timeout_seconds, listener)
    except BaseException as error:  # a signal, too, must not leave it running
        if not has_ended_by_kill(process) and pass_fds:
            message = (
                f"cannot {task}: '{argv[0]}' (process {process.pid}) hangs and may still write"
            )
            raise LeftChangedError(message, hint="vmsnap recover") from error
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        message = f"cannot {task}: '{argv[0]}' did not end within {timeout_seconds:.0f} seconds"
        raise error_class(message, hint=KERNEL_LOG) from error
    if process.returncode != 0:
        raise _failure(argv[0], task, error_class, complaint, process.returncode)
    return output


def read_side_by_side(
    programs: Sequence[tuple[Sequence[str], str]],
    *,
    error_class: type[VmsnapError],
    timeout_seconds: float,
) -> tuple[bytes | VmsnapError, ...]:
    """Run programs that only read, each with its task, at the same time, and wait for all.

    Returns for each what it wrote to stdout, or the error that `run` would raise if it failed.
    Whatever ends the call early kills them all; what `run` raises then is raised here, too.
    """
    until = time.monotonic() + timeout_seconds
    processes: list[subprocess.Popen[bytes]] = []
    ended: list[bytes | VmsnapError] = []
    task = ""
    try:
        for argv, task in programs:
            log.debug("running %s", argv)
            processes.append(_start(argv, task, error_class, ()))
        for process, (argv, task) in zip(processes, programs, strict=True):
            # The others write on meanwhile; one whose pipe is full waits.
            left_seconds = max(0.0, until - time.monotonic())
            output, complaint = process.communicate(timeout=left_seconds)
            status = process.returncode
            failure = _failure(argv[0], task, error_class, complaint, status) if status else None
            ended.append(failure or output)
    except BaseException as error:
        for process in processes:
            has_ended_by_kill(process)
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        message = f"cannot {task}: it did not end within {timeout_seconds:.0f} seconds"
        raise error_class(message, hint=KERNEL_LOG) from error
    return tuple(ended)


def environment() -> dict[str, str]:
    """Return the environment for programs: vmsnap's own variables are none of their business.

    One of them may hold the database's password.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("VMSNAP_")}


def start(
    argv: Sequence[str],
    variables: Mapping[str, str],
    *,
    pass_fds: Sequence[int] = (),
    stderr: int = subprocess.PIPE,
    umask: int = -1,
    cwd: str | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, its stdout a pipe. Raises what Popen raises.

    A signal's exception that comes meanwhile kills it again: it would leave a program that may
    write and that nobody knows of.
    """
    begun: SimpleQueue[subprocess.Popen[bytes] | OSError | ValueError] = SimpleQueue()

    def begin() -> None:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=variables,
                cwd=cwd,
                umask=umask,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            begun.put(error)
        else:
            begun.put(process)

    # No thread but the main one has a signal's exception raised in it.
    thread = threading.Thread(target=begin)
    try:
        thread.start()
        thread.join()
    except BaseException:
        if thread.ident is not None:
            thread.join()
            found = begun.get()
            if isinstance(found, subprocess.Popen):
                has_ended_by_kill(found)
        raise
    found = begun.get()
    if isinstance(found, subprocess.Popen):
        return found
    raise found


def _start(
    argv: Sequence[str], task: str, error_class: type[VmsnapError], pass_fds: Sequence[int]
) -> "subprocess.Popen[bytes]":
    try:
        return start(argv, {**environment(), "LC_ALL": "C"}, pass_fds=pass_fds)
    except FileNotFoundError as error:
        package = PACKAGES.get(argv[0])
        message = f"the program '{argv[0]}' is not installed"
        hint = f"apt install {package}" if package else None
        raise ProgramMissingError(message, hint=hint) from error
    except OSError as error:
        message = f"cannot {task}: '{argv[0]}' cannot be started: {error.strerror}"
        raise error_class(message) from error


def has_ended_by_kill(process: "subprocess.Popen[bytes]") -> bool:
    """Kill a program that leads its own process group, and the group; tell whether it is gone."""
    # The program leads its own process group, so what it started goes with it.
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(REAP_SECONDS)
    except subprocess.TimeoutExpired:
        log.warning("process %d was killed but has not ended", process.pid)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return process.returncode is not None


def _output(
    process: "subprocess.Popen[bytes]",
    timeout_seconds: float,
    listener: Callable[[bytes], None] | None,
) -> tuple[bytes, bytes]:
    """Wait for a program's end. Raises TimeoutExpired."""
    if listener is None:
        return process.communicate(timeout=timeout_seconds)
    until = time.monotonic() + timeout_seconds
    while True:
        left = max(until - time.monotonic(), 0.0)
        try:
            return process.communicate(timeout=min(left, LISTEN_SECONDS))
        except subprocess.TimeoutExpired as unfinished:
            if left <= LISTEN_SECONDS:
                raise
            listener(unfinished.output or b"")


def _failure(
    program: str, task: str, error_class: type[VmsnapError], complaint: bytes, status: int
) -> VmsnapError:
    message = f"cannot {task}: {_reason(program, complaint, status)}"
    # What no one here kills was killed by the kernel, for want of memory.
    hint = KERNEL_LOG if status == -signal.SIGKILL else hint_in(message)
    return error_class(message, hint=hint)


def _reason(program: str, complaint: bytes, status: int) -> str:
    if status < 0:
        return f"'{program}' was ended by signal {-status}"
    lines = [line.strip() for line in complaint.decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return last.removeprefix(f"{program}: ") or f"'{program}' failed with status {status}"
