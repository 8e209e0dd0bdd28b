"""The settings as the JSON that scripts read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmsnap.config import DomainSettings, HookSettings, Settings
    from vmsnap.model import JsonObject, JsonValue


def settings(found: "Settings", domain: str | None) -> "JsonObject":
    """Show all settings; of those for domains what holds for one, or what each table says."""
    hooks = found.hooks if domain is None else found.hooks_for(domain)
    return {
        "files": [{"path": str(file.path), "is_there": file.is_there} for file in found.files],
        "settings": _settings(found),
        "domain": domain,
        "domain_settings": _of_domain(found.for_domain(domain)),
        "sections": [] if domain is not None else _sections(found),
        "hooks": [_hook(hook) for hook in hooks],
    }


def _settings(found: "Settings") -> "list[JsonValue]":
    from vmsnap.config import hidden
    from vmsnap.config.written import written_path

    values: dict[str, JsonValue] = {
        "connect": found.connect_uri,
        "database": hidden(found.database_url),
        "json": found.json,
        "quiet": found.quiet,
        "verbose": found.verbose,
        "wait": found.wait_seconds,
        "metrics_file": written_path(found.metrics_file),
    }
    return [_row(key, value, found.sources[key]) for key, value in values.items()]


def _of_domain(found: "DomainSettings") -> "list[JsonValue]":
    from vmsnap.config import duration_text
    from vmsnap.config.written import written
    from vmsnap.engine.retention import SAFETY_LIMIT

    values = written(found)
    # The one rule that holds, too, where nothing is said.
    values["keep_safety"] = values["keep_safety"] or duration_text(SAFETY_LIMIT)
    return [_row(key, value, found.sources[key]) for key, value in values.items()]


def _sections(found: "Settings") -> "list[JsonValue]":
    """Show what each table for a pattern says, and nothing that it leaves to others."""
    from vmsnap.config.domains import domain_settings
    from vmsnap.config.written import written

    rows: list[JsonValue] = []
    for section in found.sections:
        if section.pattern is None:
            continue
        said = domain_settings((section,), found.home)
        rows += [
            {"pattern": section.pattern, **_row(key, value, said.sources[key])}
            for key, value in written(said).items()
            if key in section.table.values
        ]
    return rows


def _row(key: str, value: "JsonValue", source: str) -> "JsonObject":
    return {"key": key, "value": value, "source": source}


def _hook(hook: "HookSettings") -> "JsonObject":
    # Its arguments may be secrets: a token for a service that is told, for instance.
    return {
        "when": hook.when.value,
        "operations": list(hook.operations),
        "domains": list(hook.domains),
        "program": hook.run[0],
        "on_failure": hook.on_failure.value,
        "timeout": hook.timeout_seconds,
        "source": hook.source,
    }
