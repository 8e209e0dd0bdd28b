"""A process that outlives vmsnap and lets a guest go on that it left suspended or frozen (H29).

It is told on its standard input, one word a line, what is about to be done to the guest. When that
input ends, because vmsnap is done or was killed, it resumes and thaws what was not yet said to go
on again. It runs in a session of its own and holds nothing of vmsnap's, no lock either.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from vmsnap.errors import DomainNotFoundError, LibvirtError, VmsnapError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.hypervisor import LibvirtHypervisor
from vmsnap.host.processes import environment
from vmsnap.model import DomainId, DomainState
from vmsnap.ports import GuestStop, Hypervisor

READY = "ready"
NOTED = "noted"
START_SECONDS = 30.0
RETRY_SECONDS = 0.2
GIVE_UP_SECONDS = 3600.0
"""How long a libvirtd that does not answer is waited for."""


class ProcessGuestWatcher:
    """The GuestWatcher port: a process for each watched guest, connected to the same libvirt."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @contextmanager
    def watch(self, domain_id: DomainId) -> Iterator["_Watch"]:
        """Start the process; at the end let it finish its work and go."""
        process = subprocess.Popen(
            # Nothing is imported from the folder in which it runs (P) or the user's own (s), but
            # all from where this process does: vmsnap may lie where only its program looks.
            [sys.executable, "-sP", "-m", __spec__.name, self._uri, domain_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # A Ctrl-C reaches the whole foreground group of a terminal.
            start_new_session=True,
            cwd="/",
            env={**environment(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        watch = _Watch(process)
        try:
            watch.expect(READY)
            yield watch
        finally:
            watch.end()


class _Watch:
    """The GuestWatch of one process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._standing: set[GuestStop] = set()

    def stopping(self, what: GuestStop) -> None:
        """Say that the guest is about to stand still; returns when that is noted."""
        self._standing.add(what)
        self._say(f"stopping {what.value}")

    def going(self, what: GuestStop) -> None:
        """Say that the guest goes on again."""
        self._say(f"going {what.value}")
        self._standing.discard(what)

    def expect(self, word: str) -> None:
        """Read one line of the process; raises LibvirtError if it says anything else."""
        said = self._process.stdout.readline().strip() if self._process.stdout else ""
        if said != word:
            raise LibvirtError(
                "the process that watches over the guest ended: it would not be resumed"
            )

    def end(self) -> None:
        """Let the process go; it first lets a guest go on that stands still."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if not self._standing:
            self._process.wait(START_SECONDS)

    def _say(self, line: str) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
        except OSError as error:
            message = "the process that watches over the guest ended: it would not be resumed"
            raise LibvirtError(message) from error
        self.expect(NOTED)


def keep_watch(lines: Iterable[str], answer: Callable[[str], None]) -> set[GuestStop]:
    """Note what is said until there is no more; return in which ways the guest still stands."""
    standing: set[GuestStop] = set()
    for line in lines:
        how, _, what = line.strip().partition(" ")
        if how == "stopping":
            standing.add(GuestStop(what))
        else:
            standing.discard(GuestStop(what))
        answer(NOTED)
    return standing


def let_go(
    hypervisor: Hypervisor,
    domain_id: DomainId,
    standing: set[GuestStop],
    *,
    seconds: float = GIVE_UP_SECONDS,
) -> None:
    """Resume and thaw a guest, again and again until libvirt has done it or the time is up."""
    actions = {GuestStop.SUSPENDED: hypervisor.resume, GuestStop.FROZEN: hypervisor.thaw}
    until = time.monotonic() + seconds
    # A suspended guest cannot thaw: its agent stands still too.
    for what in (GuestStop.SUSPENDED, GuestStop.FROZEN):
        while what in standing and time.monotonic() < until:
            try:
                actions[what](domain_id)
            except DomainNotFoundError:
                return
            except VmsnapError:
                if _is_off(hypervisor, domain_id):
                    return
                time.sleep(RETRY_SECONDS)
            else:
                break


def _is_off(hypervisor: Hypervisor, domain_id: DomainId) -> bool:
    try:
        return hypervisor.domain(domain_id).state is DomainState.SHUT_OFF
    except DomainNotFoundError:
        return True
    except VmsnapError:
        return False


def main(uri: str, domain_id: DomainId) -> None:
    """Watch over one guest until standard input ends."""
    hypervisor = LibvirtHypervisor(uri, XmlDefinitions.for_uri(uri))
    # Connected now, so that it takes no time when it counts.
    hypervisor.domain(domain_id)

    def answer(word: str) -> None:
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()

    answer(READY)
    standing = keep_watch(sys.stdin, answer)
    let_go(hypervisor, domain_id, standing)


if __name__ == "__main__":
    main(sys.argv[1], DomainId(sys.argv[2]))
