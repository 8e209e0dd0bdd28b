"""The verbs group pin and group unpin, and how pinned groups are shown."""

import pytest
from cli.conftest import DOMAIN_UUID

NAME = "vmsnap-test-web"


@pytest.fixture
def monday(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")


def test_it_says_what_it_did(vmsnap, monday):
    run = vmsnap("group", "pin", NAME, "monday")
    assert run.out == f"pinned group 'monday' of domain '{NAME}'\n"
    run = vmsnap("group", "pin", NAME, "monday")
    assert (run.out, run.err) == ("", "group 'monday' is pinned already\n")
    assert vmsnap("group", "unpin", NAME, "monday", "-q").out == ""
    run = vmsnap("group", "unpin", NAME, "monday", "--json")
    assert run.changed is False
    assert run.data == {
        "domain": NAME,
        "groups": [],
        "is_pinned": False,
        "is_done": False,
        "notes": ["group 'monday' is not pinned"],
    }


def test_a_dry_run_changes_nothing(vmsnap, monday):
    run = vmsnap("group", "pin", NAME, "monday", "--dry-run", "-q")
    assert run.out == f"would pin group 'monday' of domain '{NAME}'\n"
    assert vmsnap("group", "list", "--json").data["groups"][0]["is_pinned"] is False


def test_lists_show_a_pin_and_are_no_wider_for_it(vmsnap, monday):
    width = max(map(len, vmsnap("group", "list").out.splitlines()))
    vmsnap("group", "pin", NAME, "monday")
    lines = vmsnap("group", "list").out.splitlines()
    assert "  pinned  " in lines[1]
    assert max(map(len, lines)) <= width + len("pinned") - len("ready")
    assert "state:        ready, manual, pinned, you are here\n" in (
        vmsnap("group", "show", NAME, "monday").out
    )
    assert "pinned" in vmsnap("group", "tree", NAME).out
    (group,) = vmsnap("group", "list", "--json").data["groups"]
    assert (group["state"], group["is_pinned"]) == ("ready", True)


def test_a_delete_is_refused_before_the_question(vmsnap, monday, terminal):
    vmsnap("group", "pin", NAME, "monday")
    with terminal("stdin", "stderr", typed="y\n") as screen:
        vmsnap("group", "delete", NAME, "monday", status=14)
    assert "Delete?" not in screen.shown
    run = vmsnap("group", "delete", NAME, "monday", "--yes", status=14)
    assert run.err == (
        f"error: group 'monday' of domain '{NAME}' is pinned\n"
        f"hint: vmsnap group unpin {NAME} monday\n"
    )


def test_a_purge_asks_with_the_pins_named(vmsnap, monday, terminal, host):
    vmsnap("group", "pin", NAME, "monday")
    host.undefine(DOMAIN_UUID)
    with terminal("stdin", "stderr", typed="n\n") as screen:
        vmsnap("purge", NAME, status=2)
    assert "  group 'monday' with its backup, although it is pinned" in screen.shown
    run = vmsnap("purge", NAME, "--dry-run", "--json")
    assert run.data["pinned"] == ["monday"]
