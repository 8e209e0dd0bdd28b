"""The reading verbs of groups."""

import pytest

from vmsnap.host.locks import FileLocks

NAME = "vmsnap-test-web"


@pytest.fixture
def group(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")


@pytest.mark.parametrize("verb", ["list", "tree", "check"])
def test_without_groups_it_says_what_to_do_next(verb, vmsnap, host):
    run = vmsnap("group", verb, NAME)
    assert run.out == ""
    assert run.err == f"no groups yet\nhint: vmsnap snapshot create {NAME}\n"


def test_a_list_without_a_database_is_empty_and_makes_none(vmsnap, host, tmp_path):
    run = vmsnap("group", "list", "--json")
    assert (run.data, run.status) == ({"groups": []}, 0)
    assert not list(tmp_path.rglob("vmsnap.db"))


def test_an_unknown_domain_or_group_is_named_with_a_hint(vmsnap, group):
    assert vmsnap("group", "list", "nope", status=11).err.startswith("error: no domain 'nope'")
    run = vmsnap("group", "show", NAME, "nope", status=12)
    assert run.err == (
        f"error: domain '{NAME}' has no group 'nope'\nhint: vmsnap group list {NAME}\n"
    )


def test_the_list_is_plain_text_in_a_pipe(vmsnap, group):
    title, row = vmsnap("group", "list").out.splitlines()
    assert title.split()[:3] == ["DOMAIN", "GROUP", "HERE"]
    assert row.split()[:5] == [NAME, "monday", "*", "manual", "ready"]


def test_80_columns_show_which_group_lacks_a_host_file(vmsnap, group, terminal):
    """A group without one cannot be reverted as it is; other columns make room."""
    with terminal("stdout") as screen:
        vmsnap("group", "list")
    assert "TPM" not in screen.shown
    vmsnap("snapshot", "create", NAME, "--name", "before-the-upgrade-to-15", "--without", "nvram")
    with terminal("stdout") as screen:
        vmsnap("group", "list")
    assert "NVRAM" in screen.shown
    assert "skipped" in screen.shown
    assert "KIND" not in screen.shown


def test_the_tree_says_where_you_are(vmsnap, group):
    lines = vmsnap("group", "tree", NAME).out.splitlines()
    assert lines[0] == NAME
    assert lines[1].startswith("* monday ")
    assert lines[2].startswith("> you are here ")
    assert lines[2].endswith("  written since")


def test_show_tells_all_of_a_group(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "网络", "--description", "before\x1b[31m it")
    out = vmsnap("group", "show", NAME, "网络").out
    assert out.startswith("网络  (")
    assert "description:  before\\x1b[31m it" in out
    assert "sda:  left out" in out


def test_a_group_that_can_be_reverted_is_available(vmsnap, group):
    assert vmsnap("group", "check", NAME).out == "monday: available\n"


def test_a_running_domain_makes_its_groups_unavailable_but_not_damaged(vmsnap, group, host):
    host.start(next(iter(host.machines)))
    run = vmsnap("group", "check", NAME, status=15)
    assert run.out.startswith("monday: not available\n  ")
    assert run.err == "", "each reason is told once"
    run = vmsnap("group", "check", NAME, "--json", status=15)
    assert run.document["errors"][0]["message"].startswith(
        f"group 'monday' of domain '{NAME}' is not available: "
    )
    assert (run.code, run.changed, run.document["status"]) == ("not_available", False, "error")
    assert run.data["groups"][0]["available"] is False
    assert {reason["kind"] for reason in run.data["groups"][0]["reasons"]} == {"state"}
    assert vmsnap("group", "check", NAME, "--intact", "--json").data["groups"][0]["reasons"] == []


def test_damage_counts_with_intact_too(vmsnap, group, tmp_path):
    (tmp_path / "host" / "vda.qcow2").unlink()
    run = vmsnap("group", "check", NAME, "monday", "--intact", "--json", status=15)
    assert {reason["kind"] for reason in run.data["groups"][0]["reasons"]} == {"damage"}


def test_damage_that_may_be_an_operation_s_doing_is_busy(
    vmsnap, group, host, tmp_path, monkeypatch
):
    """H48: cron is not alarmed by a delete that is at work, but hears that nothing is known."""
    monkeypatch.setattr("vmsnap.engine.check.PAUSE_SECONDS", 0)
    (tmp_path / "host" / "vda.qcow2").unlink()
    state = tmp_path / "home" / ".local" / "state" / "vmsnap"
    with FileLocks(state).hold(next(iter(host.machines)), "group delete", 0):
        run = vmsnap("group", "check", NAME, "--intact", "--json", status=75)
        assert (run.code, run.changed) == ("busy", False)
        run = vmsnap("group", "check", NAME, "--intact", status=75)
    assert f"error: domain '{NAME}' is busy: 'group delete' (process " in run.err
    assert run.err.endswith(f"hint: vmsnap group check {NAME}\n")
    vmsnap("group", "check", NAME, "--intact", status=15)


@pytest.mark.parametrize("words", [("list",), ("list", NAME), ("tree", NAME), ("check", NAME)])
def test_without_groups_on_overlays_of_vmsnap_it_says_how_to_get_them_back(
    words, vmsnap, group, tmp_path
):
    (database,) = tmp_path.rglob("vmsnap.db")
    database.unlink()
    run = vmsnap("group", *words)
    assert f"vmsnap made what disks stand on: of '{NAME}'" in run.err
    assert run.err.endswith(f"\nhint: vmsnap db rebuild {NAME}\n")
