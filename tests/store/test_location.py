import ssl
from pathlib import Path

import pytest

from vmsnap.errors import ConfigError
from vmsnap.store.location import locate

SECRET = "s3cr3t"  # noqa: S105 - what the tests look for


def test_an_sqlite_url_names_a_file_with_percent_escapes():
    location = locate("sqlite:////srv/a%20b%3Fc.db")
    assert location.path == Path("/srv/a b?c.db")
    assert location.shown == "sqlite:////srv/a b?c.db"


def test_a_relative_sqlite_path_is_that_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///vmsnap.db").path == tmp_path / "vmsnap.db"


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://host/x.db", "sqlite:////x.db?a=b"],
)
def test_an_sqlite_url_without_a_plain_file_is_refused(url):
    with pytest.raises(ConfigError):
        locate(url)


@pytest.mark.parametrize(
    "url",
    [
        f"vmsnap:{SECRET}@db/x",
        f"postgresql://vmsnap:{SECRET}@db/x",
        f"mysql://vmsnap:{SECRET}",
        f"mysql://vmsnap:{SECRET}@db:port/x",
        f"mysql://vmsnap:{SECRET}@{SECRET}@db/x",
        f"mysql://vmsnap:{SECRET}@localhost",
        f"mysql://vmsnap:{SECRET}@localhost/x?password={SECRET}",
        f"mysql://vmsnap:{SECRET}@localhost/x?read_timeout={SECRET}",
        f"mysql://vmsnap:{SECRET}@localhost/x?ssl_disabled={SECRET}",
        f"mysql://vmsnap:{SECRET}@localhost/x?ssl_ca=a&ssl_ca={SECRET}",
        f"mysql://vmsnap:{SECRET}@localhost/x?ssl_ca=/no/{SECRET}",
        f"mysql://vmsnap:{SECRET}@db.example/x",
    ],
)
def test_a_url_that_is_refused_is_not_repeated_with_its_password(url):
    """H50: a message about a URL never holds the password."""
    with pytest.raises(ConfigError) as caught:
        locate(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error} {getattr(error, 'hint', '')}"
        error = None if error.__suppress_context__ else error.__context__


def test_what_is_shown_of_a_server_has_no_password_and_no_parameters():
    """H50: neither `shown` nor the representation holds the password."""
    location = locate(f"mysql://vmsnap:{SECRET}@127.0.0.1:3307/x?read_timeout=5")
    assert location.shown == "mysql://vmsnap:***@127.0.0.1:3307/x"
    assert SECRET not in repr(location)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_name_of_mysql_leads_to_pymysql_with_time_limits(scheme):
    location = locate(f"{scheme}://vmsnap@localhost/x")
    assert location.url.drivername == "mysql+pymysql"
    limits = ("connect_timeout", "read_timeout", "write_timeout")
    assert all(location.connect_args[name] > 0 for name in limits)


@pytest.mark.parametrize("host", ["db.example", "192.0.2.1", "[2001:db8::1]"])
def test_another_host_without_tls_is_refused_with_a_hint(host):
    with pytest.raises(ConfigError, match="is on another host") as caught:
        locate(f"mysql://vmsnap@{host}/x")
    assert "ssl_ca" in caught.value.hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", ""])
def test_this_host_needs_no_tls(host):
    location = locate(f"mysql://vmsnap@{host}/x")
    assert not location.needs_tls
    assert location.connect_args["ssl_disabled"] is True


def test_a_socket_is_on_this_host_whatever_the_host_part_says():
    location = locate("mysql://vmsnap@db/x?unix_socket=/run/mysqld/mysqld.sock")
    assert location.connect_args["unix_socket"] == "/run/mysqld/mysqld.sock"


def test_tls_verifies_certificate_and_host_name_by_default():
    location = locate("mysql://vmsnap@db.example/x?ssl_verify_cert=true")
    context = location.connect_args["ssl"]
    assert location.needs_tls
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_tls_is_relaxed_only_in_so_many_words():
    no_name = locate("mysql://vmsnap@db.example/x?ssl_verify_identity=false")
    assert no_name.connect_args["ssl"].verify_mode is ssl.CERT_REQUIRED
    assert not no_name.connect_args["ssl"].check_hostname
    nothing = locate("mysql://vmsnap@db.example/x?ssl_verify_cert=false")
    assert nothing.connect_args["ssl"].verify_mode is ssl.CERT_NONE
    plain = locate("mysql://vmsnap@db.example/x?ssl_disabled=true")
    assert not plain.needs_tls
