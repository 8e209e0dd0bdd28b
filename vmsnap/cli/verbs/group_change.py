"""The changing verbs of groups: revert, delete."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import (
    Bandwidth,
    Domain,
    DryRun,
    Group,
    HostFileWord,
    NoSafety,
    Shutdown,
    ShutdownTimeout,
    Start,
    Yes,
    bytes_per_second,
    host_file_types,
    rate,
)
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.cli.terminal.questions import confirm, pasteable, require_terminal
from vmsnap.cli.terminal.text import NOTHING
from vmsnap.errors import DomainRunningError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmsnap.engine.requests import DeleteRequest, RevertRequest
    from vmsnap.engine.results import DeleteResult, RevertResult
    from vmsnap.ports import Ports

_REVERT = epilog(
    "vmsnap group revert web1 before-upgrade",
    "vmsnap group revert web1 before-upgrade --dry-run",
    "vmsnap group revert web1 before-upgrade --shutdown --start",
    "vmsnap undo web1",
    statuses=(3, 11, 12, 14, 15, 16, 17, 20, 21, 22, 23, 24, 30, 75),
)
_DELETE = epilog(
    "vmsnap group delete web1 before-upgrade --dry-run",
    "vmsnap group delete web1 monday tuesday --yes",
    "vmsnap group delete web1 monday --bandwidth 50M --yes",
    statuses=(3, 11, 12, 14, 16, 17, 20, 21, 22, 24, 30, 75),
)


def register(app: typer.Typer) -> None:
    """Add the changing verbs to `vmsnap group`."""
    app.command("revert", epilog=_REVERT)(revert)
    app.command("delete", epilog=_DELETE)(delete)


def revert(
    context: typer.Context,
    domain: Domain,
    group: Group,
    *,
    no_safety: NoSafety = False,
    keep_definition: Annotated[
        bool, typer.Option("--keep-definition", help="Keep today's definition but for the disks.")
    ] = False,
    allow_disk_changes: Annotated[
        bool,
        typer.Option(
            "--allow-disk-changes", help="Go on although disks were detached, replaced or added."
        ),
    ] = False,
    drop_managed_save: Annotated[
        bool, typer.Option("--drop-managed-save", help="Throw a managed-save image away.")
    ] = False,
    leave: Annotated[
        list[HostFileWord] | None,
        typer.Option("--leave", help="Keep the live NVRAM or TPM as it is; can be repeated."),
    ] = None,
    shutdown: Shutdown = False,
    shutdown_timeout: ShutdownTimeout = 120,
    start: Start = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Bring a domain back to a group.

    Disks, NVRAM, TPM state and definition become what they were. What they are now is kept first,
    as a safety group: `vmsnap undo` goes back to it. A domain that runs is refused, or with
    --shutdown shut down first, but only if nothing else stands against the revert.
    """
    from vmsnap.engine.requests import Power, RevertRequest
    from vmsnap.engine.revert import revert_group

    session: Session = context.obj
    request = RevertRequest(
        with_safety=not no_safety,
        keep_definition=keep_definition,
        allow_disk_changes=allow_disk_changes,
        drop_managed_save=drop_managed_save,
        leave=host_file_types(leave),
        power=Power(shutdown, shutdown_timeout, start),
        dry_run=dry_run,
    )
    if no_safety and not yes and not dry_run:
        _ask_revert(session, domain, group, request)
    ports = session.ports() if dry_run else session.changing_ports(context)
    return reverted(revert_group(ports, domain, group, request), verb="group revert")


def reverted(result: "RevertResult", *, verb: str) -> Answer:
    """Answer for revert and undo alike."""
    from vmsnap.cli.render.change import change

    word = "" if verb == "undo" else "group "
    of = f"domain '{result.domain_name}' to {word}'{result.target_name}'"
    has_way_back = result.is_done and result.safety is not None and result.can_undo
    return Answer(
        {
            "domain": result.domain_name,
            "target": result.target_name,
            "is_done": result.is_done,
            "safety": documents.resource(result.safety),
            "not_kept": documents.left_out(result.not_kept),
            "changes": documents.texts(result.changes),
            "notes": documents.texts(result.notes),
        },
        change(
            f"brought back {of}" if verb == "undo" else f"reverted {of}",
            f"would bring back {of}" if verb == "undo" else f"would revert {of}",
            result.changes,
            is_done=result.is_done,
            safety=result.safety,
            not_kept=result.not_kept,
            notes=result.notes,
        ),
        changed=result.is_done,
        is_news=result.is_done,
        hint=pasteable("undo", result.domain_name) if has_way_back else None,
    )


