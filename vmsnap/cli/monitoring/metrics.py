"""The metrics file: figures of domains and of runs, merged with what stands there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from vmsnap import __version__
from vmsnap.cli.monitoring.exposition import Family, samples_of, text_of
from vmsnap.cli.monitoring.metric_families import (
    BUILD,
    COLLECTION,
    LAST_RUN,
    LAST_STATUS,
    OF_DOMAINS,
    RUNS,
    Collected,
    EndedRun,
    families_of,
)
from vmsnap.errors import ConfigError, VmsnapError

if TYPE_CHECKING:
    from pathlib import Path

    from vmsnap.config import DomainSettings
    from vmsnap.engine.status import DomainStatus
    from vmsnap.ports import Ports

_LAST_OPERATIONS = 1000
"""Among so many of this host's operations the last one of each domain and verb is looked for."""

_Old: TypeAlias = Mapping[str, Mapping[str, str]]
"""The samples that stand in the file, by the name of their family."""


def collect(ports: "Ports", statuses: "Sequence[DomainStatus]") -> Collected:
    """Add to how domains stand what was done last on this host's domains."""
    history = ports.catalog.history(ports.hypervisor.host_id(), limit=_LAST_OPERATIONS)
    return Collected(statuses, history, ports.clock.now())


def collect_all(ports: "Ports", settings_of: "Callable[[str], DomainSettings]") -> Collected:
    """Look at all domains of this host, each judged by what config.toml says of it."""
    from vmsnap.cli.from_config import expectation
    from vmsnap.engine.status import domain_statuses

    return collect(ports, domain_statuses(ports, (), lambda name: expectation(settings_of(name))))


def write(
    path: "Path",
    collected: Collected | None,
    *,
    run: EndedRun | None = None,
    has_failed: bool = False,
) -> None:
    """Replace the metrics file; what is not known now stays as it stands there.

    `has_failed` says that there was an attempt to collect the figures of domains. Raises
    ConfigError if the file cannot be written, or what is there is no metrics file of vmsnap's.
    """
    from vmsnap.host.text_files import replace_text

    def text(old: str) -> str:
        present = samples_of(old)
        build = BUILD.with_samples([({"version": __version__}, 1)])
        domains = _domains(present, collected, has_failed=has_failed)
        return text_of((build, *domains, *_runs(present, run)))

    try:
        replace_text(path, text, beginning=BUILD.beginning)
    except VmsnapError as error:
        message = f"the metrics are not written: {error.message}"
        raise ConfigError(message, hint=error.hint) from error


def _domains(old: _Old, collected: Collected | None, *, has_failed: bool) -> Iterator[Family]:
    if collected is not None:
        yield COLLECTION.with_samples([({}, 1)])
        yield from families_of(collected)
        return
    if has_failed:
        yield COLLECTION.with_samples([({}, 0)])
    else:
        yield _as_it_was(COLLECTION, old)
    yield from (_as_it_was(family, old) for family in OF_DOMAINS)


def _runs(old: _Old, run: EndedRun | None) -> Iterator[Family]:
    families = [_as_it_was(family, old) for family in (LAST_RUN, LAST_STATUS, RUNS)]
    if run is None:
        yield from families
        return
    last, status, runs = families
    labels = {"verb": run.verb}
    yield last.with_sample(labels, run.at.timestamp())
    yield status.with_sample(labels, run.exit_code)
    counted = {**labels, "exit_status": str(run.exit_code)}
    yield runs.with_sample(counted, runs.value(counted) + 1)


def _as_it_was(family: Family, old: _Old) -> Family:
    return replace(family, samples=old.get(family.name, {}))
