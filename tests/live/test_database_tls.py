"""A MySQL server on another host: verified or refused, never silently in the clear.

The private host has a network of its own, so that a real MariaDB can have an address and a name
that are not this host's.
"""

import socket
import subprocess
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from servers.mariadb import running_mariadb

from vmsnap.errors import ConfigError, DatabaseUnusableError
from vmsnap.store.opening import open_catalog

pytestmark = pytest.mark.live

ADDRESS = "192.0.2.7"
NAME = "db.vmsnap.test"
OTHER_NAME = "other.vmsnap.test"
TLS_PORT, PLAIN_PORT = 33061, 33062
PASSWORD = "vmsnap-planted-secret"  # noqa: S105 - what the tests look for
CLIENT_SSL = 0x0800
HEADER_BYTES = 4


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Give the private host a second address, and names for it."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    hosts = tmp_path_factory.mktemp("network") / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME} {OTHER_NAME}\n")
    run("mount", "--bind", str(hosts), "/etc/hosts")
    yield
    run("umount", "/etc/hosts")
    run("ip", "address", "del", f"{ADDRESS}/32", "dev", "lo")


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """Make two authorities, and a server's certificate by the first, for NAME alone."""
    folder = tmp_path_factory.mktemp("tls")
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("ca", "wrong"):
        run(*new, "-subj", f"/CN=vmsnap-test {name}", "-keyout", f"{folder}/{name}.key",
            "-out", f"{folder}/{name}.pem")  # fmt: skip
    run(*new, "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", f"{folder}/ca.pem",
        "-CAkey", f"{folder}/ca.key", "-keyout", f"{folder}/server.key",
        "-out", f"{folder}/server.pem")  # fmt: skip
    return folder


@contextmanager
def listening(port, *options):
    with running_mariadb(f"--port={port}", f"--bind-address={ADDRESS}", *options) as server:
        server.run(["CREATE DATABASE vmsnap", f"CREATE USER v@'%' IDENTIFIED BY '{PASSWORD}'",
                    "GRANT ALL ON vmsnap.* TO v@'%'"])  # fmt: skip
        yield server


@pytest.fixture(scope="module")
def tls_server(network, authority):
    key, certificate = f"--ssl-key={authority}/server.key", f"--ssl-cert={authority}/server.pem"
    with listening(TLS_PORT, key, certificate) as server:
        yield server


@pytest.fixture(scope="module")
def plain_server(network):
    with listening(PLAIN_PORT) as server:
        yield server


class Strips:
    """Sits in between, says that the server knows no TLS, and keeps what it then hears."""

    def __init__(self, port):
        self.heard = b""
        self._port = port
        self._listener = socket.create_server((ADDRESS, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client, _ = self._listener.accept()
        with closing(client), socket.create_connection((ADDRESS, self._port)) as server:
            client.sendall(self._without_tls(server.recv(4096)))
            while data := client.recv(4096):
                self.heard += data
                server.sendall(data)
                client.sendall(server.recv(4096))

    @staticmethod
    def _without_tls(greeting):
        # Protocol, version, thread, half of the salt and a zero; then what the server can do.
        at = greeting.index(b"\0", HEADER_BYTES + 1) + 1 + 4 + 8 + 1
        low = int.from_bytes(greeting[at : at + 2], "little") & ~CLIENT_SSL
        return greeting[:at] + low.to_bytes(2, "little") + greeting[at + 2 :]


def connect(host, port, query=""):
    url = f"mysql://v:{PASSWORD}@{host}:{port}/vmsnap{query}"
    open_catalog(url, create=True).close()


@pytest.mark.parametrize("host", [NAME, ADDRESS])
def test_another_host_is_refused_without_tls_before_anything_is_sent(tls_server, host):
    with pytest.raises(ConfigError, match="on another host and its URL does not ask for TLS"):
        connect(host, TLS_PORT)


def test_the_right_authority_and_name_are_accepted(tls_server, authority):
    counted = "SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'"
    ((_, before),) = tls_server.run(counted)
    connect(NAME, TLS_PORT, f"?ssl_ca={authority}/ca.pem")
    ((_, after),) = tls_server.run(counted)
    assert int(after) > int(before)


def test_an_authority_that_did_not_sign_is_refused(tls_server, authority):
    with pytest.raises(DatabaseUnusableError, match="certificate verify failed") as caught:
        connect(NAME, TLS_PORT, f"?ssl_ca={authority}/wrong.pem")
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"


def test_a_certificate_of_nobody_known_is_refused_without_an_authority(tls_server):
    with pytest.raises(DatabaseUnusableError, match="certificate verify failed"):
        connect(NAME, TLS_PORT, "?ssl_verify_cert=true")


@pytest.mark.parametrize("host", [OTHER_NAME, ADDRESS])
def test_a_certificate_for_another_name_is_refused(tls_server, authority, host):
    with pytest.raises(DatabaseUnusableError, match="certificate verify failed"):
        connect(host, TLS_PORT, f"?ssl_ca={authority}/ca.pem")


def test_a_name_is_left_unchecked_only_in_so_many_words(tls_server, authority):
    connect(OTHER_NAME, TLS_PORT, f"?ssl_ca={authority}/ca.pem&ssl_verify_identity=false")


def test_a_server_without_tls_is_refused(plain_server, authority):
    with pytest.raises(ConfigError, match="does not speak TLS"):
        connect(NAME, PLAIN_PORT, f"?ssl_ca={authority}/ca.pem")


def test_a_plain_session_has_to_be_asked_for_in_so_many_words(plain_server):
    connect(NAME, PLAIN_PORT, "?ssl_disabled=true")


def test_who_strips_tls_hears_nothing_and_is_refused(tls_server, authority):
    """The server itself would say that its half of the way is encrypted."""
    proxy = Strips(TLS_PORT)
    with pytest.raises(ConfigError, match="something in between keeps it from that"):
        connect(NAME, proxy.port, f"?ssl_ca={authority}/ca.pem")
    assert proxy.heard == b""


def test_a_proxy_that_strips_tls_would_work_where_it_is_not_asked_for(tls_server):
    """The proxy itself is sound: what refuses above is vmsnap."""
    proxy = Strips(TLS_PORT)
    connect(NAME, proxy.port, "?ssl_disabled=true")
    assert proxy.heard
