"""What a command line leaves open, taken from the domain's tables of config.toml."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from vmsnap.cli.terminal.text import joined

if TYPE_CHECKING:
    from datetime import timedelta

    from vmsnap.cli.session import Session
    from vmsnap.config import DomainSettings
    from vmsnap.engine.requests import CreateRequest
    from vmsnap.engine.results import BackupResult, CreateResult
    from vmsnap.engine.troubles import Expectation
    from vmsnap.model import JsonValue
    from vmsnap.ports import Ports

Result = TypeVar("Result", "CreateResult", "BackupResult")

log = logging.getLogger(__name__)

EXCLUDE = "exclude"
WITHOUT = "without"
QUIESCE = "quiesce"
OVERLAY_DIR = "overlay_dir"


def creating(
    session: "Session",
    create: "Callable[[Ports, str, CreateRequest], Result]",
    request: "CreateRequest",
    left_open: frozenset[str],
) -> "Callable[[Ports, str], Result]":
    """Return what creates for a domain as was typed, or else as its tables of config.toml say.

    `left_open` are the keys of config.toml whose options were not typed. A dry run notes what came
    from which table; else the log does.
    """

    def create_one(ports: "Ports", domain: str) -> Result:
        if not session.settings.sections:
            return create(ports, domain, request)
        from vmsnap.engine.find import find_domain_name

        name = find_domain_name(ports, domain)
        found = session.settings.for_domain(name)
        notes: tuple[str, ...] = _notes(found, left_open)
        for note in notes:
            log.info("%s: %s", name, note)
        result: Result = create(ports, domain, _completed(request, found, left_open))
        return replace(result, notes=notes + result.notes) if request.dry_run else result

    return create_one


def expectation(
    settings: "DomainSettings", typed: "tuple[timedelta | None, timedelta | None]" = (None, None)
) -> "Expectation":
    """Put together what was typed and what config.toml says of one domain."""
    from vmsnap.engine.completeness import Renounced
    from vmsnap.engine.troubles import Expectation
    from vmsnap.model import HostFileType

    max_age, warn_age = typed
    types = frozenset(HostFileType(word) for word in settings.without)
    renounced = Renounced(frozenset(settings.exclude), types)
    limit = max_age if max_age is not None else settings.max_age
    return Expectation(limit, warn_age, renounced)


def shown(value: "JsonValue") -> str:
    """Write the value of a key of config.toml for people."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return joined(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return joined([] if value is None else [str(value)])


def _completed(
    request: "CreateRequest", found: "DomainSettings", left_open: frozenset[str]
) -> "CreateRequest":
    from vmsnap.model import HostFileType

    if EXCLUDE in left_open:
        request = replace(request, exclude_if_there=found.exclude)
    if WITHOUT in left_open:
        types = frozenset(HostFileType(word) for word in found.without)
        request = replace(request, without=types)
    if QUIESCE in left_open:
        word = found.quiesce.value
        request = replace(request, quiesce=word == "require", try_quiesce=word == "try")
    if OVERLAY_DIR in left_open:
        request = replace(request, overlay_dir=found.overlay_dir)
    return request


def _notes(found: "DomainSettings", left_open: frozenset[str]) -> tuple[str, ...]:
    from vmsnap.config import DEFAULT
    from vmsnap.config.written import written

    return tuple(
        f"{key} {shown(value)}, from {found.sources[key]}"
        for key, value in written(found).items()
        if key in left_open and found.sources[key] != DEFAULT
    )
