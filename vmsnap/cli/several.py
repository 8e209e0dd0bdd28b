"""Verbs that take several domains, or all of them: resolved, run side by side, answered as one."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from vmsnap.cli.log_file import logged_of
from vmsnap.cli.terminal.answer import Answer, Block, Problem
from vmsnap.errors import UsageError

if TYPE_CHECKING:
    from vmsnap.cli.session import Session
    from vmsnap.engine.side_by_side import Ended
    from vmsnap.model import JsonObject, JsonValue
    from vmsnap.ports import Ports, Reporter

T = TypeVar("T")

Domains = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DOMAIN...",
        help="Names or UUIDs of domains; 8 digits of a UUID suffice.",
        show_default=False,
    ),
]
All = Annotated[bool, typer.Option("--all", help="All domains of this host, side by side.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The domains that were typed, and whether `--all` was.

    `require` looks at all of them, as they were typed, before the first is begun.
    """

    typed: Sequence[str] | None
    wants_all: bool
    require: "Callable[[Ports, Sequence[str]], None] | None" = None


class NamedReporter:
    """A Reporter that says of which domain it speaks; several may speak at once."""

    def __init__(self, reporter: "Reporter", name: str, lock: threading.Lock) -> None:
        self._reporter = reporter
        self._name = name
        self._lock = lock

    def step(self, text: str) -> None:
        """Say a step that a person would name."""
        with self._lock:
            self._reporter.step(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        """Say something that a person should read although the work goes on."""
        with self._lock:
            self._reporter.warn(text if self._name in text else f"{self._name}: {text}")

    def progress(self, text: str, done: int, total: int) -> None:
        """Say how far a long step is."""
        with self._lock:
            self._reporter.progress(f"{self._name}: {text}", done, total)


def run_on_each(
    session: "Session",
    context: typer.Context,
    chosen: Chosen,
    work: "Callable[[Ports, str], T]",
    *,
    dry_run: bool,
    makes_database: bool = True,
) -> "tuple[Ended[T], ...]":
    """Run a verb on the domains that were typed, or on all; one alone runs like any other verb.

    A database that is missing is made, or else counts as empty. Raises UsageError for names and
    `--all` or neither, and what `chosen` requires.
    """
    from vmsnap.engine.side_by_side import Cancellation, Ended, side_by_side

    typed, wants_all = chosen.typed, chosen.wants_all
    if bool(typed) == wants_all:
        message = (
            "name domains, or say --all" if not typed else "--all and names exclude each other"
        )
        raise UsageError(message, hint="vmsnap vm list")
    ports = session.ports() if dry_run else session.changing_ports(context, create=makes_database)
    names = [item.name for item in ports.hypervisor.domains()] if wants_all else list(typed or ())
    names = list(dict.fromkeys(names))
    if chosen.require is not None:
        chosen.require(ports, names)
    if len(names) == 1 and not wants_all:
        return (Ended(names[0], result=work(ports, names[0])),)
    cancellation = Cancellation()
    lock = threading.Lock()

    def one(name: str) -> T:
        with logged_of(name), session.more_ports() as own:
            reporter = NamedReporter(own.reporter, name, lock)
            return work(replace(own, reporter=reporter, is_cancelled=cancellation), name)

    return side_by_side(names, one, cancellation)


def answer_of(
    ended: "Sequence[Ended[T]]",
    answer: Callable[[T], Answer],
    *,
    is_done: bool,
    lists: Sequence[str] = ("groups", "backups"),
) -> Answer:
    """Answer for all as `answer` does for one; with a single domain that answer's keys come too.

    `lists` are the keys whose lists are put together.
    """
    from vmsnap.engine.side_by_side import exit_code

    results: list[JsonObject] = []
    blocks: list[Block] = []
    problems: list[Problem] = []
    answers: list[Answer] = []
    for item in ended:
        if item.error is None and item.result is not None:
            one = answer(item.result)
            results.append({**(one.data or {}), "error": None})
            blocks += one.blocks
            problems += one.errors
            answers.append(one)
        elif item.error is not None:
            problem = Problem.of(item.error)
            if item.domain not in problem.message:
                problem = replace(problem, message=f"domain '{item.domain}': {problem.message}")
            problems.append(problem)
            results.append({"domain": item.domain, "error": problem.code})
    alone = results[0] if len(ended) == len(answers) == 1 else {}
    made = {
        key: [item for found in results for item in _list(found.get(key))]
        for key in lists
        if any(key in found for found in results) or not results
    }
    return Answer(
        {**alone, **made, "results": list(results)},
        tuple(blocks),
        changed=any(one.changed for one in answers),
        exit_code=exit_code(ended) or max((one.exit_code for one in answers), default=0),
        errors=tuple(problems),
        note=None if ended else "this host has no domains",
        is_news=is_done,
    )


def _list(value: "JsonValue") -> "list[JsonValue]":
    return value if isinstance(value, list) else []
