"""The verbs group pin and group unpin."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Domain, DryRun
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer

if TYPE_CHECKING:
    from vmsnap.engine.results import PinResult

_STATUSES = (3, 11, 12, 14, 17, 20, 21, 22, 30, 75)
PIN = epilog(
    "vmsnap group pin web1 before-upgrade",
    "vmsnap group pin web1 monday tuesday --dry-run",
    statuses=_STATUSES,
)
UNPIN = epilog("vmsnap group unpin web1 before-upgrade", statuses=_STATUSES)

_Groups = Annotated[
    list[str],
    typer.Argument(metavar="GROUP...", help="Names or UUIDs; 8 digits of a UUID suffice."),
]


def pin(context: typer.Context, domain: Domain, groups: _Groups, dry_run: DryRun = False) -> Answer:
    """Keep groups from being pruned or deleted.

    `prune` keeps a pinned group whatever its rules say; `group delete` and `group ungroup` refuse
    it until it is unpinned.
    """
    return _pin(context, domain, groups, pinned=True, dry_run=dry_run)


def unpin(
    context: typer.Context, domain: Domain, groups: _Groups, dry_run: DryRun = False
) -> Answer:
    """Let pinned groups be pruned and deleted again."""
    return _pin(context, domain, groups, pinned=False, dry_run=dry_run)


def _pin(
    context: typer.Context, domain: str, groups: list[str], *, pinned: bool, dry_run: bool
) -> Answer:
    from vmsnap.engine.pin import pin_groups
    from vmsnap.engine.requests import PinRequest

    session: Session = context.obj
    ports = session.ports() if dry_run else session.changing_ports(context)
    request = PinRequest(pinned=pinned, dry_run=dry_run)
    return _answer(pin_groups(ports, domain, groups, request))


def _answer(result: "PinResult") -> Answer:
    from vmsnap.cli.render.change import change, named

    of = f"{named('group', result.groups)} of domain '{result.domain_name}'"
    verb, done = ("pin", "pinned") if result.is_pinned else ("unpin", "unpinned")
    blocks = change(f"{done} {of}", f"would {verb} {of}", (), is_done=result.is_done)
    return Answer(
        {
            "domain": result.domain_name,
            "groups": documents.texts(result.groups),
            "is_pinned": result.is_pinned,
            "is_done": result.is_done,
            "notes": documents.texts(result.notes),
        },
        blocks if result.groups else (),
        changed=result.is_done,
        note="; ".join(result.notes) or None,
        is_news=result.is_done,
    )
