"""Measure vmsnap: how long it takes to start and to make a group, how long a guest stands still.

Called by `make bench` on a private host, with the programs of a virtual environment into which
vmsnap was installed from its wheel. Each table is printed when it is done. What is compared takes
turns, and its ratios are medians of those pair by pair, because the machine's pace changes.
"""

import argparse
import sys
from pathlib import Path

from benchbed import operations, startup, stillness
from benchbed.machines import on_disk
from benchbed.tables import table

TABLES = ("startup", "operations", "stillness")


def parsed() -> argparse.Namespace:
    """Read what is to be measured, and how often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(TABLES), metavar="|".join(TABLES))
    parser.add_argument("--programs", type=Path, default=Path(sys.executable).parent)
    parser.add_argument("--starts", type=int, default=31, help="rounds of the table startup")
    parser.add_argument("--creates", type=int, default=15, help="rounds of creates of one machine")
    parser.add_argument("--together", type=int, default=5, help="rounds of creates of all machines")
    parser.add_argument("--machines", type=int, default=10, help="how many those are")
    parser.add_argument("--rounds", type=int, default=30, help="rounds of the table stillness")
    parser.add_argument("--disks", type=int, nargs="+", default=(1, 4, 16), help="its guests")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"no table is called {' or '.join(sorted(unknown))}")
    return options


def main() -> int:
    """Measure and print the tables."""
    options = parsed()
    if "startup" in options.tables:
        say(f"{options.starts} starts of each")
        show(startup.measure(options.programs, options.starts))
    if "operations" in options.tables:
        lines = measure_operations(options, "in memory")
        with on_disk():
            lines += measure_operations(options, "on disk")
        show(table("operations", lines))
    if "stillness" in options.tables:
        found = {}
        for disks in options.disks:
            say(f"{options.rounds} rounds with {disks} disks")
            found[disks] = stillness.measure(disks, options.rounds)
        show(stillness.table(found))
    return 0


def measure_operations(options: argparse.Namespace, where: str) -> tuple[str, ...]:
    """Measure creates of one machine and of all; return the rows of both."""
    lines: tuple[str, ...] = ()
    for machines, times in ((1, options.creates), (options.machines, options.together)):
        say(f"{times} rounds with {machines} machines, {where}")
        lines += operations.measure(options.programs, machines=machines, times=times, where=where)
    return lines


def say(text: str) -> None:
    """Tell on stderr what is being measured."""
    sys.stderr.write(f"{text}\n")


def show(text: str) -> None:
    """Print a table at once."""
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