def delete(
    context: typer.Context,
    domain: Domain,
    groups: Annotated[
        list[str],
        typer.Argument(
            metavar="GROUP...", help="Names or UUIDs of groups; 8 digits of a UUID suffice."
        ),
    ],
    *,
    children: Annotated[
        bool, typer.Option("--children", help="Take along all groups that stand on these.")
    ] = False,
    bandwidth: Bandwidth = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> Answer:
    """Delete groups; the domain stays as it is.

    Every other group and what the domain reads now keep their exact content. While the domain runs,
    only layers that it uses can be merged; what else there is waits in the state 'deleting' until
    the next delete or `vmsnap recover` with the domain off.
    """
    from vmsnap.engine.delete import delete_groups
    from vmsnap.engine.requests import DeleteRequest

    session: Session = context.obj
    request = DeleteRequest(
        with_children=children, bandwidth=bytes_per_second(bandwidth), dry_run=dry_run
    )
    names: tuple[str, ...] = tuple(groups)
    if not yes and not dry_run:
        names, request = ask_delete(session, domain, names, request)
    ports = session.ports() if dry_run else session.changing_ports(context)
    return deleted(delete_groups(ports, domain, names, request))


def _ask_revert(session: Session, domain: str, group: str, request: "RevertRequest") -> None:
    from dataclasses import replace

    from vmsnap.engine.revert import revert_group

    options = (*_revert_options(request), "--yes")
    require_terminal(pasteable("group revert", domain, group, options=options))
    plan = revert_group(session.ports(), domain, group, replace(request, dry_run=True))
    losses = [
        f"domain '{plan.domain_name}' loses what it wrote since it left '{plan.target_name}',"
        " with its present NVRAM and TPM state; 'vmsnap undo' cannot bring it back:",
        *(f"  {text}" for text in plan.changes),
    ]
    session.reporter.clear()
    confirm(session.printer, losses, "Revert without a safety group?")


def _revert_options(request: "RevertRequest") -> tuple[str, ...]:
    """Write the options that give this request, so that a hint asks for no less than was typed."""
    from vmsnap.engine.requests import Power

    power = request.power
    flags = {
        "--no-safety": not request.with_safety,
        "--keep-definition": request.keep_definition,
        "--allow-disk-changes": request.allow_disk_changes,
        "--drop-managed-save": request.drop_managed_save,
        "--shutdown": power.shut_down,
        "--start": power.start,
    }
    words = [flag for flag, is_given in flags.items() if is_given]
    for type_ in sorted(type_.value for type_ in request.leave):
        words += ["--leave", type_]
    if power.timeout_seconds != Power().timeout_seconds:
        words += ["--shutdown-timeout", str(power.timeout_seconds)]
    return tuple(words)


def ask_delete(
    session: Session, domain: str, groups: tuple[str, ...], request: "DeleteRequest"
) -> "tuple[tuple[str, ...], DeleteRequest]":
    """Show what would go, and ask; return the groups and the request for just that.

    What came to stand on it since is not deleted.
    """
    from dataclasses import replace

    from vmsnap.engine.delete import delete_groups

    flags = ["--children"] if request.with_children else []
    if request.bandwidth:
        flags += ["--bandwidth", rate(request.bandwidth)]
    verb, names = ("group delete", groups) if groups else ("snapshot delete", request.singles)
    require_terminal(pasteable(verb, domain, *names, options=(*flags, "--yes")))
    ports = session.ports()
    plan = delete_groups(ports, domain, groups, replace(request, dry_run=True))
    what = f"points of domain '{plan.domain_name}' and their backups"
    if not groups:
        what = f"snapshots of domain '{plan.domain_name}'"
    losses = [
        f"these {what} will be gone:",
        *_points(ports, plan),
        *(f"  {text}" for text in plan.changes),
    ]
    session.reporter.clear()
    confirm(session.printer, losses, "Delete?")
    groups, singles = _split(plan.groups)
    return groups, replace(request, with_children=False, singles=singles)


def _points(ports: "Ports", plan: "DeleteResult") -> "Iterator[str]":
    """Say of each point that would go how old and how large it is."""
    from vmsnap.cli.terminal.text import age, local_time, size
    from vmsnap.engine.listing import list_snapshots

    views = {view.group.name: view for view in list_snapshots(ports, plan.domain_name).groups}
    for name in plan.groups:
        view = views.get(name)
        if view is None:
            yield f"  {name}"
            continue
        made = view.group.resource.created_at
        old = f"{local_time(made)}, {age(made, ports.clock.now())}"
        yield f"  {name}  ({old}, {size(view.size_bytes)})"


def _split(names: "Iterable[str]") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part the names of groups from those of single snapshots, which groups' trees may hold."""
    names = tuple(names)
    return (
        tuple(name for name in names if "/" not in name),
        tuple(sorted(name for name in names if "/" in name)),
    )


def _delete_again(domain: str, names: "Iterable[str]") -> str:
    """Write the command that deletes these; snapshots that are deleting go along with groups."""
    groups, singles = _split(names)
    verb = "group delete" if groups else "snapshot delete"
    return pasteable(verb, domain, *(groups or singles), options=("--yes",))


def unmerged(result: "DeleteResult") -> tuple[Problem, ...]:
    """Say which disks of deleted groups are not merged, and what to type for each."""
    from vmsnap.engine.hints import operands

    again = _delete_again(result.domain_name, result.groups)
    off = f"virsh shutdown {operands(result.domain_name)}"
    return tuple(
        Problem(
            merge.code or "image",
            f"'{merge.snapshot_name}' is not merged yet: {merge.message or NOTHING}",
            off if merge.code == DomainRunningError.code else again,
        )
        for merge in result.results
        if not merge.merged
    )


def deleted(result: "DeleteResult") -> Answer:
    """Answer for groups and single snapshots alike."""
    from vmsnap.cli.render import change as render_change

    is_partial = result.is_done and not result.is_complete
    groups, singles = _split(result.groups)
    return Answer(
        {
            "domain": result.domain_name,
            "groups": documents.texts(groups),
            "snapshots": documents.texts(singles),
            "results": [documents.merge(merge) for merge in result.results],
            "is_done": result.is_done,
            "is_complete": result.is_complete,
            "changes": documents.texts(result.changes),
            "notes": documents.texts(result.notes),
        },
        render_change.deleted(result),
        changed=result.is_done,
        exit_code=3 if is_partial else 0,
        errors=unmerged(result) if is_partial else (),
        is_news=result.is_complete,
    )
