"""The reading verbs of groups: list, show, tree, check."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.options import AllHosts, AnyDomain, Domain, Group
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Block, Line, Problem
from vmsnap.cli.terminal.questions import pasteable
from vmsnap.cli.verbs import group_change, group_diff, pin, ungroup

if TYPE_CHECKING:
    from vmsnap.engine.results import GroupCheck, Reason
    from vmsnap.ports import Ports

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See and use groups.",
    epilog=group_epilog(
        "vmsnap group list web1",
        "vmsnap group revert web1 before-upgrade",
        "vmsnap group delete web1 before-upgrade",
    ),
)


def _nothing(ports: "Ports", domain: str | None) -> tuple[str, str]:
    """Say that there are no groups, and what to do next: another thing if they were lost."""
    from vmsnap.engine.lost_overlays import lost_overlays

    lost = lost_overlays(ports, domain)
    if not lost:
        return "no groups yet", pasteable("snapshot create", domain or "DOMAIN")
    names = ", ".join(f"'{name}'" for name in lost)
    note = f"the database knows no groups, but vmsnap made what disks stand on: of {names}"
    return note, pasteable("db rebuild", *lost)


@app.command(
    "list",
    epilog=epilog("vmsnap group list", "vmsnap group list web1 --json", statuses=(11, 20, 22)),
)
def list_(context: typer.Context, domain: AnyDomain = None, all_hosts: AllHosts = False) -> Answer:
    """List groups, oldest first."""
    from vmsnap.cli.render.group import group_table
    from vmsnap.engine.listing import list_groups

    session: Session = context.obj
    ports = session.ports()
    found = list_groups(ports, domain, all_hosts=all_hosts)
    note, hint = (None, None) if found.groups else _nothing(ports, domain)
    this_host = ports.hypervisor.host_id() if all_hosts else None
    return Answer(
        {"groups": [documents.group(view) for view in found.groups]},
        group_table(found.groups, of_one=domain is not None, this_host=this_host),
        note=note,
        hint=hint,
    )


@app.command(
    "show", epilog=epilog("vmsnap group show web1 before-upgrade", statuses=(11, 12, 20, 22))
)
def show(context: typer.Context, domain: Domain, group: Group) -> Answer:
    """Show a group: its disks, its backup and the space that it holds."""
    from vmsnap.cli.render.group import group_page
    from vmsnap.engine.listing import show_group

    session: Session = context.obj
    view = show_group(session.ports(), domain, group)
    return Answer({"group": documents.group(view)}, group_page(view))


@app.command("tree", epilog=epilog("vmsnap group tree web1", statuses=(11, 20, 22)))
def tree(context: typer.Context, domain: Domain) -> Answer:
    """Draw which group stands on which, and where the domain is now."""
    from vmsnap.cli.render import group as render_group
    from vmsnap.engine.listing import group_tree

    session: Session = context.obj
    ports = session.ports()
    found = group_tree(ports, domain)
    note, hint = (None, None) if found.roots else _nothing(ports, found.domain_name)
    return Answer(
        {
            "domain": found.domain_name,
            "tree": [documents.branch(node) for node in found.roots],
            "stands_on_nothing": found.stands_on_nothing,
            "current_size_bytes": found.current_size_bytes,
        },
        render_group.tree(found, ports.clock.now()) if found.roots else (),
        note=note,
        hint=hint,
    )


@app.command(
    "check",
    epilog=epilog(
        "vmsnap group check web1",
        "vmsnap group check web1 before-upgrade --intact",
        statuses=(11, 12, 15, 20, 22, 75),
    ),
)
def check(
    context: typer.Context,
    domain: Domain,
    group: Annotated[
        str | None, typer.Argument(metavar="[GROUP]", help="Only this group; all without it.")
    ] = None,
    intact: Annotated[
        bool,
        typer.Option("--intact", help="Look for damage alone; that the domain runs is fine."),
    ] = False,
) -> Answer:
    """Say whether groups can be reverted, or why not.

    Nobody has to wait for it. Status 75 if an operation is at work on the domain that may be all
    that is amiss.
    """
    from vmsnap.engine.check import check_groups

    session: Session = context.obj
    ports = session.ports()
    checks = check_groups(ports, domain, group, only_damage=intact)
    note, hint = (None, None) if checks else _nothing(ports, domain)
    counting = [(item, _counting(item, only_damage=intact)) for item in checks]
    problems = tuple(_problem(item, reasons) for item, reasons in counting if reasons)
    return Answer(
        {"groups": [documents.check(item, reasons) for item, reasons in counting]},
        tuple(block for item, reasons in counting for block in _verdict(item, reasons)),
        exit_code=15 if problems else 0,
        errors=problems,
        note=note,
        hint=hint,
        is_told=True,
    )


def _counting(item: "GroupCheck", *, only_damage: bool) -> "tuple[Reason, ...]":
    return tuple(reason for reason in item.reasons if not (only_damage and reason.kind == "state"))


def _verdict(item: "GroupCheck", reasons: "tuple[Reason, ...]") -> tuple[Block, ...]:
    if not reasons:
        return (Line(f"{item.group.name}: available", "green"),)
    return (
        Line(f"{item.group.name}: not available", "bold red"),
        *(
            Line(f"  {reason.message} ({reason.kind}: {reason.code})", hanging=2)
            for reason in reasons
        ),
    )


def _problem(item: "GroupCheck", reasons: "tuple[Reason, ...]") -> Problem:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    name, domain = item.group.name, item.group.resource.domain_name
    message = f"group '{name}' of domain '{domain}' is not available: {reasons[0].message}{more}"
    return Problem("not_available", message)


app.command("diff", epilog=group_diff.EPILOG)(group_diff.diff)
group_change.register(app)
app.command("ungroup", epilog=ungroup.EPILOG)(ungroup.ungroup)
app.command("pin", epilog=pin.PIN)(pin.pin)
app.command("unpin", epilog=pin.UNPIN)(pin.unpin)
