"""One worker on a private host: its share of the sweeps, a line of JSON for each kill."""

import contextlib
import json
import random
import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from livebed.databases import MariaDbDatabase
from servers.mariadb import MariaDb, running_mariadb
from torture.bed import Bed
from torture.moments import Case, any_of, parse
from torture.scenarios import RUNNING, SCENARIOS, Scenario
from torture.sweep import Result, Sweep

STOP = "stop"
"""A file of this name beside the results ends a worker after the kill that it is at."""
DATABASES = ("SQLite", "MariaDB")
SHORTEST_SECONDS = 25.0
"""A sweep takes as long to prepare as several kills: with less time for each, some are left out."""
ANY_SHARE = 0.25
"""Of the kills while the known moments are gone through: at any time, or with more after them."""


@dataclass(frozen=True)
class Task:
    """A scenario in one state on one database."""

    scenario: Scenario
    state: str
    database: str

    def __str__(self) -> str:
        return f"{self.scenario.verb}/{self.state}/{self.database}"


@dataclass(frozen=True)
class Orders:
    """What a worker is to do: `share` of `workers`, for so many seconds.

    `only` is the beginning of a sweep's name, or a sweep's and a moment. `planted` is a step that
    vmsnap is to forget.
    """

    seed: int
    seconds: float
    results: Path
    failures: Path
    only: str = ""
    share: int = 0
    workers: int = 1
    planted: str = ""


def all_tasks() -> list[Task]:
    """Return every sweep there is."""
    return [
        Task(scenario, state, database)
        for scenario in SCENARIOS
        for state in scenario.states
        for database in DATABASES
    ]


def chosen(only: str) -> tuple[list[Task], Case | None]:
    """Return the sweeps that begin with `only`, or the one that it names with its moment."""
    for task in all_tasks():
        if only.startswith(f"{task}/"):
            return [task], parse(only.removeprefix(f"{task}/"))
    return [task for task in all_tasks() if str(task).startswith(only)], None


class Worker:
    """Carries out orders; `work` returns when the time is up or it is told to stop."""

    def __init__(self, orders: Orders, output: TextIO, started: contextlib.ExitStack) -> None:
        self.orders = orders
        self._output = output
        self._started = started
        self._beds: dict[tuple[bool, str], Bed] = {}
        self._server: MariaDb | None = None

    def work(self) -> None:
        """Go through the sweeps in an order that the seed gives, each for a part of the time."""
        tasks, case = chosen(self.orders.only)
        random.Random(self.orders.seed).shuffle(tasks)  # noqa: S311 - no secret, to be repeated
        mine = tasks[self.orders.share :: self.orders.workers]
        until = time.monotonic() + self.orders.seconds
        while mine and (left := until - time.monotonic()) > 0 and not self._is_stopped:
            slice_seconds = max(left / len(mine), SHORTEST_SECONDS)
            task = mine.pop(0)
            self._sweep(task, case, slice_seconds)

    def _sweep(self, task: Task, case: Case | None, seconds: float) -> None:
        """Prepare one sweep, and kill for so long."""
        try:
            sweep = Sweep(self._bed(task), task.scenario, task.state)
        except Exception:  # noqa: BLE001 - the other sweeps go on
            failures = [f"could not be done without a kill\n{traceback.format_exc()}"]
            self._say({"sweep": str(task), "kill": "none", "is_plain": True, "name": "none",
                       "outcome": "", "failures": failures})  # fmt: skip
            return
        self._say({"sweep": str(task), "moments": len(sweep.cases)})
        dice = random.Random(f"{self.orders.seed}/{task}")  # noqa: S311 - no secret
        outcomes: dict[int, str] = {}
        until = time.monotonic() + seconds
        cases = [case] if case is not None else _cases(sweep, dice, until)
        for each in cases:
            if self._is_stopped:
                break
            result = sweep.play(each, random.Random(f"{self.orders.seed}/{task}/{each}"))  # noqa: S311 - no secret
            if each.kind == "step" and each.is_plain and result.outcome:
                outcomes[each.at.number] = result.outcome
                self._compare(result, outcomes)
            self._report(task, sweep, result)
        sweep.end()

    @staticmethod
    def _compare(result: Result, outcomes: dict[int, str]) -> None:
        """Fail a kill that was taken back although one before it was finished, or the like."""
        in_order = [outcomes[number] for number in sorted(outcomes)]
        if in_order != sorted(in_order, key=("before", "finished").index):
            result.failures.append(
                f"taken back behind the commit, or finished before it: {outcomes}"
            )

    def _report(self, task: Task, sweep: Sweep, result: Result) -> None:
        name = f"{task}/{result.case}"
        if result.failures:
            self._keep(name, sweep, result)
            sweep.bed.untouched = sweep.bed.seen_other()
        self._say(
            {
                "sweep": str(task),
                "kill": str(result.case),
                "is_plain": result.case.is_plain,
                "name": result.name,
                "outcome": result.outcome,
                "failures": result.failures,
            }
        )

    def _keep(self, name: str, sweep: Sweep, result: Result) -> None:
        """Write down everything that is needed to understand a failure."""
        folder = self.orders.failures / name.replace("/", "_").replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        text = [
            f"make torture SEED={self.orders.seed} ONLY='{name}'",
            result.name,
            *result.failures,
        ]
        for number, ended in enumerate(result.runs):
            text += [f"--- run {number}: status {ended.status}", ended.stdout, ended.stderr]
            text += [f"steps: {ended.steps}", f"fsyncs: {ended.fsyncs}"]
        (folder / "report.txt").write_text("\n".join(text))
        (folder / "definition.xml").write_text(sweep.world.definition())
        for path in (*sweep.world.journals(), Path("/var/log/vmsnap/vmsnap.log")):
            if path.exists():
                shutil.copy(path, folder)
        for place in (sweep.world.machine.folder, sweep.world.folder / "database"):
            if place.exists():
                shutil.copytree(place, folder / place.name)

    @property
    def _is_stopped(self) -> bool:
        return self.orders.results.with_name(STOP).exists()

    def _say(self, line: dict[str, Any]) -> None:
        self._output.write(f"{json.dumps(line)}\n")
        self._output.flush()

    def _bed(self, task: Task) -> Bed:
        key = (task.state == RUNNING, task.database)
        if key not in self._beds:
            rows = None
            if task.database == "MariaDB":
                if self._server is None:
                    self._server = self._started.enter_context(running_mariadb())
                rows = MariaDbDatabase(self._server, f"torture{len(self._beds)}")
            bed = Bed(rows, running=key[0], planted=self.orders.planted)
            self._started.callback(bed.remove)
            self._beds[key] = bed
        return self._beds[key]


def _cases(sweep: Sweep, dice: random.Random, until: float) -> Iterator[Case]:
    """Yield kills until the time is up: each known moment once, between them other ones."""
    known = dice.sample(sweep.cases, len(sweep.cases))
    while time.monotonic() < until:
        if known and dice.random() >= ANY_SHARE:
            yield known.pop()
        else:
            yield any_of(dice, sweep.cases, sweep.seconds)


def work(orders: Orders) -> None:
    """Work until the time is up, or until told to stop."""
    with orders.results.open("a") as output, contextlib.ExitStack() as started:
        Worker(orders, output, started).work()
