"""The verbs of snapshots: create, list, delete."""

from pathlib import Path
from typing import Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.from_config import EXCLUDE, OVERLAY_DIR, QUIESCE, WITHOUT, creating
from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.options import (
    NONE,
    AllHosts,
    AnyDomain,
    Bandwidth,
    Description,
    Domain,
    DryRun,
    Name,
    Without,
    Yes,
    bytes_per_second,
    left_out_types,
    repeated,
)
from vmsnap.cli.session import Session
from vmsnap.cli.several import All, Chosen, Domains, answer_of, run_on_each
from vmsnap.cli.terminal.answer import Answer
from vmsnap.cli.terminal.questions import pasteable
from vmsnap.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Take and see snapshots.",
    epilog=group_epilog(
        "vmsnap snapshot create web1 --name before-upgrade", "vmsnap snapshot list web1"
    ),
)


@app.command(
    "create",
    epilog=epilog(
        "vmsnap snapshot create web1 --name before-upgrade",
        "vmsnap snapshot create web1 --exclude vdb --without tpm --dry-run",
        "vmsnap snapshot create --all --try-quiesce --wait 60",
        statuses=(3, 11, 13, 14, 16, 17, 20, 21, 22, 24, 30, 75),
    ),
)
def create(
    context: typer.Context,
    domains: Domains = None,
    *,
    all_: All = False,
    name: Name = None,
    description: Description = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="TARGET",
            help="Leave a disk out; can be repeated. 'none' undoes config.toml's.",
        ),
    ] = None,
    without: Without = None,
    suspend: Annotated[
        bool, typer.Option("--suspend", help="Suspend a running guest for the moment.")
    ] = False,
    no_suspend: Annotated[
        bool, typer.Option("--no-suspend", help="Fail rather than suspend a running guest.")
    ] = False,
    quiesce: Annotated[
        bool, typer.Option("--quiesce", help="Freeze its file systems through the guest agent.")
    ] = False,
    try_quiesce: Annotated[
        bool, typer.Option("--try-quiesce", help="The same, but go on where that is not possible.")
    ] = False,
    no_quiesce: Annotated[
        bool, typer.Option("--no-quiesce", help="Freeze nothing, whatever config.toml says.")
    ] = False,
    freeze_timeout: Annotated[
        int,
        typer.Option(
            "--freeze-timeout",
            metavar="SECONDS",
            min=1,
            max=600,
            help="Time limit for freezing.",
        ),
    ] = 10,
    overlay_dir: Annotated[
        Path | None,
        typer.Option(
            "--overlay-dir",
            metavar="DIR",
            help="Put new overlays there, as block devices need; 'none': beside the images.",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> Answer:
    """Take a group of each domain at one instant, shut off or running.

    It holds the domain's disks, NVRAM, TPM state and definition. Several domains are taken side by
    side, each all or nothing by itself. Each of --exclude, --without, --quiesce
    and --overlay-dir that is not typed may come from config.toml: see vmsnap config show DOMAIN.
    """
    from vmsnap.cli.render.group import created
    from vmsnap.engine.create import create_group
    from vmsnap.engine.requests import CreateRequest

    session: Session = context.obj
    if no_quiesce and (quiesce or try_quiesce):
        message = "--no-quiesce excludes --quiesce and --try-quiesce"
        raise UsageError(message)
    request = CreateRequest(
        name=name,
        description=description,
        exclude=repeated("--exclude", exclude),
        without=left_out_types(without),
        suspend=suspend,
        no_suspend=no_suspend,
        quiesce=quiesce,
        try_quiesce=try_quiesce,
        freeze_seconds=freeze_timeout,
        overlay_dir=None if str(overlay_dir) == NONE else overlay_dir,
        dry_run=dry_run,
    )
    typed = {
        EXCLUDE: exclude,
        WITHOUT: without,
        QUIESCE: quiesce or try_quiesce or no_quiesce,
        OVERLAY_DIR: overlay_dir,
    }
    left_open = frozenset(key for key, value in typed.items() if not value)
    ended = run_on_each(
        session,
        context,
        Chosen(domains, all_),
        creating(session, create_group, request, left_open),
        dry_run=dry_run,
    )
    return answer_of(
        ended,
        lambda result: Answer(
            documents.created(result), created(result), changed=result.group is not None
        ),
        is_done=not dry_run,
    )


@app.command("list", epilog=epilog("vmsnap snapshot list web1", statuses=(11, 20, 22)))
def list_(context: typer.Context, domain: AnyDomain = None, all_hosts: AllHosts = False) -> Answer:
    """List snapshots, oldest first.

    One per disk of each group, and the single ones that `group ungroup` left.
    """
    from vmsnap.cli.render.group import snapshot_table
    from vmsnap.engine.listing import list_snapshots

    session: Session = context.obj
    ports = session.ports()
    found = list_snapshots(ports, domain, all_hosts=all_hosts)
    this_host = ports.hypervisor.host_id() if all_hosts else None
    rows = [row for view in found.groups for row in documents.snapshots(view)]
    return Answer(
        {"snapshots": rows},
        snapshot_table(found.groups, of_one=domain is not None, this_host=this_host),
        note=None if rows else "no snapshots yet",
        hint=None if rows else pasteable("snapshot create", domain or "DOMAIN"),
    )


@app.command(
    "delete",
    epilog=epilog(
        "vmsnap snapshot delete web1 before-upgrade/vda --dry-run",
        "vmsnap snapshot delete web1 before-upgrade/vda before-upgrade/vdb --yes",
        statuses=(3, 11, 12, 14, 16, 17, 20, 21, 22, 24, 30, 75),
    ),
)
def delete(
    context: typer.Context,
    domain: Domain,
    snapshots: Annotated[
        list[str],
        typer.Argument(
            metavar="SNAPSHOT...", help="Names GROUP/DISK, or UUIDs; 8 digits of one suffice."
        ),
    ],
    bandwidth: Bandwidth = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Delete single snapshots, as ungroup leaves them.

    Those of a group go with it, by `group delete`. The domain stays as it is; every other snapshot
    and what it reads now keep their exact content.
    """
    from vmsnap.cli.verbs.group_change import ask_delete, deleted
    from vmsnap.engine.delete import delete_groups
    from vmsnap.engine.requests import DeleteRequest

    session: Session = context.obj
    groups: tuple[str, ...] = ()
    request = DeleteRequest(
        singles=tuple(snapshots), bandwidth=bytes_per_second(bandwidth), dry_run=dry_run
    )
    if not yes and not dry_run:
        groups, request = ask_delete(session, domain, groups, request)
    ports = session.ports() if dry_run else session.changing_ports(context)
    return deleted(delete_groups(ports, domain, groups, request))
