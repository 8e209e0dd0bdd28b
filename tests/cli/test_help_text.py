"""Every `--help`: a summary, an example, the global options and the exit statuses."""

import pytest
import typer.main

from vmsnap.cli.app import app
from vmsnap.cli.help_text import STATUSES
from vmsnap.errors import VmsnapError


def verbs(group, lead=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from verbs(command, (*lead, name))
        else:
            yield (*lead, name)


VERBS = list(verbs(typer.main.get_command(app)))
GROUPS = [(), *sorted({words[:1] for words in VERBS if len(words) > 1})]


def test_all_verbs_are_there():
    assert {" ".join(words) for words in VERBS} == {
        "vm list", "vm show", "snapshot create", "snapshot list", "snapshot delete",
        "group list", "group show", "group tree", "group check", "group diff", "group revert",
        "group delete", "group ungroup", "group pin", "group unpin", "prune", "purge",
        "backup create", "backup list", "backup show",
        "backup verify", "backup restore", "backup delete", "backup clone", "history", "undo",
        "recover", "status", "install-units", "doctor", "config show",
        "db status", "db upgrade", "db backup", "db rebuild",
    }  # fmt: skip


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_explains_itself(words, vmsnap):
    out = vmsnap(*words, "--help").out
    lines = out.splitlines()
    assert lines[0].startswith(f"Usage: vmsnap {' '.join(words)}")
    assert "{" not in lines[0]
    assert lines[2].strip().endswith(".")
    assert f"  Examples:\n    vmsnap {' '.join(words)}" in out
    assert "--connect URI, --database URL" in out
    assert "  Exit statuses:\n    0    done\n" in out
    assert "\x1b" not in out
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_every_group_of_verbs_has_examples_of_its_own(words, vmsnap):
    lines = vmsnap(*words, "--help").out.splitlines()
    _, *examples = lines[lines.index("  Examples:") :]
    assert examples[0].startswith(" ".join(("    vmsnap", *words)))


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_no_summary_is_cut(words, vmsnap):
    lines = vmsnap(*words, "--help").out.splitlines()
    assert not any(line.endswith("...") for line in lines[1:])


def test_every_exit_status_is_explained():
    def classes(base):
        return {base, *(found for child in base.__subclasses__() for found in classes(child))}

    used = {found.exit_code for found in classes(VmsnapError)}
    assert used | {0, 1, 3} == set(STATUSES)
