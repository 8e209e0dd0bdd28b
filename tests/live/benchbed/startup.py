"""How long vmsnap takes to start, beside Python itself."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchbed.machines import Machines
from benchbed.pairs import Took, in_turns, timed
from benchbed.tables import rows, table

BASELINE = "python -c pass"
GROUPS = ("monday", "tuesday", "friday")
AIMS = {
    "vmsnap --version": 2.0,
    "vmsnap __complete domain": 3.0,
    "vmsnap __complete group DOMAIN": 3.0,
    "vmsnap --help": 8.0,
    "vmsnap group list": 28.0,
}
SQLALCHEMY = "python -c 'import sqlalchemy'"
"""No aim: what of `group list` is this import alone."""


def measure(programs: Path, rounds: int) -> str:
    """Start each so many times, in turns, on a host with two machines and some groups."""
    with Machines(2) as machines:
        for name in GROUPS:
            command = (str(programs / "vmsnap"), "snapshot", "create", "--all", "--name", name)
            subprocess.run(command, check=True, capture_output=True)
        commands = _commands(programs, machines.names[0])
        ways = {
            name: lambda _number, command=command: timed(command)
            for name, command in commands.items()
        }
        found: dict[str, list[Took]] = in_turns(ways, rounds)
    return table("start-up", rows(BASELINE, found, AIMS))


def _commands(programs: Path, domain: str) -> dict[str, Sequence[str]]:
    python, vmsnap = str(programs / "python"), str(programs / "vmsnap")
    commands: dict[str, Sequence[str]] = {BASELINE: (python, "-c", "pass")}
    for name in AIMS:
        words = name.replace("DOMAIN", domain).split()
        commands[name] = (vmsnap, *words[1:])
    commands[SQLALCHEMY] = (python, "-c", "import sqlalchemy")
    return commands
