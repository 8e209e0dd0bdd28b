"""Connections to a MySQL server that are encrypted before anything secret is said."""

import ssl
from functools import cache

from sqlalchemy.engine.interfaces import DBAPIConnection

from vmsnap.errors import ConfigError

NO_TLS = "the database server does not speak TLS, or something in between keeps it from that"


def connect_encrypted(**arguments: object) -> DBAPIConnection:
    """Connect with PyMySQL's arguments; `ssl` is the context that decides whom to trust.

    Raises ConfigError, before user and password are sent, if the server offers no TLS: PyMySQL 1.1
    goes on without it. What the server says of itself later proves nothing, for who sits in between
    can speak TLS to it and none to us.
    """
    connection: DBAPIConnection = _connection_class()(**arguments)
    return connection


@cache
def _connection_class() -> type:
    from pymysql.connections import Connection
    from pymysql.constants import CLIENT

    class EncryptedConnection(Connection):
        server_capabilities: int
        _sock: object

        def _request_authentication(self) -> None:
            if not self.server_capabilities & CLIENT.SSL:
                raise ConfigError(NO_TLS)
            super()._request_authentication()  # type: ignore[misc] # missing in the stubs
            if not isinstance(self._sock, ssl.SSLSocket):
                raise ConfigError(NO_TLS)

    return EncryptedConnection
