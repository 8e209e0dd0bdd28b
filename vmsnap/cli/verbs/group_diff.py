"""The verb group diff."""

import typer

from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Domain, Group
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer

EPILOG = epilog(
    "vmsnap group diff web1 before-upgrade",
    "vmsnap group diff web1 before-upgrade --json",
    statuses=(11, 12, 14, 20, 22),
)


def diff(context: typer.Context, domain: Domain, group: Group) -> Answer:
    """Say what a revert would change: definition, host files, disks.

    The definition is compared line by line, without passwords: '-' is now, '+' comes back. LOSES is
    what a disk's layers above the group's take; one that was not written to takes some 200 KiB.
    """
    from vmsnap.cli.documents import diff as documents_diff
    from vmsnap.cli.render import diff as render_diff
    from vmsnap.engine.diff import diff_group

    session: Session = context.obj
    ports = session.ports()
    found = diff_group(ports, domain, group)
    return Answer(
        {"diff": documents_diff.difference(found)},
        render_diff.difference(found, ports.clock.now()),
    )
