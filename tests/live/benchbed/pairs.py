"""Commands that take turns, so that the machine's load and pace hit them alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


class BenchError(Exception):
    """Something was not measured as it was meant to be."""


@dataclass(frozen=True)
class Took:
    """What a command took: wall clock, and processor time with that of its children."""

    wall_ms: float
    cpu_ms: float


def timed(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Took:
    """Run a command from its start to its exit; raise BenchError if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    assert process.stdout is not None
    with process.stdout as stream:
        said = stream.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        message = f"{' '.join(command)} ended with {process.returncode}\n{said.decode()}"
        raise BenchError(message)
    return Took(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def in_turns(ways: Mapping[str, Callable[[int], Took]], rounds: int) -> dict[str, list[Took]]:
    """Take each way once a round; another one is the first in each."""
    found: dict[str, list[Took]] = {way: [] for way in ways}
    names = list(ways)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(ways[name](number))
    return found


def ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios pair by pair."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))
