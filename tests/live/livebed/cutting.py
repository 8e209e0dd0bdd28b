"""A socket before a MariaDB server that cuts a connection at a COMMIT, when it is told to."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

COMMIT = b"\x03COMMIT"
ROLLBACK = b"\x03ROLLBACK"
WRITING = (b"\x03INSERT", b"\x03UPDATE", b"\x03DELETE")
HEADER_BYTES = 4
PIECE_BYTES = 65536


class CuttingProxy:
    """Passes everything on, but for the one COMMIT that `cut` names.

    Cut "before", the server never sees it; cut "after", it is done and its answer is lost.
    `commits` tells of each COMMIT since then whether it ended a transaction that wrote.
    """

    def __init__(self, path: Path, server: Path) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._lock = threading.Lock()
        self._left = 0
        self._when = ""
        self.has_cut = False
        self.commits: list[bool] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def cut(self, number: int, when: str) -> None:
        """Cut the connection of the `number`-th COMMIT from now on, "before" or "after" it.

        With 0 none is cut, only looked at.
        """
        with self._lock:
            self._left, self._when, self.has_cut = number, when, False
            self.commits = []

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            with suppress(OSError):
                server.connect(str(self._server))
                answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                answers.start()
                wrote = False
                # A client asks one thing at a time and waits for the answer.
                while data := client.recv(PIECE_BYTES):
                    asked = data[HEADER_BYTES:].upper()
                    if asked == COMMIT and self._is_the_one(wrote=wrote):
                        if self._when == "after":
                            self._commit_unheard(server, client, data)
                        break
                    if asked.startswith(WRITING):
                        wrote = True
                    elif asked in {COMMIT, ROLLBACK}:
                        wrote = False
                    server.sendall(data)
            for one in (client, server):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _is_the_one(self, *, wrote: bool) -> bool:
        with self._lock:
            self.commits.append(wrote)
            self._left -= 1
            if self._left == 0:
                self.has_cut = True
            return self._left == 0

    @staticmethod
    def _commit_unheard(server: socket.socket, client: socket.socket, data: bytes) -> None:
        # Nobody reads what comes back; the server closes only behind the QUIT that follows.
        client.shutdown(socket.SHUT_RDWR)
        server.sendall(data + b"\x01\0\0\0\x01")
        server.settimeout(10)
        with suppress(OSError):
            while server.recv(PIECE_BYTES):
                pass


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
