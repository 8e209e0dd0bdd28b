"""Fixtures of the store's own tests: database files as they are found on a host."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from vmsnap.store.opening import open_catalog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be."""
    return tmp_path / "vmsnap.db"


@pytest.fixture
def url(path: Path) -> str:
    """The URL of `path`."""
    return f"sqlite:///{path}"


@pytest.fixture
def made(path: Path, url: str) -> Path:
    """A database that vmsnap made."""
    open_catalog(url, create=True).close()
    return path


@pytest.fixture
def run_sql() -> Callable[[Path, str], list[tuple]]:
    """Change a database file past the store."""

    def run(file: Path, statement: str) -> list[tuple]:
        with closing(sqlite3.connect(file)) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
            return found

    return run
