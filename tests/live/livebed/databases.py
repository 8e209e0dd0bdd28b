"""The databases of the tests' worlds: their rows read, kept and put back beside vmsnap."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from servers.mariadb import MariaDb


class WorldDatabase(Protocol):
    """A database that one world uses."""

    url: str

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT gives."""

    def keep(self, folder: Path) -> None:
        """Copy everything in it into a folder."""

    def put_back(self, folder: Path) -> None:
        """Make it what it was when it was kept."""


class SqliteDatabase:
    """A file in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        path.parent.mkdir(exist_ok=True)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT gives."""
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute(statement).fetchall()

    def keep(self, folder: Path) -> None:
        """Copy the folder: a write-ahead log belongs to it."""
        command = ["cp", "-a", "-T", str(self.path.parent), str(folder / "database")]
        subprocess.run(command, check=True, timeout=60)

    def put_back(self, folder: Path) -> None:
        """Replace the folder."""
        shutil.rmtree(self.path.parent)
        command = ["cp", "-a", "-T", str(folder / "database"), str(self.path.parent)]
        subprocess.run(command, check=True, timeout=60)


class MariaDbDatabase:
    """A database of a private server; what is kept of it lies in memory."""

    def __init__(self, server: MariaDb, name: str) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)
        self._kept: dict[Path, dict[str, list[tuple[Any, ...]]]] = {}
        server.run(f"CREATE DATABASE {name}")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows that a SELECT gives."""
        return self.server.run(statement, self.name)

    def keep(self, folder: Path) -> None:
        """Read all tables."""
        names = [name for (name,) in self.query("SHOW TABLES")]
        self._kept[folder] = {name: self.query(f"SELECT * FROM {name}") for name in names}  # noqa: S608 - our own

    def put_back(self, folder: Path) -> None:
        """Empty all tables and fill them, in one transaction."""
        import pymysql

        connection = pymysql.connect(
            unix_socket=str(self.server.socket), user="root", database=self.name
        )
        kept = self._kept[folder]
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("SHOW TABLES")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DELETE FROM {name}")  # noqa: S608 - our own
                for row in kept.get(name, ()):
                    places = ", ".join(["%s"] * len(row))
                    cursor.execute(f"INSERT INTO {name} VALUES ({places})", row)  # noqa: S608 - our own
            connection.commit()
