"""The verbs for the day when the database is gone: db backup, db rebuild."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import DryRun, Yes
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Block, Line, Problem
from vmsnap.cli.terminal.questions import confirm, pasteable, require_terminal
from vmsnap.cli.terminal.text import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmsnap.engine.rebuild import RebuildRequest, RebuiltDomain
    from vmsnap.engine.side_by_side import Ended
    from vmsnap.model import JsonObject

BACKUP_EPILOG = epilog(
    "vmsnap db backup /backup/vmsnap.db",
    "vmsnap db backup --force /backup/vmsnap.db",
    "vmsnap --database sqlite:////backup/vmsnap.db group list",
    statuses=(3, 22),
)
REBUILD_EPILOG = epilog(
    "vmsnap db rebuild --dry-run",
    "vmsnap db rebuild",
    "vmsnap db rebuild web1 --folder /srv/overlays",
    statuses=(3, 11, 14, 20, 21, 22, 24, 30, 75),
)
_INCOMPLETE = 3

Target = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to make, with host files and definitions.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace FILE if it is an SQLite database or empty.")
]
SomeDomains = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DOMAIN]...", help="Names or UUIDs of domains; all without any."),
]
Folders = Annotated[
    list[Path] | None,
    typer.Option("--folder", metavar="DIR", help="Search this folder too; can be repeated."),
]


def backup(context: typer.Context, file: Target, force: Force = False) -> Answer:
    """Copy the database to a file.

    It is the database as it was at one instant, whatever others do meanwhile, in an SQLite file
    that '--database' opens; of a MySQL database too. Only its owner can read it.
    """
    from vmsnap.cli.wiring import copy_database

    session: Session = context.obj
    session.begin_change(context)
    made = copy_database(session.settings, file, may_replace=force)
    path = file.absolute()
    return Answer(
        {"file": str(path), "size_bytes": made},
        (Line(f"copied the database to '{path}' ({size(made)})", "bold green"),),
        changed=True,
        is_news=True,
    )


def rebuild(
    context: typer.Context,
    domain: SomeDomains = None,
    folder: Folders = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Bring groups back from beside their images.

    For a database that is lost, or older than the groups. What it has is kept; NVRAM and TPM state
    that only the lost one held are marked as lost. No image is touched.

    If an operation on a DOMAIN was interrupted and the SQLite file that it names is gone, this
    asks, and sets its journal aside: nothing can finish it or take it back then.
    """
    from vmsnap.engine.rebuild import RebuildRequest
    from vmsnap.engine.rebuild import rebuild as rebuild_it

    session: Session = context.obj
    request = RebuildRequest(
        domains=tuple(domain or ()),
        folders=tuple(item.absolute() for item in folder or ()),
        dry_run=dry_run,
    )
    if not dry_run:
        session.require_access(is_changing=True)
        _give_up(context, session, request, yes=yes)
    ports = session.ports() if dry_run else session.changing_ports(context, create=True)
    return _answer(rebuild_it(ports, request), dry_run=dry_run)


def _give_up(
    context: typer.Context, session: Session, request: "RebuildRequest", *, yes: bool
) -> None:
    """Set aside, once it is confirmed, the journals whose database is gone for good."""
    from vmsnap.cli.lost_journals import lost_journals, set_aside

    lost = lost_journals(session.settings, request.domains)
    if lost and not yes:
        folders = [word for path in request.folders for word in ("--folder", str(path))]
        options = ("--yes", *folders)
        require_terminal(pasteable("db rebuild", *request.domains, options=options))
        losses = [
            f"'{item.verb}' on domain '{item.domain_name}' was interrupted; without its database it"
            " can be neither finished nor taken back"
            for item in lost
        ]
        losses.append("say no if that may come back, as from a disk that is not mounted")
        confirm(session.printer, losses, "Give it up?")
    if lost:
        session.begin_change(context)
    for item in lost:
        path = set_aside(session.settings, item)
        if path is not None:
            session.reporter.warn(
                f"the journal of domain '{item.domain_name}' is set aside as '{path}'; disks, NVRAM"
                " and TPM state may be of different times, so look at them; then 'vmsnap recover"
                " --lift-fences' lets it be started"
            )


def _answer(ended: "Sequence[Ended[RebuiltDomain]]", *, dry_run: bool) -> Answer:
    from vmsnap.engine.side_by_side import exit_code

    failures = tuple(Problem.of(one.error) for one in ended if one.error is not None)
    found = [one.result for one in ended if one.result is not None]
    gaps = tuple(
        Problem("not_available", f"domain '{item.domain_name}': {text}")
        for item in found
        for text in (*item.left_out, *item.nameless)
    )
    status = exit_code(ended)
    return Answer(
        {"domains": [_document(one) for one in ended]},
        tuple(block for item in found for block in _page(item, dry_run=dry_run)),
        changed=any(item.is_done for item in found),
        exit_code=_INCOMPLETE if gaps and status == 0 else status,
        errors=(*failures, *gaps),
        note=None if ended else "nothing to bring back",
        hint=None if ended else "--folder DIR searches where images of undefined machines are",
        is_news=not dry_run,
    )


def _document(one: "Ended[RebuiltDomain]") -> "JsonObject":
    if one.result is None:
        return {"domain": one.domain, "error": one.error.code if one.error else None}
    item = one.result
    return {
        "domain": item.domain_name,
        "domain_uuid": item.domain_id,
        "groups": documents.texts(item.groups),
        "snapshots": documents.texts(item.snapshots),
        "layers": item.layers,
        "lost": [{"group": name, "type": type_.value} for name, type_ in item.lost],
        "left_out": documents.texts(item.left_out),
        "nameless": documents.texts(item.nameless),
        "is_done": item.is_done,
        "notes": documents.texts(item.notes),
        "error": None,
    }


def _page(item: "RebuiltDomain", *, dry_run: bool) -> "Iterable[Block]":
    what = f"domain '{item.domain_name}'"
    names = [f"group '{name}'" for name in item.groups]
    names += [f"snapshot '{name}'" for name in item.snapshots]
    if not names and not item.layers:
        yield Line(f"{what}: nothing to bring back")
    elif dry_run:
        yield Line(f"would bring back of {what}:", "bold")
    else:
        yield Line(f"brought back of {what}:", "bold green")
    for name in names:
        yield Line(f"  {name}")
    if item.layers:
        yield Line(f"  {item.layers} {'layer' if item.layers == 1 else 'layers'}")
    for name, type_ in item.lost:
        yield Line(f"  {type_.value} of '{name}' is lost: a revert needs --leave {type_.value}")
    for note in item.notes:
        yield Line(f"note: {note}", "yellow", hanging=6)
