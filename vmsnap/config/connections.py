"""What a libvirt URI says of where its libvirt runs, and whose it is."""

from urllib.parse import SplitResult, urlsplit

from vmsnap.errors import ConfigError, UnsupportedError

SYSTEM_URI = "qemu:///system"


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


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        # The URI is not repeated: it may hold a password.
        raise ConfigError("the libvirt URI is malformed", hint=f"--connect {SYSTEM_URI}") from None
