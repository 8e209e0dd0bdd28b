"""Questions: asked on a terminal with what will be lost, answered by --yes, else refused."""

import re

import pytest

from vmsnap.cli.terminal.questions import pasteable

NAME = "vmsnap-test-web"


@pytest.fixture
def group(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    return "monday"


QUESTIONS = [
    ("group", "delete", NAME, "monday"),
    ("group", "delete", NAME, "monday", "--children"),
    ("group", "revert", NAME, "monday", "--no-safety"),
    ("backup", "restore", NAME, "monday", "--no-safety"),
]


@pytest.mark.parametrize("words", QUESTIONS)
def test_without_a_terminal_and_without_yes_it_is_refused(words, vmsnap, group):
    run = vmsnap(*words, status=2)
    assert run.err == (
        "error: this needs a confirmation, and there is no terminal to ask on\n"
        f"hint: vmsnap {' '.join(words)} --yes\n"
    )
    run = vmsnap(*words, "--json", status=2)
    assert (run.code, run.changed) == ("not_confirmed", False)
    assert vmsnap("group", "list", "--json").data["groups"][0]["state"] == "ready"


@pytest.mark.parametrize("words", QUESTIONS)
def test_yes_answers_it(words, vmsnap, group):
    assert vmsnap(*words, "-y", "--json").changed is True


@pytest.mark.parametrize("words", QUESTIONS)
def test_a_dry_run_asks_nothing_and_changes_nothing(words, vmsnap, group, log_file):
    before = log_file.read_text()
    assert vmsnap(*words, "--dry-run", "--json").changed is False
    assert vmsnap("group", "list", "--json").data["groups"][0]["name"] == "monday"
    assert log_file.read_text() == before


def test_a_no_on_the_terminal_changes_nothing(vmsnap, group, terminal):
    with terminal("stdin", "stderr", typed="n\n") as screen:
        run = vmsnap("group", "delete", NAME, "monday", status=2)
    shown = screen.shown
    assert run.out == ""
    assert "these points of domain 'vmsnap-test-web' and their backups will be gone" in shown
    assert re.search(r"  monday  \(\d{4}-\d\d-\d\d [^,]+, just now, [0-9.]+ KiB\)", shown)
    assert "Delete? [y/N]" in shown
    assert "error: " not in shown.split("[y/N]")[0]
    assert "not confirmed; nothing was changed" in shown


def test_a_yes_on_the_terminal_does_it(vmsnap, group, terminal):
    with terminal("stdin", "stderr", typed="y\n"):
        run = vmsnap("group", "delete", NAME, "monday", "--json")
    assert run.changed is True


def test_what_came_to_stand_on_a_group_since_the_question_is_not_taken_along(
    vmsnap, group, monkeypatch, terminal
):
    from vmsnap.cli.verbs import group_change

    real = group_change.confirm

    def confirm(*arguments):
        real(*arguments)
        vmsnap("snapshot", "create", NAME, "--name", "tuesday")

    with terminal("stdin", "stderr", typed="yes\n"):
        monkeypatch.setattr(group_change, "confirm", confirm)
        vmsnap("group", "delete", NAME, "monday", "--children")
    names = [found["name"] for found in vmsnap("group", "list", "--json").data["groups"]]
    assert names == ["tuesday"]


def test_a_revert_with_a_safety_group_asks_nothing(vmsnap, group):
    assert vmsnap("group", "revert", NAME, "monday", "--json").changed is True


def test_deleting_a_backup_asks_too(vmsnap, host):
    vmsnap("backup", "create", NAME, "--name", "weekly")
    run = vmsnap("backup", "delete", NAME, "weekly", status=2)
    assert run.err.endswith(f"hint: vmsnap backup delete {NAME} weekly --yes\n")
    assert vmsnap("backup", "delete", NAME, "weekly", "--yes", "--json").changed is True


def test_a_pasted_command_takes_no_name_for_an_option():
    """H51: libvirt lets a domain's name begin with a dash."""
    assert pasteable("group delete", "a b", "c", options=("--yes",)) == (
        "vmsnap group delete 'a b' c --yes"
    )
    assert pasteable("group delete", "-x", "c", options=("--yes",)) == (
        "vmsnap group delete --yes -- -x c"
    )


def test_a_hint_for_a_domain_with_a_dash_can_be_pasted(vmsnap, host):
    machine = next(iter(host.machines.values()))
    machine.xml = machine.xml.replace("<name>vmsnap-test-web<", "<name>-vmsnap-test<")
    run = vmsnap("group", "show", "--", "-vmsnap-test", "nope", status=12)
    assert run.err.endswith("hint: vmsnap group list -- -vmsnap-test\n")
    run = vmsnap("group", "list", "--", "-vmsnap-test")
    assert run.err.endswith("hint: vmsnap snapshot create -- -vmsnap-test\n")
    vmsnap("snapshot", "create", "--", "-vmsnap-test")
