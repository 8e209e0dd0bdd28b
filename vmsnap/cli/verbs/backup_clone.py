"""The verb that gives other domains the host files of one: backup clone."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import DryRun
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.cli.terminal.questions import pasteable

if TYPE_CHECKING:
    from vmsnap.cli.terminal.answer import Block
    from vmsnap.engine.results import ClonedTarget, CloneResult
    from vmsnap.model import JsonObject

_CLONE = epilog(
    "vmsnap backup clone golden web1 web2 --dry-run",
    "vmsnap backup clone golden web1 --from before-upgrade",
    "vmsnap undo web1",
    statuses=(3, 11, 12, 14, 15, 17, 20, 21, 22, 23, 30, 75),
)


class TpmWord(Enum):
    """What can be typed for the TPM of the targets."""

    RESET = "reset"
    KEEP = "keep"


def register(app: typer.Typer) -> None:
    """Add the verb to `vmsnap backup`."""
    app.command("clone", epilog=_CLONE)(clone)


def clone(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Name or UUID of the domain to copy from; 8 digits suffice."
        ),
    ],
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...", help="Names or UUIDs of other domains; 8 digits suffice."
        ),
    ],
    *,
    backup: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="BACKUP",
            help="Copy what a backup or group holds, not what is there now.",
        ),
    ] = None,
    tpm: Annotated[
        TpmWord,
        typer.Option(
            "--tpm", help="Let the targets' TPM start anew, or make it the same as the source's."
        ),
    ] = TpmWord.RESET,
    dry_run: DryRun = False,
) -> Answer:
    """Give other domains the NVRAM of one.

    Their TPM starts anew; with --tpm keep it becomes that of the source, and such machines can open
    each other's secrets. The targets are shut off; each keeps what it has now: `vmsnap undo TARGET`
    brings it back.
    """
    from vmsnap.engine.clone import clone_backup
    from vmsnap.engine.requests import CloneRequest, TpmChoice

    session: Session = context.obj
    request = CloneRequest(backup=backup, tpm=TpmChoice(tpm.value), dry_run=dry_run)
    ports = session.ports() if dry_run else session.changing_ports(context, create=True)
    result = clone_backup(ports, source, tuple(targets), request)
    first = result.targets[0]
    if len(result.targets) == 1 and first.error is not None:
        raise first.error
    return _answer(result)


def _answer(result: "CloneResult") -> Answer:
    from vmsnap.engine.side_by_side import Ended, exit_code

    ended = [Ended(target.name, target, target.error) for target in result.targets]
    changed = [target for target in result.targets if target.is_changed]
    has_way_back = len(changed) == 1 and changed[0].can_undo
    return Answer(
        {
            "source": result.source_name,
            "backup": result.backup,
            "results": [_document(target) for target in result.targets],
            "notes": documents.texts(result.notes),
        },
        tuple(block for target in result.targets for block in _shown(result, target)),
        changed=bool(changed),
        exit_code=exit_code(ended),
        errors=tuple(_problem(target) for target in result.targets if target.error is not None),
        is_news=any(target.is_done for target in result.targets),
        hint=pasteable("undo", changed[0].name) if has_way_back else None,
    )


def _document(target: "ClonedTarget") -> "JsonObject":
    return {
        "domain": target.name,
        "is_done": target.is_done,
        "safety": documents.resource(target.safety),
        "changes": documents.texts(target.changes),
        "error": target.error.code if target.error is not None else None,
    }


def _problem(target: "ClonedTarget") -> Problem:
    assert target.error is not None  # noqa: S101 - only called for those
    problem = Problem.of(target.error)
    if target.name in problem.message:
        return problem
    return Problem(problem.code, f"domain '{target.name}': {problem.message}", problem.hint)


def _shown(result: "CloneResult", target: "ClonedTarget") -> "tuple[Block, ...]":
    from vmsnap.cli.render.change import change

    if target.error is not None:
        return ()
    origin = f"domain '{result.source_name}'"
    if result.backup is not None:
        origin = f"backup '{result.backup}' of {origin}"
    return change(
        f"cloned {origin} to domain '{target.name}'",
        f"would clone {origin} to domain '{target.name}'",
        target.changes,
        is_done=target.is_done,
        safety=target.safety,
        notes=target.notes,
    )
