"""The log file: what every changing run was asked, did, and came to."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from vmsnap.cli.terminal.text import clean

ROOT = logging.getLogger("vmsnap")
_DOMAIN: ContextVar[str] = ContextVar("domain", default="")


@contextmanager
def logged_of(domain: str) -> Iterator[None]:
    """Put a domain's name before all that its thread logs: several are at work at once."""
    token = _DOMAIN.set(domain)
    try:
        yield
    finally:
        _DOMAIN.reset(token)


class _OneLineFormatter(logging.Formatter):
    """Says of which domain a line is, and keeps it one: names and paths may hold line breaks."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        domain = _DOMAIN.get()
        # Not wherever its name occurs: a domain may be called 'group', and a step 'commit_group'.
        is_told = not domain or record.message.startswith(f"{domain}: ")
        record.message = clean(record.message if is_told else f"{domain}: {record.message}")
        return super().formatMessage(record)


def open_log(path: Path) -> logging.Handler:
    """Append the log of this run to a file of mode 0600, its folder made if it is missing.

    Raises OSError if the file cannot be opened; nothing is logged to a file then.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    stream = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _OneLineFormatter(
            "%(asctime)s %(process)d %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"
        )
    )
    ROOT.addHandler(handler)
    ROOT.setLevel(logging.INFO)
    return handler


def close_log(handler: logging.Handler) -> None:
    """End the log of this run."""
    ROOT.removeHandler(handler)
    handler.close()
    if isinstance(handler, logging.StreamHandler):
        handler.stream.close()
