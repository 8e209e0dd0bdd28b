"""The verb history."""

from typing import Annotated

import typer

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import AllHosts
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer

EPILOG = epilog(
    "vmsnap history",
    "vmsnap history web1 --limit 5",
    "vmsnap history web1 --json",
    statuses=(11, 12, 20, 22),
)


def history(
    context: typer.Context,
    domain: Annotated[
        str | None,
        typer.Argument(
            metavar="[DOMAIN]", help="Only this domain's, also if it is gone; all without it."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many of the last to show.")
    ] = 50,
    all_hosts: AllHosts = False,
) -> Answer:
    """Say who did what, when, and with what result.

    Oldest first. The last 1000 operations on each domain are kept; what was refused, and so changed
    nothing, by a hook for instance, is not among them: the log file tells of it.
    """
    from vmsnap.cli.documents.history import history_line
    from vmsnap.cli.render.history import history_table
    from vmsnap.engine.history import list_history

    session: Session = context.obj
    ports = session.ports()
    found = list_history(ports, domain, limit=limit, all_hosts=all_hosts)
    this_host = ports.hypervisor.host_id() if all_hosts else None
    note = None if found.lines else "nothing was done yet"
    if found.is_cut:
        note = f"these are the last {limit}; there are older ones"
    return Answer(
        {"history": [history_line(line) for line in found.lines], "is_cut": found.is_cut},
        history_table(found, of_one=domain is not None, this_host=this_host),
        note=note,
        hint=f"--limit {10 * limit}" if found.is_cut else None,
    )
