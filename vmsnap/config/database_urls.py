"""Database URLs: how they may be written, and how they may be shown."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from vmsnap.errors import ConfigError

# Passwords may hold any character, so everything up to the last '@' may be one: rather too much is
# hidden than too little.
_CREDENTIALS = re.compile(r"^(?P<start>[^:/]+://[^:/?]*)(?P<password>:.*)?@")
_SECRET_PARAMETER = re.compile(r"(?P<start>[?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
# mysql://user:password without a host reads like a host with a port.
_ODD_PORT = re.compile(
    r"^(?P<start>[^:/]+://(?:[^/]*@)?[^:/@?\[]*:)(?!\d+(?:[/?]|$))[^/?@]+(?=[/?]|$)"
)


def hidden(url: str) -> str:
    """Return a database URL as it may be shown: without password."""
    if url.startswith("sqlite:"):
        return url
    shown = _CREDENTIALS.sub(
        lambda found: found["start"] + (":***" if found["password"] else "") + "@", url
    )
    shown = _SECRET_PARAMETER.sub(r"\g<start>***", shown)
    return _ODD_PORT.sub(r"\g<start>***", shown)


def has_password(url: str) -> bool:
    """Tell whether a database URL holds a password."""
    return hidden(url) != url


def database_url(given: str, source: str, home: Path) -> str:
    """Return a URL for a URL or for the plain path of an SQLite file; `~/` is `home`.

    Raises ConfigError, naming the source, for what is neither.
    """
    if "://" in given:
        return given
    path = home / given[2:] if given.startswith("~/") else Path(given)
    if not path.is_absolute():
        # The value is not repeated: of a URL that lost its scheme a part may be a password.
        raise ConfigError(
            f"the database named by {source} is neither a URL nor an absolute path",
            hint="--database sqlite:////absolute/path",
        )
    return f"sqlite:///{quote(os.fsencode(path))}"
