"""The verbs of snapshots: create, list."""

from typing import Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.answer import Answer
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import (
    AllHosts,
    AnyDomain,
    Description,
    Domain,
    DryRun,
    Name,
    Without,
    host_file_types,
)
from vmsnap.cli.questions import pasteable
from vmsnap.cli.session import Session

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Take and see snapshots.")


@app.command(
    "create",
    epilog=epilog(
        "vmsnap snapshot create web1 --name before-upgrade",
        "vmsnap snapshot create web1 --exclude vdb --without tpm --dry-run",
        statuses=(11, 13, 14, 16, 20, 21, 22, 24, 30, 75),
    ),
)
def create(
    context: typer.Context,
    domain: Domain,
    *,
    name: Name = None,
    description: Description = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="TARGET", help="Leave a disk out; can be repeated."),
    ] = None,
    without: Without = None,
    dry_run: DryRun = False,
) -> Answer:
    """Take a group of a domain at one instant.

    It holds the domain's disks, NVRAM, TPM state and definition.
    """
    from vmsnap.cli.render_group import created
    from vmsnap.engine.create import create_group
    from vmsnap.engine.requests import CreateRequest

    session: Session = context.obj
    request = CreateRequest(
        name=name,
        description=description,
        exclude=tuple(exclude or ()),
        without=host_file_types(without),
        dry_run=dry_run,
    )
    ports = session.ports() if dry_run else session.changing_ports(context, create=True)
    result = create_group(ports, domain, request)
    return Answer(
        documents.created(result),
        created(result),
        changed=result.group is not None,
        is_news=not dry_run,
    )


@app.command("list", epilog=epilog("vmsnap snapshot list web1", statuses=(11, 20, 22)))
def list_(context: typer.Context, domain: AnyDomain = None, all_hosts: AllHosts = False) -> Answer:
    """List snapshots, one per disk of each group, oldest first."""
    from vmsnap.cli.render_group import snapshot_table
    from vmsnap.engine.listing import list_groups

    session: Session = context.obj
    found = list_groups(session.ports(), domain, all_hosts=all_hosts)
    rows = [row for view in found.groups for row in documents.snapshots(view)]
    return Answer(
        {"snapshots": rows},
        snapshot_table(found.groups),
        note=None if rows else "no snapshots yet",
        hint=None if rows else pasteable("snapshot create", domain or "DOMAIN"),
    )
