"""The verb purge."""

from typing import TYPE_CHECKING

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Domain, DryRun, Yes
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.cli.terminal.questions import confirm, pasteable, require_terminal
from vmsnap.cli.terminal.text import size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmsnap.engine.results import LeftFile, PurgeResult
    from vmsnap.model import JsonValue

EPILOG = epilog(
    "vmsnap purge web1 --dry-run",
    "vmsnap purge web1 --yes",
    statuses=(3, 11, 12, 14, 17, 20, 21, 22, 24, 30, 75),
)


def purge(
    context: typer.Context, domain: Domain, *, yes: Yes = False, dry_run: DryRun = False
) -> Answer:
    """Remove what is left of an undefined domain.

    Its groups, snapshots and backups go, with the layers that vmsnap made. Image files that vmsnap
    did not make stay, with what they hold; so do NVRAM and TPM state. There is no way back.
    """
    from vmsnap.engine.purge import purge_domain
    from vmsnap.engine.requests import PurgeRequest

    session: Session = context.obj
    if not yes and not dry_run:
        domain = _ask(session, domain)
    ports = session.ports() if dry_run else session.changing_ports(context)
    return _answer(purge_domain(ports, domain, PurgeRequest(dry_run=dry_run)))


def _ask(session: Session, domain: str) -> str:
    """Show what would go, and ask; return the UUID of the domain that was shown.

    What is refused in any case, such as a domain that is still defined, is refused before.
    """
    from vmsnap.engine.purge import purge_domain
    from vmsnap.engine.requests import PurgeRequest

    plan = purge_domain(session.ports(), domain, PurgeRequest(dry_run=True))
    require_terminal(pasteable("purge", domain, options=("--yes",)))
    session.reporter.clear()
    losses = [
        f"all that is left of domain '{plan.domain_name}' ({plan.domain_id}) will be gone:",
        *(f"  {text}" for text in (*_gone(plan), *_kept(plan))),
        *plan.notes,
    ]
    confirm(session.printer, losses, "Purge?")
    return plan.domain_id


def _gone(plan: "PurgeResult") -> tuple[str, ...]:
    return (
        *(f"group '{name}' with its backup{_pinned(plan, name)}" for name in plan.groups),
        *(f"snapshot '{name}'" for name in plan.snapshots),
        *(f"backup '{name}'" for name in plan.backups),
        *(f"file '{file.path}' ({size(file.size_bytes)})" for file in plan.removed),
    )


def _pinned(plan: "PurgeResult", name: str) -> str:
    return ", although it is pinned" if name in plan.pinned else ""


def _kept(plan: "PurgeResult") -> tuple[str, ...]:
    return tuple(f"file '{file.path}' stays: {file.reason}" for file in plan.kept)


def _answer(result: "PurgeResult") -> Answer:
    from vmsnap.cli.render.change import change

    what = f"domain '{result.domain_name}' ({result.domain_id})"
    is_partial = result.is_done and not result.is_complete
    problems: tuple[Problem, ...] = ()
    if result.problem is not None:
        code, message = result.problem
        again = pasteable("purge", result.domain_id, options=("--yes",))
        problems = (Problem(code, f"{what} is not purged yet: {message}", again),)
    return Answer(
        {
            "domain": result.domain_name,
            "domain_uuid": result.domain_id,
            "groups": documents.texts(result.groups),
            "snapshots": documents.texts(result.snapshots),
            "backups": documents.texts(result.backups),
            "pinned": documents.texts(result.pinned),
            "removed": _files(result.removed),
            "kept": _files(result.kept),
            "is_done": result.is_done,
            "is_complete": result.is_complete,
            "notes": documents.texts(result.notes),
        },
        change(
            f"not all of {what} is purged" if is_partial else f"purged {what}",
            f"would purge {what}",
            (*_gone(result), *_kept(result)),
            is_done=result.is_done,
            notes=result.notes,
        ),
        changed=result.is_done,
        exit_code=3 if is_partial else 0,
        errors=problems,
        is_news=result.is_complete,
    )


def _files(files: "Iterable[LeftFile]") -> "list[JsonValue]":
    return [
        {"path": str(file.path), "size_bytes": file.size_bytes, "reason": file.reason}
        for file in files
    ]
