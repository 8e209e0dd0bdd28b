"""Settings from command line, environment, files and defaults, and where each came from."""

from typing import TYPE_CHECKING

from vmsnap.config.connections import SYSTEM_URI
from vmsnap.config.database_urls import has_password, hidden
from vmsnap.config.durations import duration_text, parse_duration
from vmsnap.config.places import SYSTEM_CONFIG_FILE, SYSTEM_LOG_FILE, SYSTEM_STATE_FOLDER
from vmsnap.config.settings import COMMAND_LINE, DEFAULT, Settings, load_settings

if TYPE_CHECKING:
    from vmsnap.config.domains import DomainSettings, KeepSettings, Quiesce
    from vmsnap.config.hooks import HookMoment, HookSettings, OnFailure

__all__ = [
    "COMMAND_LINE",
    "DEFAULT",
    "SYSTEM_CONFIG_FILE",
    "SYSTEM_LOG_FILE",
    "SYSTEM_STATE_FOLDER",
    "SYSTEM_URI",
    "DomainSettings",
    "HookMoment",
    "HookSettings",
    "KeepSettings",
    "OnFailure",
    "Quiesce",
    "Settings",
    "duration_text",
    "has_password",
    "hidden",
    "load_settings",
    "parse_duration",
]

_LATER = {
    **dict.fromkeys(("DomainSettings", "KeepSettings", "Quiesce"), "vmsnap.config.domains"),
    **dict.fromkeys(("HookMoment", "HookSettings", "OnFailure"), "vmsnap.config.hooks"),
}


def __getattr__(name: str) -> object:
    """Import what only some commands use when it is first asked for: 5 ms of each start."""
    from importlib import import_module

    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
