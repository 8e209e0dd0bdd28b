"""What a libvirt URI says of where its libvirt runs, and whose it is."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from vmsnap.config.places import is_root
from vmsnap.errors import ConfigError, UnsupportedError

SYSTEM_URI = "qemu:///system"

# Where libvirt looks for the session's socket, definitions, variable stores and TPM states.
_SESSION_VARIABLES = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def is_system(uri: str) -> bool:
    """Tell whether a URI is that of this host's system libvirt. Raises ConfigError if malformed."""
    parts = _split(uri)
    return parts.scheme in ("qemu", "qemu+unix") and not parts.netloc and parts.path == "/system"


def require_local(uri: str) -> None:
    """Refuse a libvirt on another host: vmsnap has to reach the files that it keeps.

    Raises UnsupportedError for one, ConfigError for what is no URI.
    """
    parts = _split(uri)
    _, _, transport = parts.scheme.partition("+")
    if not parts.scheme:
        raise ConfigError(f"'{uri}' is no libvirt URI", hint=f"--connect {SYSTEM_URI}")
    if parts.netloc or transport not in ("", "unix"):
        # Without user and host: a URI may hold a password too.
        raise UnsupportedError(
            f"libvirt over '{parts.scheme}' is on another host; vmsnap runs on the host whose"
            " machines it keeps",
        )


def require_own_session(uri: str, environment: Mapping[str, str]) -> None:
    """Refuse root another user's session: all that it says of files would be that user's word.

    What sudo -E or su leave in the environment leads libvirt there. Raises ConfigError.
    """
    if not is_root() or _split(uri).path != "/session":
        return
    for variable in _SESSION_VARIABLES:
        folder = Path(environment.get(variable, ""))
        if not folder.is_absolute():
            continue
        owner = next(path for path in (folder, *folder.parents) if path.exists()).stat().st_uid
        if owner != 0:
            raise ConfigError(
                f"'{uri}' would be another user's: {variable} is '{folder}', which belongs to user"
                f" {owner}",
                hint=f"sudo -i -u '#{owner}' vmsnap --connect {shlex.quote(uri)} vm list",
            )


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        # The URI is not repeated: it may hold a password.
        raise ConfigError("the libvirt URI is malformed", hint=f"--connect {SYSTEM_URI}") from None
