"""The root of the command line, and its branches."""

import pytest
import typer.main

from vmsnap.cli.app import app, branch

ROOT = typer.main.get_command(app)


def shape(command):
    """Return all that can be typed to a command: options and operands, its verbs with theirs."""
    verbs = getattr(command, "commands", {})
    return (
        [item.opts for item in command.params],
        {name: shape(verb) for name, verb in verbs.items()},
        (command.help, command.epilog, type(command).__name__),
    )


@pytest.mark.parametrize("name", ROOT.commands)
def test_a_branch_is_the_program_with_one_verb_of_it(name):
    part = typer.main.get_command(branch(name))
    options, verbs, looks = shape(ROOT)
    assert shape(part) == (options, {name: verbs[name]}, looks)


@pytest.mark.parametrize("word", ["nonsense", "", "--json", "list"])
def test_no_branch_begins_with_another_word(word):
    assert branch(word) is None


def test_a_branch_takes_nothing_from_the_program():
    branch("group")
    assert typer.main.get_command(app).commands.keys() == ROOT.commands.keys()
