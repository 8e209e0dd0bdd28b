"""Draw the README's pictures: what real runs of vmsnap show on a terminal, as SVG.

Called by `make pictures` on a private host. The machines are made for it, and so are their groups;
that those are some days old is the only thing that is played: they are made by a vmsnap whose clock
is behind.
"""

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from pathlib import Path

from livebed.machine import Hardware, Machine
from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
COLUMNS = 92
# Rich names fonts on other hosts; whoever looks at a picture should fetch nothing.
FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
BEHIND = "--hours-behind"

PICTURES = {
    "tree": (("group", "tree", "web1"),),
    "lists": (("vm", "list"), ("group", "list")),
    "revert": (
        ("group", "diff", "web1", "before-upgrade"),
        ("group", "revert", "web1", "before-upgrade"),
    ),
    "prune": (("prune", "db1", "--keep-last", "2", "--keep-weekly", "4", "--dry-run"),),
    "doctor": (("status", "--max-age", "26h"), ("doctor",)),
}
"""The pictures, and the commands that each shows, in the order in which they are run."""


class PictureError(Exception):
    """A command did not end as a picture needs it."""


def run_behind(hours: float, arguments: Sequence[str]) -> int:
    """Run vmsnap in this process with a clock that is some hours behind."""
    from vmsnap.cli import wiring
    from vmsnap.cli.main import main

    real = wiring.SystemClock.now
    wiring.SystemClock.now = lambda clock: real(clock) - timedelta(hours=hours)
    return main(arguments)


def make(hours: float, *arguments: str) -> None:
    """Run vmsnap as it would have been some hours ago."""
    command = (sys.executable, __file__, BEHIND, str(hours), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise PictureError(f"{shlex.join(arguments)}: {done.stderr}")


def set_the_scene(stack: ExitStack) -> None:
    """Make three machines with groups: one with a branch, one with a line, one with none."""
    web = machine(stack, "web1", Hardware(disks=("qcow2", "qcow2")))
    db = machine(stack, "db1", Hardware(disks=("qcow2",)))
    machine(stack, "mail", Hardware(disks=("raw",), tpm=None))
    words = ("--description", "known good")
    make(24 * 9, "snapshot", "create", "web1", "--name", "base-install", *words)
    grow(web, 4)
    make(24 * 2, "snapshot", "create", "web1", "--name", "before-upgrade")
    grow(web, 9)
    make(24, "snapshot", "create", "web1", "--name", "upgraded", "--description", "php 8.4")
    grow(web, 2)
    make(3, "group", "revert", "web1", "before-upgrade")
    grow(web, 3)
    make(2, "snapshot", "create", "web1", "--name", "upgrade-2nd-try")
    make(2, "group", "pin", "web1", "base-install")
    grow(web, 1)
    for days in (12, 9, 6, 5, 4, 3, 2, 1):
        make(24 * days, "snapshot", "create", "db1")
        grow(db, days % 4 + 1)


def machine(stack: ExitStack, name: str, hardware: Hardware) -> Machine:
    """Make a machine that is off, with its host files; it is removed in the end."""
    made = Machine(hardware, name=name)
    stack.callback(made.remove)
    made.create()
    made.make_host_files()
    return made


def grow(machine_: Machine, mib: int) -> None:
    """Write to the disks that the machine uses now."""
    for path in machine_.disks.values():
        order = f"write -q -P {mib} {mib}M {mib}M"
        subprocess.run(["qemu-io", "-f", path.suffix[1:], "-c", order, str(path)], check=True)


def on_a_terminal(*arguments: str) -> str:
    """Run vmsnap on a terminal of its own; return what it wrote there, colours and all."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    command = (sys.executable, "-m", "vmsnap", *arguments)
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    ):
        os.close(terminal)
        return last_of_each_line(b"".join(read_all(controller)).decode())


def read_all(controller: int) -> Iterator[bytes]:
    """Read a terminal until all that wrote to it have gone."""
    with os.fdopen(controller, "rb", buffering=0) as stream:
        while True:
            try:
                data = stream.read(65536)
            except OSError:  # EIO: nobody has it open any more
                return
            if not data:
                return
            yield data


def last_of_each_line(text: str) -> str:
    """Leave what is seen in the end where a line was written over by progress."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\r")[2] for line in lines)


def draw(name: str, commands: Sequence[Sequence[str]]) -> None:
    """Run the commands of one picture, and write it."""
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for command in commands:
        console.print(Text(f"# vmsnap {shlex.join(command)}", style="bold"))
        console.print(Text.from_ansi(on_a_terminal(*command)))
    drawn = console.export_svg(title="vmsnap", unique_id=f"vmsnap-{name}")
    lines = (line.rstrip() for line in FONT_FACES.sub("", drawn).splitlines())
    (FOLDER / f"{name}.svg").write_text("\n".join(lines) + "\n")


def main() -> int:
    """Draw all pictures."""
    if BEHIND in sys.argv[1:2]:
        return run_behind(float(sys.argv[2]), sys.argv[3:])
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as stack:
        set_the_scene(stack)
        for name, commands in PICTURES.items():
            draw(name, commands)
    return 0


if __name__ == "__main__":
    sys.exit(main())
