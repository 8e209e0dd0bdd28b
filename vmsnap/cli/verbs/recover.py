"""The verb recover."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import DryRun
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmsnap.engine.results import RecoverResult

EPILOG = epilog(
    "vmsnap recover",
    "vmsnap recover --dry-run",
    statuses=(3, 14, 20, 21, 22, 24, 30, 75),
)
_STUCK = {"waiting": 14, "journal_lost": 14, "busy": 75}
_WAITS = "waits_for_shutdown"
_PARTIAL = 3


LiftFences = Annotated[
    bool,
    typer.Option(
        "--lift-fences",
        help="Lift fences too whose journal is lost; look at those machines afterwards.",
    ),
]


def recover(
    context: typer.Context, lift_fences: LiftFences = False, dry_run: DryRun = False
) -> Answer:
    """Finish or undo what was interrupted.

    On every domain of this host, fences included. A second run does nothing. A fault in a config
    file stops it only if libvirt or database could be another for it; else it is warned of.
    """
    from vmsnap.cli.render.change import recovered
    from vmsnap.engine.recover import recover_all

    session: Session = context.obj
    session.tolerate_faults()
    ports = session.ports() if dry_run else session.changing_ports(context)
    results = recover_all(ports, dry_run=dry_run, lift_fences=lift_fences)
    stuck = [result for result in results if result.outcome in _STUCK]
    is_settled = any(result.outcome not in (*_STUCK, _WAITS) for result in results)
    return Answer(
        {"operations": [documents.recovered(result) for result in results]},
        recovered(results),
        changed=not dry_run and is_settled,
        exit_code=0 if dry_run else _exit_code(stuck, is_settled=is_settled),
        errors=tuple(_problem(result) for result in stuck),
        note=None if results else "nothing was interrupted",
        is_news=not dry_run and not stuck,
    )


def _exit_code(stuck: "Sequence[RecoverResult]", *, is_settled: bool) -> int:
    if stuck and is_settled:
        return _PARTIAL
    return max((_STUCK[result.outcome] for result in stuck), default=0)


def _problem(result: "RecoverResult") -> Problem:
    code = "busy" if result.outcome == "busy" else "wrong_state"
    name = result.domain_name or result.domain_id
    hint = "vmsnap recover --lift-fences" if result.outcome == "journal_lost" else None
    return Problem(code, f"domain '{name}' is not recovered yet: {result.message}", hint)
