"""The verb doctor."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import DryRun, Yes
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.cli.terminal.questions import can_ask, is_yes
from vmsnap.errors import ConfigError, DatabaseError, VmsnapError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmsnap.engine.findings.finding import Finding
    from vmsnap.ports import Ports

EPILOG = epilog(
    "vmsnap doctor",
    "vmsnap doctor web1 --json",
    "vmsnap doctor --fix --dry-run",
    "vmsnap doctor web1 --fix",
    statuses=(3, 11, 12, 20),
)
_FOUND = 3

Fix = Annotated[
    bool,
    typer.Option("--fix", help="Mend what is sure to do no harm, and ask about the rest."),
]


def doctor(
    context: typer.Context,
    domain: Annotated[
        str | None,
        typer.Argument(
            metavar="[DOMAIN]", help="Only this domain, also if it is gone; all without it."
        ),
    ] = None,
    fix: Fix = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Find what is wrong, and what mends it.

    Database, files, definitions and image headers are compared. Without --fix nothing is changed
    and nobody has to wait. Status 0 if there are notes at most, else 3.
    """
    session: Session = context.obj
    session.tolerate_faults()
    # What only root can open would look damaged to anybody else, whatever the database.
    session.require_access(is_changing=True)
    try:
        ports = session.changing_ports(context) if fix and not dry_run else session.ports()
    except (ConfigError, DatabaseError) as error:
        return _without_database(session, error)
    from vmsnap.engine.doctor import examine

    findings = examine(ports, domain)
    if not fix:
        return _answer(findings)
    if dry_run:
        return _plan(findings)
    return _fix(session, ports, findings, domain, is_sure=yes)


def _fix(
    session: Session,
    ports: "Ports",
    findings: "Sequence[Finding]",
    domain: str | None,
    *,
    is_sure: bool,
) -> Answer:
    from vmsnap.cli.documents import doctor as documents_doctor
    from vmsnap.cli.render import doctor as render_doctor
    from vmsnap.engine.doctor import examine, mend
    from vmsnap.engine.findings.finding import Cure

    surely, asking = _mendable(findings)
    session.reporter.clear()
    agreed = [item for item in asking if is_sure or (can_ask() and _agreed(session, item))]
    results = mend(ports, [*surely, *agreed])
    left = examine(ports, domain) if results else tuple(findings)
    answer = _answer(left)
    is_unasked = not is_sure and not can_ask()
    still = [item for item in left if item.kind.cure is Cure.ASKS]
    return replace(
        answer,
        data={**(answer.data or {}), "mended": [documents_doctor.mended(item) for item in results]},
        blocks=(*render_doctor.attempted(results), *answer.blocks),
        changed=any(item.problem is None for item in results),
        note="there is no terminal to ask on, so some were left" if is_unasked and still else None,
        hint="--yes answers all questions" if is_unasked and still else None,
    )


def _agreed(session: Session, item: "Finding") -> bool:
    from vmsnap.cli.render.doctor import losses, question

    return is_yes(session.printer, losses(item), question(item))


def _plan(findings: "Sequence[Finding]") -> Answer:
    from vmsnap.cli.documents import doctor as documents_doctor
    from vmsnap.cli.render.doctor import planned

    surely, asking = _mendable(findings)
    answer = _answer(findings)
    would = [documents_doctor.finding(item) for item in (*surely, *asking)]
    return replace(
        answer,
        data={**(answer.data or {}), "would_mend": list(would)},
        blocks=(*planned(surely, asking), *answer.blocks),
    )


def _mendable(findings: "Sequence[Finding]") -> "tuple[list[Finding], list[Finding]]":
    """Return what is mended surely, and what only after a question."""
    from vmsnap.engine.findings.finding import Cure

    surely = [item for item in findings if item.kind.cure is Cure.SURELY]
    return surely, [item for item in findings if item.kind.cure is Cure.ASKS]


def _answer(findings: "Sequence[Finding]", *, can_fix: bool = True) -> Answer:
    from vmsnap.cli.documents import doctor as documents_doctor
    from vmsnap.cli.render.doctor import found, worst_first

    ordered = worst_first(findings)
    counting = [item for item in ordered if item.counts]
    return Answer(
        {"findings": [documents_doctor.finding(item) for item in ordered]},
        found(ordered, can_fix=can_fix),
        exit_code=_FOUND if counting else 0,
        errors=tuple(Problem(item.kind.code, item.message, item.command) for item in counting),
        note=None if findings else "nothing is wrong",
        is_told=True,
    )


def _without_database(session: Session, error: VmsnapError) -> Answer:
    """Tell at least of what was interrupted, and of what needs no database."""
    from vmsnap.engine.doctor import examine_without_database

    try:
        findings = examine_without_database(session.ports_without_database())
    except VmsnapError:
        # The first failure is what has to be seen to first.
        findings = ()
    answer = _answer(findings, can_fix=False)
    return replace(
        answer,
        exit_code=error.exit_code,
        errors=(Problem.of(error),),
        note=None,
        is_told=False,
    )
