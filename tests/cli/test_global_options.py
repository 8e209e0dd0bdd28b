"""Global options: before the verb, behind it, and from the environment."""

import pytest
import typer.main

from vmsnap.cli.app import app
from vmsnap.cli.global_options import command_words, moved_to_front
from vmsnap.errors import UsageError


@pytest.fixture(scope="module")
def root():
    return typer.main.get_command(app)


@pytest.mark.parametrize(
    ("typed", "front", "rest"),
    [
        ("vm list", "", "vm list"),
        ("--json vm list", "--json", "vm list"),
        ("vm --json list", "--json", "vm list"),
        ("vm list --json", "--json", "vm list"),
        ("vm list -q -v", "-q -v", "vm list"),
        ("vm list -qv", "-q -v", "vm list"),
        ("--wait 3 undo web1", "--wait 3", "undo web1"),
        ("undo web1 --wait 3 --force", "--wait 3", "undo web1 --force"),
        ("undo --wait=3 web1", "--wait=3", "undo web1"),
        ("undo --connect qemu:///session web1", "--connect qemu:///session", "undo web1"),
        ("group delete d g -yq", "-q", "group delete d g -y"),
        ("undo web1 --help --json", "--json", "undo web1 --help"),
    ],
)
def test_global_options_are_found_wherever_they_stand(typed, front, rest, root):
    assert moved_to_front(root, typed.split()) == (front.split(), rest.split())


@pytest.mark.parametrize(
    "typed",
    [
        "snapshot create web1 --description --json",
        "snapshot create web1 --name -v",
        "snapshot create -- --json -v",
        "group show web1 -- --wait",
        "undo web1 -zq",
    ],
)
def test_values_of_other_options_and_what_follows_two_dashes_stay(typed, root):
    assert moved_to_front(root, typed.split()) == ([], typed.split())


@pytest.mark.parametrize("typed", ["vm list --connect", "vm list --connect --json", "--wait"])
def test_a_global_option_without_its_value_is_a_usage_error(typed, root):
    with pytest.raises(UsageError, match="needs a value"):
        moved_to_front(root, typed.split())


def test_no_verb_has_an_option_of_a_global_ones_name(root):
    """Else it could never be reached: the global one would take it."""
    known = {flag for parameter in root.params for flag in parameter.opts}
    for command in commands(root):
        own = {flag for parameter in command.params for flag in parameter.opts}
        assert not known & own, command.name


def test_no_option_takes_an_optional_value(root):
    for command in (root, *commands(root)):
        for parameter in command.params:
            assert not getattr(parameter, "_flag_needs_value", False), parameter.name


@pytest.mark.parametrize(
    ("rest", "verb"),
    [
        ("group delete web1 g", "group delete"),
        ("group", "group"),
        ("group nonsense", "group"),
        ("undo undo", "undo"),
        ("nonsense", ""),
    ],
)
def test_the_verb_is_named_as_far_as_it_is_one(rest, verb, root):
    assert command_words(root, rest.split()) == verb


@pytest.mark.parametrize("words", [("--json", "db", "status"), ("db", "status", "--json")])
def test_json_works_before_and_after_the_verb(words, vmsnap):
    assert vmsnap(*words).document["command"] == "db status"


def test_the_database_can_be_named_on_the_command_line_and_by_its_variable(
    vmsnap, tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path}/other.db"
    assert vmsnap("db", "status", "--json", "--database", url).data["database"]["url"] == url
    monkeypatch.setenv("VMSNAP_DATABASE", url)
    assert vmsnap("db", "status", "--json").data["database"]["url"] == url


def test_json_can_be_asked_for_by_variable_and_config_file(vmsnap, tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text("json = true\n")
    assert vmsnap("--config", str(file), "db", "status").document["exit_code"] == 0
    monkeypatch.setenv("VMSNAP_JSON", "1")
    assert vmsnap("db", "status").document["exit_code"] == 0
    assert vmsnap("db", "nonsense", status=2).document["exit_code"] == 2
    monkeypatch.setenv("VMSNAP_CONFIG", "/nowhere/config.toml")
    assert vmsnap("db", "status", status=10).code == "config"


def test_an_empty_path_of_settings_is_a_wrong_usage(vmsnap):
    run = vmsnap("vm", "list", "--config", "", status=2)
    assert run.err == (
        "error: option '--config' names no file\nhint: --config /dev/null reads none\n"
    )


def test_a_password_on_the_command_line_is_refused_and_not_repeated(vmsnap):
    """H50: a password must not be seen in `ps`, in a message or in the log."""
    run = vmsnap("db", "status", "--database", "mysql://vmsnap:hush@db/vmsnap", status=2)
    assert "password" in run.err
    assert "hush" not in run.err


def test_a_remote_libvirt_is_refused_in_one_sentence(vmsnap):
    run = vmsnap("vm", "list", "--connect", "qemu+ssh://root@other/system", status=14)
    assert run.err.startswith("error: libvirt over 'qemu+ssh' is on another host")


def commands(group):
    for command in group.commands.values():
        yield command
        yield from commands(command) if hasattr(command, "commands") else ()
