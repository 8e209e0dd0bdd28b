"""The verb purge, and how domains that are gone are shown."""

import pytest
from cli.conftest import DOMAIN_UUID

NAME = "vmsnap-test-web"


@pytest.fixture
def gone(vmsnap, host):
    """A domain that was undefined after it got a group."""
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    host.undefine(DOMAIN_UUID)


def test_lists_say_that_a_domain_is_gone(vmsnap, gone):
    assert vmsnap("group", "list", "--json").data["groups"][0]["domain_state"] == "gone"
    for words in (("group", "list"), ("snapshot", "list"), ("group", "tree", NAME)):
        assert f"{NAME} (gone)" in vmsnap(*words).out
    assert f"{NAME} (gone)" in vmsnap("group", "show", NAME, "monday").out


def test_lists_show_the_name_of_today(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    host.rename(DOMAIN_UUID, "vmsnap-test-new")
    for text in (NAME, "vmsnap-test-new", DOMAIN_UUID):
        (group,) = vmsnap("group", "list", text, "--json").data["groups"]
        assert (group["domain"], group["domain_state"]) == ("vmsnap-test-new", "shut off")
    run = vmsnap("group", "revert", NAME, "monday", status=11)
    assert "it is called 'vmsnap-test-new' now" in run.err


def test_other_verbs_say_that_it_is_gone(vmsnap, gone):
    run = vmsnap("group", "revert", NAME, "monday", status=11)
    assert run.err.endswith(f"hint: vmsnap purge {NAME}\n")


def test_it_shows_what_goes_and_what_stays_and_asks(vmsnap, gone, terminal, host):
    run = vmsnap("purge", NAME, status=2)
    assert run.err.endswith(f"hint: vmsnap purge {NAME} --yes\n")
    with terminal("stdin", "stderr", typed="n\n") as screen:
        vmsnap("purge", NAME, status=2)
    # In one line: a terminal's own are folded.
    shown = " ".join(screen.shown.split())
    assert f"all that is left of domain '{NAME}' ({DOMAIN_UUID}) will be gone:" in shown
    assert "group 'monday' with its backup" in shown
    assert "vda.qcow2' stays: vmsnap did not make it" in shown
    assert vmsnap("group", "list", "--json").data["groups"]
    with terminal("stdin", "stderr", typed="y\n"):
        run = vmsnap("purge", NAME, "--json")
    assert (run.changed, run.data["is_complete"], run.data["groups"]) == (True, True, ["monday"])
    assert vmsnap("group", "list", "--json").data == {"groups": []}
    assert vmsnap("purge", NAME, "--yes", "--json", status=11).changed is False


def test_a_dry_run_changes_nothing(vmsnap, gone, tmp_path):
    before = sorted(tmp_path.rglob("*.vmsnap-*"))
    run = vmsnap("purge", NAME, "--dry-run", "--json")
    assert (run.changed, run.data["is_done"]) == (False, False)
    assert [item["path"] for item in run.data["removed"]] == list(map(str, before))
    assert sorted(tmp_path.rglob("*.vmsnap-*")) == before


def test_a_domain_that_is_defined_is_refused_before_anything_is_asked(vmsnap, host):
    vmsnap("snapshot", "create", NAME)
    assert "--yes" not in vmsnap("purge", NAME, status=14).err


def test_a_domain_that_is_defined_is_refused(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    assert vmsnap("purge", NAME, "--yes", "--json", status=14).changed is False
