"""Every key that is not known is refused, naming file, table and the nearest right one."""

import pytest

from vmsnap.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("patience = 3\n", "config file '{}' has the unknown key 'patience'", "known: connect,"),
        (
            "data_base = 3\n",
            "config file '{}' has the unknown key 'data_base'",
            "'database' is meant",
        ),
        (
            "metrics-file = 3\n",
            "config file '{}' has the unknown key 'metrics-file'",
            "'metrics_file' is meant",
        ),
        (
            'quiesce = "try"\n',
            "config file '{}' has the unknown key 'quiesce'",
            'it belongs in [defaults] or [domain."PATTERN"]',
        ),
        (
            "[defaults]\nexlude = []\n",
            "[defaults] of '{}' has the unknown key 'exlude'",
            "'exclude' is meant",
        ),
        (
            "[domain.web]\nkeep-last = 1\n",
            "[domain.\"web\"] of '{}' has the unknown key 'keep-last'",
            "it belongs in [defaults]",
        ),
        (
            '[[hook]]\nWhen = "after"\nrun = ["/bin/true"]\n',
            "[[hook]] 1 of '{}' has the unknown key 'When'",
            "'when' is meant",
        ),
        (
            "[[hook]]\nkeep_last = 1\n",
            "[[hook]] 1 of '{}' has the unknown key 'keep_last'",
            "it belongs in [defaults]",
        ),
        ("[default]\n", "config file '{}' has the unknown table 'default'", "'defaults' is meant"),
        ("[[hooks]]\n", "config file '{}' has the unknown table 'hooks'", "'hook' is meant"),
        (
            "[qqq]\n",
            "config file '{}' has the unknown table 'qqq'",
            "known: defaults, domain, hook",
        ),
    ],
)
def test_an_unknown_key_or_table_is_refused_with_the_nearest_right_one(
    read, tmp_path, text, message, hint
):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.exit_code == 10
    assert caught.value.message == message.format(tmp_path / "my config.toml")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text", ['"mysql://u:hush@h/x" = 1\n', '[defaults]\n"mysql://u:hush@h/x" = 1\n']
)
def test_a_password_that_stands_where_a_key_should_is_not_repeated(read, text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert "hush" not in f"{caught.value.message} {caught.value.hint}"
