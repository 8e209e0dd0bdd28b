"""The verb undo."""

from typing import Annotated

import typer

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Domain, DryRun, Shutdown, ShutdownTimeout, Start
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer
from vmsnap.cli.verbs.group_change import reverted

EPILOG = epilog(
    "vmsnap undo web1",
    "vmsnap undo web1 --dry-run",
    statuses=(3, 11, 14, 15, 16, 17, 20, 21, 22, 23, 24, 30, 75),
)


def undo(
    context: typer.Context,
    domain: Domain,
    *,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Undo although groups were made since, or a disk was not kept."
        ),
    ] = False,
    shutdown: Shutdown = False,
    shutdown_timeout: ShutdownTimeout = 120,
    start: Start = False,
    dry_run: DryRun = False,
) -> Answer:
    """Take the last revert, restore or clone of a domain back."""
    from vmsnap.engine.requests import Power, UndoRequest
    from vmsnap.engine.undo import undo_last

    session: Session = context.obj
    ports = session.ports() if dry_run else session.changing_ports(context)
    power = Power(shutdown, shutdown_timeout, start)
    request = UndoRequest(force=force, power=power, dry_run=dry_run)
    return reverted(undo_last(ports, domain, request), verb="undo")
