"""The verb status."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from vmsnap.cli.from_config import expectation
from vmsnap.cli.help_text import epilog
from vmsnap.cli.options import duration
from vmsnap.cli.session import Session
from vmsnap.cli.terminal.answer import Answer, Problem
from vmsnap.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vmsnap.engine.status import DomainStatus
    from vmsnap.ports import Ports

EPILOG = epilog(
    "vmsnap status",
    "vmsnap status --max-age 26h",
    "vmsnap status web1 --max-age 26h --warn-age 25h --nagios",
    "vmsnap status --metrics-file /var/lib/prometheus/node-exporter/vmsnap.prom",
    statuses=(3, 11, 20, 22),
)
_NOT_FINE = 3


def status(
    context: typer.Context,
    domains: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DOMAIN]...", help="Only these domains; all without any."),
    ] = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="AGE",
            help="How old the newest complete group may be (90m, 26h, 2d); else max_age of"
            " config.toml.",
        ),
    ] = None,
    warn_age: Annotated[
        str | None,
        typer.Option("--warn-age", metavar="AGE", help="From which age on it is a warning."),
    ] = None,
    nagios: Annotated[
        bool,
        typer.Option(
            "--nagios", help="Print one line for Nagios, and end with 0, 1, 2 or 3 as it wants."
        ),
    ] = False,
) -> Answer:
    """Say which domain lacks a young complete group.

    And which waits for a recovery, or has a disk that nears the most layers that libvirt starts. A
    group is complete if a person or cron made it, it holds all disks, NVRAM and TPM state that the
    domain has now, and its files are what they were. What config.toml leaves out (exclude, without)
    is not missed; safety groups do not count. A domain without a limit of age is listed and not
    judged. Nothing is changed and nobody has to wait. Status 0 if all is fine, else 3. Without
    domains and --nagios the metrics file is written, where one is wanted; status 10 if it cannot
    be, whatever stands in the answer.
    """
    from vmsnap.cli.monitoring import nagios as plugin
    from vmsnap.config import COMMAND_LINE
    from vmsnap.engine.status import domain_statuses

    session: Session = context.obj
    limits = duration(max_age, "--max-age"), duration(warn_age, "--warn-age")
    if limits[0] is not None and limits[1] is not None and limits[1] > limits[0]:
        raise UsageError("--warn-age is more than --max-age: it would never warn")
    settings = session.settings
    if nagios and settings.sources["json"] == COMMAND_LINE:
        message = "--nagios and --json exclude each other"
        raise UsageError(
            message, hint="leave --nagios out: the document says all that its line does"
        )
    if nagios and settings.metrics_file and settings.sources["metrics_file"] == COMMAND_LINE:
        raise UsageError("--nagios writes no metrics file", hint="leave --metrics-file out")
    ports = session.ports()
    found = domain_statuses(
        ports, domains or (), lambda name: expectation(settings.for_domain(name), limits)
    )
    if nagios:
        return plugin.answer(found)
    answer = _answer(found)
    if settings.metrics_file is None or domains:
        return answer
    return _written(answer, settings.metrics_file, ports, found)


def _written(
    answer: Answer, path: "Path", ports: "Ports", found: "Sequence[DomainStatus]"
) -> Answer:
    """Write the metrics file; where that fails, the answer says so and stays whole."""
    from vmsnap.cli.monitoring import metrics

    try:
        metrics.write(path, metrics.collect(ports, found))
    except ConfigError as error:
        problem = Problem.of(error, is_aside=True)
        return replace(answer, exit_code=error.exit_code, errors=(*answer.errors, problem))
    return answer


def _answer(found: "Sequence[DomainStatus]") -> Answer:
    from vmsnap.cli.documents.status import domain_status
    from vmsnap.cli.render.status import status_table

    troubles = [(item, trouble) for item in found for trouble in item.troubles]
    is_judging = any(item.expectation.is_judging for item in found)
    return Answer(
        {"domains": [domain_status(item) for item in found]},
        status_table(found),
        exit_code=_NOT_FINE if troubles else 0,
        errors=tuple(
            Problem(
                trouble.code, f"domain '{item.domain_name}': {trouble.message}", trouble.command
            )
            for item, trouble in troubles
        ),
        note=None if found else "this host has no domains",
        hint="--max-age 26h, or max_age in config.toml, says how old a group may be"
        if found and not is_judging
        else None,
        is_news=True,
        is_told=True,
    )
