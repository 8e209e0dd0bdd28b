"""The verb of the settings: show."""

from typing import Annotated

import typer

from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See settings.",
    epilog=group_epilog("vmsnap config show", "vmsnap config show web1"),
)


@app.command(
    "show",
    epilog=epilog(
        "vmsnap config show", "vmsnap config show web1", "vmsnap config show web1 --json"
    ),
)
def show(
    context: typer.Context,
    domain: Annotated[
        str | None,
        typer.Argument(
            metavar="[DOMAIN]", help="The name of a domain, also of one that is yet to be made."
        ),
    ] = None,
) -> Answer:
    """Show every setting and where it came from.

    Command line before environment before files before defaults; and which files were looked for.
    With a domain's name what holds for it, else what each table says. Neither libvirt nor the
    database is asked. Passwords, and what hooks are given to read, are not shown.
    """
    from vmsnap.cli.documents.config import settings
    from vmsnap.cli.render.config import settings_page

    session: Session = context.obj
    document = settings(session.settings, domain)
    return Answer(document, settings_page(document, domain))
