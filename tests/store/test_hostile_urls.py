"""Whatever a database URL says: a location, and what is connected to then, or a ConfigError."""

import ssl
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from vmsnap.errors import ConfigError
from vmsnap.store.location import locate
from vmsnap.store.opening import database_status, open_catalog

PARAMETER_NAMES = """
    ssl_ca ssl_capath ssl_cert ssl_key ssl_disabled ssl_verify_cert ssl_verify_identity
    connect_timeout read_timeout unix_socket charset other
"""
PARAMETERS = some.sampled_from(PARAMETER_NAMES.split())
WORDS = some.text(max_size=8) | some.sampled_from(
    ["true", "false", "1", "", "%00", "%FF", "/etc/passwd", "9" * 30, "-1", "::1", "localhost"]
)
HOSTS = some.sampled_from(
    [
        "localhost",
        "db",
        "127.0.0.1",
        "127.evil.example",
        "[::1]",
        "[",
        "h:99999",
        "h:0",
        "." * 3,
        "a" * 70,
    ]
)
URLS = some.builds(
    lambda user, host, base, query: (
        f"mysql://{user}{host}/{base}?{'&'.join(f'{key}={value}' for key, value in query.items())}"
    ),
    WORDS.map(lambda word: f"{word}@") | some.just(""),
    HOSTS | WORDS,
    WORDS,
    some.dictionaries(PARAMETERS, WORDS, max_size=3),
)


def is_plain(location):
    return location.url is not None and "ssl" not in location.connect_args


@given(URLS | some.text() | some.text().map(lambda text: f"mysql://{text}"))
def test_any_url_is_understood_or_refused(url):
    with suppress(ConfigError):
        location = locate(url)
        assert location.needs_tls == ("ssl" in location.connect_args)
        assert (location.url is None) != (location.path is None)


@given(some.text().map(lambda text: f"sqlite:////no/{text}"))
@example("sqlite:////no/%00")
@example("sqlite:////no/%FF")
@example("sqlite:////no/" + "x" * 300)
@example("sqlite:////no/\udcff")
def test_any_path_of_an_sqlite_file_is_looked_at_or_refused(url):
    with suppress(ConfigError):
        database_status(url)


def test_a_database_whose_name_is_no_text_works(tmp_path):
    url = f"sqlite:///{tmp_path}/%FF.db"
    open_catalog(url, create=True).close()
    assert (tmp_path / "\udcff.db").exists()
    assert database_status(url).exists


ELSEWHERE = """
    127.evil.example 127.0.0.1.evil.example 127.1 localhost.evil.example localhost. 0.0.0.0 [::]
    [fe80::1] 128.0.0.1 127.0.0.1%25eth0
"""
"""Names that begin like an address of this host, and addresses that only look like it."""


@pytest.mark.parametrize("host", ELSEWHERE.split())
def test_a_host_that_only_looks_like_this_one_is_never_plain(host):
    with pytest.raises(ConfigError):
        locate(f"mysql://vmsnap@{host}/x")


@pytest.mark.parametrize("host", ["h:0", "h:65536", "h:99999999", "a" * 70, "a..b", "\ud800"])
def test_a_host_that_cannot_be_is_refused(host):
    with pytest.raises(ConfigError):
        locate(f"mysql://vmsnap@{host}/x?ssl_verify_cert=true")


@given(URLS)
def test_no_url_leads_to_another_host_in_the_clear_unless_it_says_so(url):
    with suppress(ConfigError):
        location = locate(url)
        query = url.partition("?")[2]
        host = (location.url.host or "").lower() if location.url is not None else ""
        is_local = host in {"", "localhost", "127.0.0.1", "::1"} or "unix_socket" in query
        if not is_local and "ssl_disabled" not in query:
            assert not is_plain(location)
        if not is_plain(location) and "ssl_verify_cert" not in query:
            assert location.connect_args["ssl"].verify_mode is ssl.CERT_REQUIRED
