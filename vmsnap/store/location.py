"""What a database URL means: which database, how to connect to it, and what of it may be shown."""

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from vmsnap.errors import ConfigError

CONNECT_SECONDS = 10
# Longer than the server's own lock waits (LOCK_WAIT_SECONDS in engines.py), so that a wait for a
# lock ends with the server's answer and not with a broken connection.
READ_SECONDS = 60
WRITE_SECONDS = 60

SETTING_HINT = "--database, VMSNAP_DATABASE or 'database' in config.toml names another"
DAMAGE_HINT = (
    "move the file aside, with '-wal' and '-shm' beside it, and put a copy that 'vmsnap db backup'"
    " made in its place; without one: vmsnap db rebuild"
)

_MAX_PORT = 65535
_MAX_SECONDS = 24 * 60 * 60

_SERVER_SCHEMES = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
_TIMEOUTS = {
    "connect_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    "write_timeout": WRITE_SECONDS,
}
_TLS_PARAMETERS = frozenset(
    {
        "ssl_ca",
        "ssl_capath",
        "ssl_cert",
        "ssl_key",
        "ssl_disabled",
        "ssl_verify_cert",
        "ssl_verify_identity",
    }
)
_PARAMETERS = _TLS_PARAMETERS | _TIMEOUTS.keys() | {"unix_socket", "charset"}
_TLS_HINT = "add '?ssl_ca=/path/to/ca.pem' to the database URL"


@dataclass(frozen=True, slots=True)
class Location:
    """A database URL, understood: `path` for SQLite, else `url` and `connect_args` for a server.

    `shown` has no password and no parameters; nothing else of this may appear in a message.
    """

    shown: str
    path: Path | None = None
    url: URL | None = field(default=None, repr=False)
    connect_args: dict[str, object] = field(default_factory=dict, repr=False)
    needs_tls: bool = False


def locate(url: str) -> Location:
    """Understand a database URL.

    `sqlite:///PATH` with percent escapes, or `mysql://` (`mariadb://`, `mysql+pymysql://`).
    Raises ConfigError, which never repeats a URL that it did not understand.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError("the database URL has no '://'", hint="write sqlite:///PATH")
    if scheme == "sqlite":
        return _sqlite(rest)
    if scheme in _SERVER_SCHEMES:
        return _server(url)
    raise ConfigError(
        "the database URL is of a kind that vmsnap does not know",
        hint="write sqlite:///PATH or mysql://USER@HOST/DATABASE",
    )


def _sqlite(rest: str) -> Location:
    path, question_mark, _ = rest.removeprefix("/").partition("?")
    if question_mark:
        raise ConfigError("a database URL for SQLite takes no parameters")
    if not rest.startswith("/") or not path or path == ":memory:":
        raise ConfigError("the database URL names no file", hint="write sqlite:////PATH")
    path = unquote(path, errors="surrogateescape")
    if "\0" in path:
        raise ConfigError("the path of the database has a zero byte")
    absolute = Path(path).absolute()
    return Location(shown=f"sqlite:///{absolute}", path=absolute)


def _server(text: str) -> Location:
    url = _parsed(text)
    shown = url.set(query={}).render_as_string(hide_password=True)
    unknown = sorted(set(url.query) - _PARAMETERS)
    if unknown:
        raise ConfigError(f"the URL of database '{shown}' has an unknown parameter '{unknown[0]}'")
    query = {name: _single(name, url) for name in url.query}
    is_local = "unix_socket" in query or _is_this_host(url.host)
    connect_args: dict[str, object] = {"charset": "utf8mb4"}
    for name, seconds in _TIMEOUTS.items():
        connect_args[name] = _seconds(name, query, seconds)
    if "unix_socket" in query:
        connect_args["unix_socket"] = query["unix_socket"]
    has_tls = any(name in query for name in _TLS_PARAMETERS - {"ssl_disabled"})
    is_disabled = _truth("ssl_disabled", query, default=False)
    if not is_local and not has_tls and not is_disabled:
        raise ConfigError(
            f"database '{shown}' is on another host and its URL does not ask for TLS",
            hint=_TLS_HINT,
        )
    needs_tls = has_tls and not is_disabled
    if needs_tls:
        connect_args["ssl"] = _tls_context(query)
    else:
        connect_args["ssl_disabled"] = True
    plain = url.set(drivername="mysql+pymysql", query={})
    return Location(shown=shown, url=plain, connect_args=connect_args, needs_tls=needs_tls)


def _parsed(text: str) -> URL:
    try:
        # Half a character would be refused by the driver only.
        text.encode()
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The cause may quote the password, so it is not kept.
        raise ConfigError(
            "the database URL cannot be understood", hint="write mysql://USER@HOST/DATABASE"
        ) from None
    if "@" in (url.host or ""):
        raise ConfigError("the database URL has more than one '@'", hint="write a '@' as %40")
    if not _is_reachable(url):
        raise ConfigError("the database URL names a host or a port that cannot be")
    if not url.database:
        raise ConfigError(
            "the database URL names no database", hint="write mysql://USER@HOST/DATABASE"
        )
    return url


def _is_reachable(url: URL) -> bool:
    try:
        (url.host or "").encode("idna")
    except UnicodeError:
        return False
    return url.port is None or 0 < url.port <= _MAX_PORT


def _single(name: str, url: URL) -> str:
    value = url.query[name]
    if isinstance(value, str):
        return value
    raise ConfigError(f"the database URL has the parameter '{name}' more than once")


def _is_this_host(host: str | None) -> bool:
    if not host or host.lower() == "localhost":
        return True
    try:
        # An address, not a name that begins like one: 127.0.0.1.example.com is anywhere.
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(name: str, query: dict[str, str], default: int) -> int:
    try:
        seconds = int(query.get(name, default))
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= _MAX_SECONDS:
        raise ConfigError(f"the database URL's parameter '{name}' is not a number of seconds")
    return seconds


def _truth(name: str, query: dict[str, str], *, default: bool) -> bool:
    value = query.get(name)
    if value is None:
        return default
    if value.lower() in ("true", "1", "yes"):
        return True
    if value.lower() in ("false", "0", "no"):
        return False
    raise ConfigError(f"the database URL's parameter '{name}' is neither true nor false")


def _tls_context(query: dict[str, str]) -> ssl.SSLContext:
    """Verify certificate and host name unless the URL says in so many words not to."""
    try:
        context = ssl.create_default_context(
            cafile=query.get("ssl_ca"), capath=query.get("ssl_capath")
        )
        if "ssl_cert" in query:
            context.load_cert_chain(query["ssl_cert"], query.get("ssl_key"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise ConfigError(f"the TLS files of the database URL cannot be read: {reason}") from error
    # Python 3.13 turned this on; the certificates that MySQL and MariaDB make for themselves
    # do not pass it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = _truth("ssl_verify_identity", query, default=True)
    if not _truth("ssl_verify_cert", query, default=True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
