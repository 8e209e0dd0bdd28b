"""The root of the command line: the global options and the verb groups."""

from copy import copy
from pathlib import Path
from typing import Annotated

import typer

from vmsnap.cli import help_text
from vmsnap.cli.help_layout import ProgramInOrder, lay_out
from vmsnap.cli.session import Session
from vmsnap.cli.verbs import (
    backup,
    config,
    database,
    doctor,
    group,
    history,
    install_units,
    prune,
    purge,
    recover,
    snapshot,
    status,
    undo,
    vm,
)
from vmsnap.config.values import NONE
from vmsnap.errors import UsageError

app = typer.Typer(
    name="vmsnap",
    cls=ProgramInOrder,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=help_text.root_epilog("/var/log/vmsnap/vmsnap.log"),
)


@app.callback()
def global_options(
    context: typer.Context,
    *,
    connect: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="The libvirt to talk to: LIBVIRT_DEFAULT_URI, or qemu:///system."
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The database; it follows the connection if not given."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings to read instead of config.toml.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors, warnings and what was asked for.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print every step.")] = False,
    wait: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Wait for a domain that is busy."),
    ] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write figures for Prometheus there after each change; 'none' writes none.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and do nothing else.")
    ] = False,
) -> None:
    """Keep disks, UEFI NVRAM and TPM state of libvirt machines together, as snapshot groups."""
    session: Session = context.obj
    _require_file(config, "--config", hint="--config /dev/null reads none")
    # None and False count as not given.
    session.command_line = {
        "connect": connect,
        "database": database,
        "json": json,
        "quiet": quiet,
        "verbose": verbose,
        "wait": wait,
        "metrics_file": _metrics_file(metrics_file),
    }
    session.config_file = config


def _metrics_file(typed: Path | None) -> str | None:
    """Return what the setting takes for what was typed; `none` is a word and no file here."""
    if typed is None:
        return None
    if typed == Path(NONE):
        return NONE
    _require_file(typed, "--metrics-file", hint="--metrics-file none writes none")
    return str(typed.absolute())


def _require_file(typed: Path | None, option: str, *, hint: str) -> None:
    """Raise UsageError for the empty text, which is a path: that of the folder one is in."""
    if typed == Path():
        message = f"option '{option}' names no file"
        raise UsageError(message, hint=hint)


app.add_typer(vm.app, name="vm")
app.add_typer(snapshot.app, name="snapshot")
app.add_typer(group.app, name="group")
app.add_typer(backup.app, name="backup")
app.command("status", epilog=status.EPILOG)(status.status)
app.command("undo", epilog=undo.EPILOG)(undo.undo)
app.command("history", epilog=history.EPILOG)(history.history)
app.command("prune", epilog=prune.EPILOG)(prune.prune)
app.command("purge", epilog=purge.EPILOG)(purge.purge)
app.command("recover", epilog=recover.EPILOG)(recover.recover)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.add_typer(config.app, name="config")
app.command("install-units", epilog=install_units.EPILOG)(install_units.install_units)
app.add_typer(database.app, name="db")
lay_out(app)


def branch(word: str) -> typer.Typer | None:
    """Return the program with one verb, or one group of verbs, alone; None if none is called so.

    Typer takes 7 ms to make commands of all of them.
    """
    part = copy(app)
    part.registered_groups = [group for group in app.registered_groups if group.name == word]
    part.registered_commands = [verb for verb in app.registered_commands if verb.name == word]
    return part if part.registered_groups or part.registered_commands else None
