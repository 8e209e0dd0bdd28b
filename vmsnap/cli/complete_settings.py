"""Which libvirt and which database a completion asks: the rules of vmsnap.config, in a moment.

Reading all settings takes four times as long as Python's own start. A test holds both to the same.
"""

import os

_SYSTEM_URI = "qemu:///system"
_SYSTEM_CONFIG_FILE = "/etc/vmsnap/config.toml"
_SYSTEM_DATABASE = "/var/lib/vmsnap/vmsnap.db"
_MAX_FILE_BYTES = 64 * 1024


def libvirt_uri(environment: dict[str, str]) -> str:
    """Return the URI of the libvirt to ask.

    Raises ValueError for one on another host: asking that might ask for a password.
    """
    uri = _setting("connect", environment) or _default_uri(environment)
    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[2] not in ("", "unix") or not rest.startswith("/"):
        raise ValueError("not on this host")
    return uri


def database_file(environment: dict[str, str]) -> str | None:
    """Return the path of the SQLite database; None for one on a server."""
    given = _setting("database", environment)
    if not given:
        return _default_database(environment)
    scheme, separator, rest = given.partition("://")
    if not separator:
        return _home(environment) + given[1:] if given.startswith("~/") else given
    if scheme != "sqlite":
        return None
    from urllib.parse import unquote

    return unquote(rest.removeprefix("/"), errors="surrogateescape")


def _setting(key: str, environment: dict[str, str]) -> str | None:
    """Find a setting where vmsnap.config does: environment, own file, the system's."""
    given = environment.get(f"VMSNAP_{key.upper()}")
    if given:
        return given
    named = environment.get("VMSNAP_CONFIG")
    if named:
        return _in_file(named, key)
    own = _own_folder("XDG_CONFIG_HOME", ".config", environment) + "/config.toml"
    value = _in_file(own, key)
    if value is not None:
        return value
    connect = environment.get("VMSNAP_CONNECT") or _in_file(own, "connect")
    if not _is_system(connect or _default_uri(environment)):
        return None
    return _in_file(_SYSTEM_CONFIG_FILE, key)


def _in_file(path: str, key: str) -> str | None:
    """Return the text of a key in a config file, None without such a file or key."""
    try:
        # Not blocking: a pipe that nobody writes to is no reason to wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(descriptor, _MAX_FILE_BYTES)
    finally:
        os.close(descriptor)
    if key.encode() not in data:
        return None
    # Later than others: it takes as long as all else together, and few files have the key.
    import tomllib

    value = tomllib.loads(data.decode()).get(key)
    return value if isinstance(value, str) else None


def _default_uri(environment: dict[str, str]) -> str:
    return environment.get("LIBVIRT_DEFAULT_URI") or _SYSTEM_URI


def _default_database(environment: dict[str, str]) -> str:
    if _is_system(_setting("connect", environment) or _default_uri(environment)):
        return _SYSTEM_DATABASE
    return _own_folder("XDG_DATA_HOME", ".local/share", environment) + "/vmsnap.db"


def _is_system(uri: str) -> bool:
    return uri.partition("?")[0] in ("qemu:///system", "qemu+unix:///system")


def _own_folder(variable: str, below_home: str, environment: dict[str, str]) -> str:
    named = environment.get(variable, "")
    if not _is_root() and named.startswith("/"):
        return f"{named}/vmsnap"
    return f"{_home(environment)}/{below_home}/vmsnap"


def _home(environment: dict[str, str]) -> str:
    named = environment.get("HOME", "")
    if not _is_root() and named.startswith("/"):
        return named
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_dir


def _is_root() -> bool:
    return os.geteuid() == 0
