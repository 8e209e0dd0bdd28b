"""The verbs of the database: db status, db upgrade; backup and rebuild are in rescue.py."""

from typing import TYPE_CHECKING

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.options import DryRun
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Block, Line, Problem
from vmsnap.cli.terminal.text import NOTHING
from vmsnap.cli.verbs import rescue

if TYPE_CHECKING:
    from vmsnap.model import DatabaseStatus

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See, copy and mend the database.",
    epilog=group_epilog("vmsnap db status", "vmsnap db backup /backup/vmsnap.db"),
)


@app.command("status", epilog=epilog("vmsnap db status", "vmsnap db status --json"))
def status(context: typer.Context) -> Answer:
    """Say which database is used and which schema it has."""
    from vmsnap.cli.wiring import database_status

    session: Session = context.obj
    session.require_access()
    found = database_status(session.settings)
    problems = (_schema_problem(found),) if found.exists and not found.is_current else ()
    return Answer(
        {"database": documents.database(found)},
        _page(found),
        exit_code=10 if problems else 0,
        errors=problems,
        note=None if found.exists else "no database yet; the first create makes it",
    )


@app.command(
    "upgrade", epilog=epilog("vmsnap db upgrade --dry-run", "vmsnap db upgrade", statuses=(3, 22))
)
def upgrade(context: typer.Context, dry_run: DryRun = False) -> Answer:
    """Bring an older database up to this program.

    An SQLite file is copied first.
    """
    from vmsnap.cli.wiring import database_status, planned_upgrade, upgrade_database

    session: Session = context.obj
    session.require_access(is_changing=not dry_run)
    if dry_run:
        return _would_upgrade(planned_upgrade(session.settings))
    before = database_status(session.settings)
    session.begin_change(context)
    session.is_upgrading = True
    after, copy = upgrade_database(session.settings)
    has_changed = before.revision != after.revision
    done = f"upgraded from {before.revision or NOTHING} to {after.revision or NOTHING}"
    kept = (Line(f"copy:      {copy}"),) if copy is not None else ()
    words = done if has_changed else "nothing to upgrade"
    return Answer(
        {
            "database": documents.database(after),
            "former_revision": before.revision,
            "copy": None if copy is None else str(copy),
        },
        (Line(words, "bold green"), *_page(after), *kept),
        changed=has_changed,
        is_news=True,
    )


app.command("backup", epilog=rescue.BACKUP_EPILOG)(rescue.backup)
app.command("rebuild", epilog=rescue.REBUILD_EPILOG)(rescue.rebuild)


def _would_upgrade(found: "DatabaseStatus") -> Answer:
    is_due = found.exists and not found.is_current
    due = f"would upgrade from {found.revision or NOTHING} to {found.expected}"
    return Answer(
        {
            "database": documents.database(found),
            "former_revision": found.revision,
            "copy": None,
        },
        (Line(due if is_due else "nothing to upgrade", "bold"), *_page(found)),
    )


def _page(found: "DatabaseStatus") -> tuple[Block, ...]:
    return (
        Line(f"database:  {found.url}"),
        Line(f"exists:    {'yes' if found.exists else 'no'}"),
        Line(f"schema:    {found.revision or NOTHING}"),
        Line(f"expected:  {found.expected}"),
    )


def _schema_problem(found: "DatabaseStatus") -> Problem:
    message = (
        f"the schema of database '{found.url}' is '{found.revision or NOTHING}',"
        f" this program works with '{found.expected}'"
    )
    return Problem("schema", message, "vmsnap db upgrade")
