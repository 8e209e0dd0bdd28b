"""The commands as values: what the pages and the completions are made of."""

from dataclasses import replace

import pytest

from vmsnap.cli.manual.commands import KINDS, program, values_of_options

COMMANDS = {command.path: command for command in program().walk()}


def option(path: str, flag: str):
    return next(each for each in COMMANDS[path].options if flag in each.flags)


def test_operands_are_what_a_synopsis_writes():
    assert [each.shown for each in COMMANDS["group delete"].operands] == ["DOMAIN", "GROUP..."]
    assert [each.shown for each in COMMANDS["snapshot create"].operands] == ["[DOMAIN]..."]
    assert [each.shown for each in COMMANDS["backup verify"].operands] == ["[DOMAIN]", "[BACKUP]"]


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("group delete", ["domain", "group"]),
        ("backup clone", ["known", "domain"]),
        ("snapshot delete", ["domain", "snapshot"]),
        ("purge", ["gone"]),
        ("history", ["known"]),
        ("db backup", ["file"]),
    ],
)
def test_each_operand_is_of_the_kind_that_it_takes(path, kinds):
    assert [each.kind for each in COMMANDS[path].operands] == kinds


def test_every_operand_is_of_a_kind_that_a_shell_can_offer():
    """A new one: add what the help calls it to KINDS."""
    unknown = {
        operand.name
        for command in COMMANDS.values()
        for operand in command.operands
        if not operand.kind
    }
    assert not unknown, KINDS


@pytest.mark.parametrize(
    ("path", "flag", "offered"),
    [
        ("", "--config", "file"),
        ("", "--json", ""),
        ("group revert", "--leave", "=nvram tpm"),
        ("snapshot create", "--exclude", "disk"),
        ("snapshot create", "--overlay-dir", "folder"),
        ("snapshot create", "--name", "text"),
        ("backup clone", "--from", "backup"),
    ],
)
def test_a_shell_offers_what_an_option_takes(path, flag, offered):
    assert option(path, flag).offered == offered


def test_defaults_are_told_where_they_say_something():
    assert option("group revert", "--shutdown-timeout").default == "120"
    assert option("backup clone", "--tpm").default == "reset"
    assert option("group revert", "--dry-run").default == ""


def test_verbs_come_in_the_order_in_which_they_are_met():
    names = [command.path for command in program().commands]
    assert names[:4] == ["vm", "snapshot", "group", "backup"]
    assert names.index("undo") < names.index("doctor") < names.index("db")


def test_an_option_that_takes_another_value_elsewhere_is_refused():
    whole = program()
    other = replace(option("snapshot create", "--exclude"), kind="file")
    with pytest.raises(ValueError, match="--exclude"):
        values_of_options(replace(whole, options=(*whole.options, other)))
