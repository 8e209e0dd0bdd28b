"""The verbs of backups: create, list, show, verify, restore, delete; clone stands beside."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.from_config import WITHOUT, creating
from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.options import (
    AllHosts,
    AnyDomain,
    Backup,
    Description,
    Domain,
    DryRun,
    HostFileWord,
    Name,
    NoSafety,
    Without,
    Yes,
    host_file_types,
    left_out_types,
)
from vmsnap.cli.session import Session
from vmsnap.cli.several import All, Chosen, Domains, answer_of, run_on_each
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.cli.terminal.questions import confirm, pasteable, require_terminal
from vmsnap.cli.verbs import backup_clone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmsnap.engine.results import BackupResult

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Keep and bring back NVRAM and TPM state, no disks.",
    epilog=group_epilog(
        "vmsnap backup create web1 --name weekly", "vmsnap backup restore web1 weekly"
    ),
)


@app.command(
    "create",
    epilog=epilog(
        "vmsnap backup create web1",
        "vmsnap backup create web1 --name weekly --replace",
        statuses=(3, 11, 13, 14, 17, 20, 21, 22, 30, 75),
    ),
)
def create(
    context: typer.Context,
    domains: Domains = None,
    *,
    all_: All = False,
    name: Name = None,
    description: Description = "",
    without: Without = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the standalone backup of that name.")
    ] = False,
    dry_run: DryRun = False,
) -> Answer:
    """Capture each domain's NVRAM and TPM state alone.

    No disks; a domain may run. Several are taken side by side, each all or nothing by itself.
    """
    from vmsnap.engine.backup import create_backup
    from vmsnap.engine.requests import CreateRequest

    session: Session = context.obj
    request = CreateRequest(
        name=name,
        description=description,
        without=left_out_types(without),
        replace=replace,
        dry_run=dry_run,
    )
    left_open = frozenset(() if without else (WITHOUT,))
    ended = run_on_each(
        session,
        context,
        Chosen(domains, all_),
        creating(session, create_backup, request, left_open),
        dry_run=dry_run,
    )
    return answer_of(
        ended, lambda result: _answer(result, "created", "create"), is_done=not dry_run
    )


@app.command(
    "list",
    epilog=epilog("vmsnap backup list", "vmsnap backup list web1 --json", statuses=(11, 20, 22)),
)
def list_(context: typer.Context, domain: AnyDomain = None, all_hosts: AllHosts = False) -> Answer:
    """List backups, oldest first.

    A row for each type of host file. Those of groups are listed too.
    """
    from vmsnap.cli.render.backup import backup_table
    from vmsnap.engine.backup import list_backups

    session: Session = context.obj
    ports = session.ports()
    views = list_backups(ports, domain, all_hosts=all_hosts)
    this_host = ports.hypervisor.host_id() if all_hosts else None
    return Answer(
        {"backups": [documents.backup(view) for view in views]},
        backup_table(views, of_one=domain is not None, this_host=this_host),
        note=None if views else "no backups yet",
        hint=None if views else pasteable("backup create", domain or "DOMAIN"),
    )


@app.command("show", epilog=epilog("vmsnap backup show web1 weekly", statuses=(11, 12, 20, 22)))
def show(context: typer.Context, domain: Domain, backup: Backup) -> Answer:
    """Show what a backup holds of each type."""
    from vmsnap.cli.render.backup import backup_page
    from vmsnap.engine.backup import show_backup

    session: Session = context.obj
    views = show_backup(session.ports(), domain, backup)
    return Answer({"backups": [documents.backup(view) for view in views]}, backup_page(views))


@app.command(
    "verify",
    epilog=epilog(
        "vmsnap backup verify", "vmsnap backup verify web1 weekly", statuses=(11, 12, 20, 22, 23)
    ),
)
def verify(
    context: typer.Context,
    domain: AnyDomain = None,
    backup: Annotated[
        str | None, typer.Argument(metavar="[BACKUP]", help="Only this backup; all without it.")
    ] = None,
) -> Answer:
    """Read backups whole and compare them with their digests."""
    from vmsnap.cli.render.backup import verified
    from vmsnap.engine.backup import verify_backups

    session: Session = context.obj
    results = verify_backups(session.ports(), domain, backup)
    problems = tuple(
        Problem(
            "content",
            f"{result.view.backup.type.value} of backup '{result.view.resource.name}' of domain"
            f" '{result.view.resource.domain_name}': {result.problem}",
        )
        for result in results
        if result.problem is not None
    )
    return Answer(
        {"backups": [documents.verified(result) for result in results]},
        verified(results),
        exit_code=23 if problems else 0,
        errors=problems,
        note=None if results else "no backups yet",
        is_told=True,
    )


@app.command(
    "restore",
    epilog=epilog(
        "vmsnap backup restore web1 weekly",
        "vmsnap backup restore web1 weekly --only nvram",
        "vmsnap undo web1",
        statuses=(3, 11, 12, 14, 15, 16, 17, 20, 21, 22, 23, 30, 75),
    ),
)
def restore(
    context: typer.Context,
    domain: Domain,
    backup: Backup,
    *,
    only: Annotated[
        list[HostFileWord] | None,
        typer.Option("--only", help="Bring back this type alone; can be repeated."),
    ] = None,
    no_safety: NoSafety = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Bring NVRAM and TPM state back.

    The disks stay as they are. What the host files are now is kept first: `vmsnap undo` goes back.
    """
    from vmsnap.engine.requests import RestoreRequest
    from vmsnap.engine.restore import restore_backup

    session: Session = context.obj
    types = host_file_types(only)
    if no_safety and not yes and not dry_run:
        require_terminal(
            pasteable("backup restore", domain, backup, options=("--no-safety", "--yes"))
        )
        request = RestoreRequest(only=types, with_safety=False, dry_run=True)
        plan = restore_backup(session.ports(), domain, backup, request)
        loss = "the present host files will be lost; 'vmsnap undo' cannot bring them back:"
        _ask(session, plan, (loss, plan.changes), "Restore without a safety backup?")
    request = RestoreRequest(only=types, with_safety=not no_safety, dry_run=dry_run)
    ports = session.ports() if dry_run else session.changing_ports(context)
    result = restore_backup(ports, domain, backup, request)
    return _answer(result, "restored", "restore", has_way_back=result.can_undo)


