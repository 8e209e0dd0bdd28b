"""The verbs of domains: list, show."""

import typer

from vmsnap.cli import documents
from vmsnap.cli.help_text import epilog, group_epilog
from vmsnap.cli.options import Domain
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See domains.",
    epilog=group_epilog("vmsnap vm list", "vmsnap vm show web1"),
)


@app.command("list", epilog=epilog("vmsnap vm list", "vmsnap vm list --json", statuses=(20,)))
def list_(context: typer.Context) -> Answer:
    """List the domains, and whether a snapshot would take them whole."""
    from vmsnap.cli.render.domain import domain_table
    from vmsnap.engine.show import list_domains

    session: Session = context.obj
    views = list_domains(session.ports())
    return Answer(
        {"domains": [documents.domain(view, is_whole=False) for view in views]},
        domain_table(views),
        note=None if views else "no domains yet",
    )


@app.command("show", epilog=epilog("vmsnap vm show web1", statuses=(11, 20)))
def show(context: typer.Context, domain: Domain) -> Answer:
    """Show what a domain is made of.

    Firmware, NVRAM, TPM and each disk with its chain, and for each part whether a snapshot would
    take it, or why not.
    """
    from vmsnap.cli.render.domain import domain_page
    from vmsnap.engine.show import show_domain

    session: Session = context.obj
    view = show_domain(session.ports(), domain)
    return Answer({"domain": documents.domain(view, is_whole=True)}, domain_page(view))
