"""Whatever config.toml and the environment hold: settings or a ConfigError, nothing else."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vmsnap.config import Settings, has_password, hidden, load_settings, reference
from vmsnap.errors import ConfigError, VmsnapError

KEYS = some.sampled_from([key.name for key in reference.KEYS])
TEXTS = some.text(max_size=12) | some.sampled_from(
    [
        "qemu:///system",
        "qemu://[",
        "qemu+ssh://u:hush@[x",
        "/x\0",
        "~/x",
        "mysql://u:hush@h/x",
        "1e999",
    ]
)
VALUES = some.one_of(
    TEXTS.map(lambda text: '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'),
    some.integers().map(str),
    some.floats().map(str),
    some.booleans().map(lambda value: str(value).lower()),
    some.sampled_from(["9" * 400, "9" * 5000, "1e400", "[]", "{}", "1979-05-27", "nan", "-inf"]),
)
TABLES = some.sampled_from(
    ["", "[defaults]\n", "[domain.web]\n", '[domain."*"]\n', "[[hook]]\n", "[hook]\n", "[domain]\n"]
)
FILES = some.builds(
    lambda title, text: title.encode() + text,
    TABLES,
    some.dictionaries(KEYS, VALUES, max_size=4).map(
        lambda values: "".join(f"{key} = {value}\n" for key, value in values.items()).encode(
            "utf-8", "surrogatepass"
        )
    ),
)
# What a shell can put there: any bytes but zero.
WORDS = some.binary(max_size=12).map(
    lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
ENVIRONMENTS = some.dictionaries(
    some.sampled_from(
        ["VMSNAP_CONNECT", "VMSNAP_DATABASE", "VMSNAP_JSON", "VMSNAP_WAIT", "LIBVIRT_DEFAULT_URI"]
    ),
    WORDS | some.sampled_from(["qemu://[", "1e400", "nan", "sqlite:///x", "/x\udcff"]),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("etc") / "config.toml"
    path.touch(0o600)
    return path


def settings_or_refusal(environment, path):
    with suppress(VmsnapError):
        settings = load_settings({}, environment, path)
        assert isinstance(settings, Settings)
        assert settings.wait_seconds >= 0
        assert settings.for_domain("web").sources


@given(FILES | some.binary(max_size=60))
def test_any_file_is_read_or_refused(file, data):
    file.write_bytes(data)
    settings_or_refusal({}, file)


@given(ENVIRONMENTS)
def test_any_environment_is_read_or_refused(environment):
    settings_or_refusal(environment, Path("/dev/null"))


@pytest.mark.parametrize(
    "text",
    [
        "wait = " + "9" * 400,
        "wait = " + "9" * 5000,
        "a = " + "[" * 50_000,
        "a." * 40_000 + "b = 1",
        'connect = "qemu://["',
        "# " + "x" * 70_000,
    ],
    ids=["float", "int", "deep", "dotted", "uri", "large"],
)
def test_an_odd_file_is_refused_soon(file, text):
    file.write_text(text)
    with pytest.raises(ConfigError):
        load_settings({}, {}, file)


def test_a_file_without_end_is_refused():
    with pytest.raises(ConfigError, match="is larger than"):
        load_settings({}, {}, Path("/dev/zero"))


def test_a_libvirt_uri_that_is_malformed_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        load_settings({}, {"VMSNAP_CONNECT": "qemu+tcp://u:hush@[x"}, None)
    assert "hush" not in f"{caught.value} {caught.value.hint}"


@given(some.text(min_size=1).filter(str.isalnum), some.text())
def test_a_password_between_colon_and_at_is_never_shown(password, rest):
    """H50: too much rather than too little is hidden."""
    secret = f"~{password}~"
    shown = hidden(f"mysql://user:{secret}{rest.replace(chr(10), '')}@db/x")
    assert secret not in shown
    assert has_password(f"mysql://user:{secret}@db/x")
