"""A private MariaDB server for one run of the tests."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers.required import skip_or_fail

START_SECONDS = 60


@dataclass(frozen=True)
class MariaDb:
    """A private MariaDB server: root without password, reached by its socket alone."""

    socket: Path

    def url(self, database: str, user: str = "root") -> str:
        return f"mysql://{user}@localhost/{database}?unix_socket={self.socket}"

    def run(self, statements: str | list[str], database: str | None = None) -> list[tuple]:
        import pymysql

        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True
        )
        with closing(connection), connection.cursor() as cursor:
            for statement in [statements] if isinstance(statements, str) else statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


@contextmanager
def running_mariadb(*options: str) -> Iterator[MariaDb]:
    """Start a server in a folder of its own; skip where none is installed.

    `options` of mariadbd may let it listen to a network; else it has its socket alone.
    """
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        skip_or_fail("needs mariadb-server")
    # Not pytest's own folder: the path of a socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="vmsnap-test-"))
    try:
        process, server = _started(folder, options or ("--skip-networking",))
        try:
            yield server
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)
    finally:
        shutil.rmtree(folder)


def _started(folder: Path, options: Sequence[str]) -> tuple[subprocess.Popen, MariaDb]:
    data = folder / "data"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
         "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, capture_output=True, timeout=START_SECONDS,
    )  # fmt: skip
    return start_mariadb(folder, options)


def start_mariadb(folder: Path, options: Sequence[str]) -> tuple[subprocess.Popen, MariaDb]:
    """Start a server on a folder that one has used before, and wait until it answers."""
    server = MariaDb(folder / "socket")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["mariadbd", "--no-defaults", "--user=root",
             f"--socket={server.socket}", f"--datadir={folder / 'data'}",
             "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
             # What is worst for us: values that do not fit are cut in silence.
             "--sql-mode=", *options],
            stdout=log, stderr=log,
        )  # fmt: skip
    _wait_until_it_answers(process, server)
    return process, server


def _wait_until_it_answers(process: subprocess.Popen, server: MariaDb) -> None:
    import pymysql

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.run("SELECT 1")
        except pymysql.err.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(server.socket.with_name("log").read_text(), pytrace=False)
            time.sleep(0.05)
        else:
            return