@app.command(
    "delete",
    epilog=epilog(
        "vmsnap backup delete web1 weekly --yes", statuses=(3, 11, 12, 14, 17, 20, 22, 30, 75)
    ),
)
def delete(
    context: typer.Context,
    domain: Domain,
    backup: Backup,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Delete a backup; that of a group goes only with its group."""
    from vmsnap.engine.backup import delete_backup

    session: Session = context.obj
    if not yes and not dry_run:
        require_terminal(pasteable("backup delete", domain, backup, options=("--yes",)))
        plan = delete_backup(session.ports(), domain, backup, dry_run=True)
        _ask(session, plan, (f"backup '{plan.name}' will be gone:", _contents(plan)), "Delete?")
    ports = session.ports() if dry_run else session.changing_ports(context)
    return _answer(delete_backup(ports, domain, backup, dry_run=dry_run), "deleted", "delete")


backup_clone.register(app)


def _ask(
    session: Session, plan: "BackupResult", loss: tuple[str, "Sequence[str]"], question: str
) -> None:
    """Say what will be lost, in a sentence and line by line, and ask."""
    what, lines = loss
    session.reporter.clear()
    losses = [f"domain '{plan.domain_name}': {what}", *(f"  {line}" for line in lines)]
    confirm(session.printer, losses, question)


def _contents(plan: "BackupResult") -> list[str]:
    from vmsnap.cli.terminal.text import local_time, size

    backups = [row.backup for row in plan.rows]
    return [
        f"{backup.type.value}: {backup.capture.value.replace('_', ' ')},"
        f" {size(backup.size_bytes)}, {local_time(backup.captured_at)}"
        for backup in backups
    ]


def _answer(result: "BackupResult", done: str, verb: str, *, has_way_back: bool = False) -> Answer:
    from vmsnap.cli.render.change import change

    of = f"backup '{result.name}' of domain '{result.domain_name}'"
    rows = tuple(f"{row.backup.type.value}: {row.backup.capture.value}" for row in result.rows)
    return Answer(
        {
            "domain": result.domain_name,
            "name": result.name,
            "backups": [documents.backup(row) for row in result.rows],
            "is_done": result.is_done,
            "safety": documents.resource(result.safety),
            "changes": documents.texts(result.changes),
            "notes": documents.texts(result.notes),
        },
        change(
            f"{done} {of}",
            f"would {verb} {of}",
            result.changes or rows,
            is_done=result.is_done,
            safety=result.safety,
            notes=result.notes,
        ),
        changed=result.is_done,
        is_news=result.is_done,
        hint=pasteable("undo", result.domain_name) if has_way_back and result.is_done else None,
    )
