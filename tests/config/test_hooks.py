"""A hook is read whole, or the file is refused: nothing is run that was not meant."""

import pytest

from vmsnap.config import HookMoment, HookSettings, OnFailure, load_settings
from vmsnap.errors import ConfigError

LEAST = '[[hook]]\nwhen = "before"\nrun = ["/bin/tell"]\n'


def test_a_hook_that_says_the_least_is_for_every_operation_on_every_domain(read, tmp_path):
    assert read(LEAST).hooks == (
        HookSettings(
            when=HookMoment.BEFORE,
            run=("/bin/tell",),
            operations=(),
            domains=(),
            on_failure=OnFailure.WARN,
            timeout_seconds=60,
            source=f"file {tmp_path}/my config.toml [[hook]] 1",
        ),
    )


def test_every_key_is_read(read):
    (hook,) = read(
        '[[hook]]\nwhen = "before"\noperations = ["snapshot create", "undo"]\n'
        'domains = ["web*"]\nrun = ["/bin/tell", "", "a b"]\non_failure = "stop"\ntimeout = 1.5\n'
    ).hooks
    assert (hook.when, hook.on_failure) == (HookMoment.BEFORE, OnFailure.STOP)
    assert (hook.operations, hook.domains) == (("snapshot create", "undo"), ("web*",))
    assert (hook.run, hook.timeout_seconds) == (("/bin/tell", "", "a b"), 1.5)


def test_the_own_file_adds_hooks_and_takes_none_of_the_system_s_away(write, own_file, system_file):
    write(system_file, LEAST.replace("tell", "first") + LEAST.replace("tell", "second"))
    write(own_file, LEAST.replace("tell", "third"))
    hooks = load_settings({}, {}).hooks
    assert [hook.run[0] for hook in hooks] == ["/bin/first", "/bin/second", "/bin/third"]


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('when = "during"', 'must be "before" or "after"', "known: before, after"),
        ('when = "Before"', 'must be "before" or "after"', "perhaps 'before' is meant"),
        ("run = []", "the absolute path of a program", None),
        ('run = "tell me"', "the absolute path of a program", None),
        ('run = ["tell"]', "the absolute path of a program", None),
        ('run = ["/bin/tell", 1]', "the absolute path of a program", None),
        ('run = ["/bin/tell\\u0000"]', "the absolute path of a program", None),
        (
            'operations = ["snapshot crate"]',
            "a list of verbs",
            "perhaps 'snapshot create' is meant",
        ),
        ("operations = []", "a list of verbs", None),
        ('operations = "undo"', "a list of verbs", None),
        ("operations = [[]]", "a list of verbs", "known: snapshot create"),
        ("domains = []", "a list of patterns", None),
        ('domains = "web*"', "a list of texts", None),
        ('on_failure = "halt"', 'must be "warn" or "stop"', "known: warn, stop"),
        ("timeout = 0", "a number of seconds, more than 0", None),
        ('timeout = "60"', "a number of seconds, more than 0", None),
    ],
)
def test_a_wrong_value_is_refused_naming_hook_and_key(read, line, message, hint):
    key = line.partition(" ")[0]
    kept = [other for other in LEAST.splitlines() if not other.startswith(f"{key} ")]
    with pytest.raises(ConfigError) as caught:
        read(LEAST + "\n".join((*kept, line)))
    assert f"key '{key}' in [[hook]] 2 of '/" in caught.value.message
    assert message in caught.value.message
    assert (caught.value.hint or "").startswith(hint or "")


@pytest.mark.parametrize("key", ["when", "run"])
def test_a_hook_that_lacks_what_it_needs_is_refused(read, key):
    text = "\n".join(line for line in LEAST.splitlines() if not line.startswith(f"{key} "))
    with pytest.raises(ConfigError, match=rf"\[\[hook\]\] 1 of '.*' lacks the key '{key}'"):
        read(text)


def test_a_hook_after_an_operation_cannot_stop_it(read):
    with pytest.raises(ConfigError, match="cannot stop what is done already"):
        read(LEAST.replace("before", "after") + 'on_failure = "stop"\n')


@pytest.mark.parametrize("text", ['[hook]\nwhen = "before"\n', "hook = 1\n", "hook = [1]\n"])
def test_hooks_that_are_no_list_are_refused_with_the_right_way(read, text):
    with pytest.raises(ConfigError, match="are no list") as caught:
        read(text)
    assert caught.value.hint == "write [[hook]] above each"
