"""Show the tool on a throw-away machine: what is typed, what it prints, and that it works.

Called by `make demo` on a private host, where nothing can be touched that is not the demo's own.
"""

import contextlib
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from livebed.machine import Hardware, Machine

NAME = "web1"
MONDAY = {"secret": "monday", "variable": "monday", "vda": "monday", "vdb": "monday"}
LABELS = {
    "secret": "secret sealed in the TPM",
    "variable": "UEFI variable in the NVRAM",
    "vda": "disk vda",
    "vdb": "disk vdb",
}
IN_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class DemoError(Exception):
    """Something did not come out as the demo says."""


def say(text: str) -> None:
    """Tell the reader something."""
    sys.stdout.write(textwrap.fill(" ".join(text.split()), 96) + "\n\n")
    sys.stdout.flush()


def title(text: str) -> None:
    """Begin a scene."""
    show(f"\n=== {text} " + "=" * max(0, 90 - len(text)), bold=True)
    show("")


def show(line: str, *, bold: bool = False) -> None:
    """Print one line as it is."""
    sys.stdout.write(f"\033[1m{line}\033[0m\n" if bold and IN_COLOUR else f"{line}\n")
    sys.stdout.flush()


def run(*command: str) -> None:
    """Show a command as an administrator would type it, run it, and let it print."""
    show(f"# {shlex.join(command)}", bold=True)
    status = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=120, check=False).returncode
    if status != 0:
        raise DemoError(f"the command ended with status {status}")
    show("")


def boot(machine: Machine, *orders: str) -> Mapping[str, str]:
    """Boot the guest, and show what it found."""
    show(f"# virsh start {NAME}", bold=True)
    begin = time.monotonic()
    found = machine.boot(*orders)
    show(f"(the guest booted, did its work and is off again: {time.monotonic() - begin:.0f} s)")
    for key, value in found.items():
        show(f"    {LABELS[key]:28} {'gone' if value == '-' else value}")
    show("")
    return found


def tell(machine: Machine, *orders: str) -> Mapping[str, str]:
    """Have the running guest carry out orders, and show what it found."""
    found = machine.tell(*orders)
    for key, value in found.items():
        show(f"    {LABELS[key]:28} {'gone' if value == '-' else value}")
    show("")
    return found


def groups() -> list[str]:
    """Return the names of all groups, oldest first."""
    command = ("vmsnap", "group", "list", NAME, "--json")
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return [group["name"] for group in json.loads(done.stdout)["data"]["groups"]]


@contextlib.contextmanager
def throw_away_machine() -> Iterator[Machine]:
    """Make the machine, and remove it on every path."""
    machine = Machine(Hardware(boots_guest=True, agent=True), name=NAME)
    try:
        machine.create()
        yield machine
    finally:
        machine.remove()


def play(machine: Machine) -> None:
    """Go through all scenes; raise DemoError where one does not come out as it says."""
    title("A machine with a UEFI firmware, a TPM and two disks")
    say(f"""{NAME} is a real machine under libvirt, made for this demo alone. A libvirt of its own
        runs it, apart from that of this host; both end with the demo.""")
    run("vmsnap", "vm", "show", NAME)
    say("""Its guest is a small Linux. It seals a secret in the TPM, as BitLocker or LUKS do with
        the key of a disk; sets a variable in the firmware's NVRAM, where boot entries and Secure
        Boot keys are; and writes to both disks.""")
    show(f"# virsh start {NAME}", bold=True)
    machine.boot_and_stay("mount", "agent", "write monday")
    tell(machine, "read")

    title("Monday: take a snapshot while it runs")
    say("""One command keeps disks, NVRAM, TPM state and definition, all of the same instant: a
        group. The guest runs on; its file systems are frozen for the moment by its agent.""")
    run("vmsnap", "snapshot", "create", NAME, "--name", "monday", "--quiesce")
    run("vmsnap", "group", "list", NAME)
    run("vmsnap", "group", "show", NAME, "monday")

    title("Friday: the guest destroys everything")
    say("It clears its TPM, overwrites the variable and both disks.")
    if "monday" in tell(machine, "destroy", "read").values():
        raise DemoError("the guest did not destroy what it should")
    say("""A snapshot of the disks alone would not help: with Monday's disks and Friday's TPM,
        whatever the secret unlocked stays locked.""")

    title("Back to Monday")
    say("Can it be reverted? This looks at every image and every kept byte.")
    run("vmsnap", "group", "check", NAME, "--intact")
    say("Going back needs the machine shut off, so it is asked to shut down first.")
    run("vmsnap", "group", "revert", NAME, "monday", "--shutdown")
    if boot(machine, "read") != MONDAY:
        raise DemoError("not everything is back")
    say("Everything is back: the secret, the variable and both disks.")
    say(f"""What was there before the revert is not lost. It is kept as a safety group, and
        `vmsnap undo {NAME}` would bring it back.""")
    run("vmsnap", "group", "tree", NAME)

    title("Leave without a trace")
    say("""A snapshot freezes the disks' files and puts new ones on top. Deleting groups merges
        them; what the machine reads now does not change.""")
    run("virsh", "domblklist", NAME)
    run("vmsnap", "group", "delete", NAME, *groups(), "--yes")
    run("virsh", "domblklist", NAME)
    run("vmsnap", "history", NAME)
    if machine.disks != machine.originals:
        raise DemoError("the machine is not on its original files")
    if boot(machine, "read") != MONDAY:
        raise DemoError("the machine has lost something by the delete")
    say(f"""{NAME} is on its original files again, with everything in it. The demo now removes it;
        on a host of yours you would begin with `vmsnap vm list`.""")


def main() -> int:
    """Play the demo; return 0 if everything came out as it said."""
    # The command of this clone, found as if it was installed.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in tuple(os.environ):
        if name.startswith("VMSNAP_") and not name.startswith("VMSNAP_TEST_"):
            del os.environ[name]
    begin = time.monotonic()
    try:
        with throw_away_machine() as machine:
            play(machine)
    except DemoError as error:
        show(f"\nThe demo failed: {error}.")
        return 1
    except KeyboardInterrupt:
        show("\nInterrupted; the machine is removed.")
        return 130
    show(f"The demo took {time.monotonic() - begin:.0f} seconds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
