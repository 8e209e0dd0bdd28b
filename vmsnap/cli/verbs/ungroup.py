"""The verb group ungroup."""

from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import Domain, DryRun, Group
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer
from vmsnap.cli.terminal.questions import pasteable

if TYPE_CHECKING:
    from vmsnap.engine.results import UngroupResult

EPILOG = epilog(
    "vmsnap group ungroup web1 before-upgrade",
    "vmsnap group ungroup web1 before-upgrade --drop-backup --dry-run",
    "vmsnap snapshot delete web1 before-upgrade/vda",
    statuses=(3, 11, 12, 13, 14, 17, 20, 21, 22, 30, 75),
)


def ungroup(
    context: typer.Context,
    domain: Domain,
    group: Group,
    drop_backup: Annotated[
        bool,
        typer.Option("--drop-backup", help="Throw its NVRAM and TPM away instead of keeping them."),
    ] = False,
    dry_run: DryRun = False,
) -> Answer:
    """Turn a group into single snapshots and a backup.

    Its disks' snapshots stay, its NVRAM and TPM state become a backup of its name. The domain can
    no longer be reverted to it. No disk and no host file is touched.
    """
    from vmsnap.engine.requests import UngroupRequest
    from vmsnap.engine.ungroup import ungroup as ungroup_it

    session: Session = context.obj
    request = UngroupRequest(drop_backup=drop_backup, dry_run=dry_run)
    ports = session.ports() if dry_run else session.changing_ports(context)
    return _answer(ungroup_it(ports, domain, group, request))


def _answer(result: "UngroupResult") -> Answer:
    from vmsnap.cli.render.change import change

    of = f"group '{result.name}' of domain '{result.domain_name}'"
    backup = f"backup '{result.backup.name}'" if result.backup else "its backup is dropped"
    return Answer(
        {
            "domain": result.domain_name,
            "group": result.name,
            "snapshots": documents.texts(result.snapshots),
            "backup": documents.resource(result.backup),
            "is_done": result.is_done,
            "notes": documents.texts(result.notes),
        },
        change(
            f"ungrouped {of}",
            f"would ungroup {of}",
            (*(f"snapshot '{name}'" for name in result.snapshots), backup),
            is_done=result.is_done,
            notes=result.notes,
        ),
        changed=result.is_done,
        is_news=result.is_done,
        hint=pasteable("snapshot list", result.domain_name) if result.is_done else None,
    )
