"""The verb group ungroup, and the verbs on the single snapshots that it leaves."""

import pytest

NAME = "vmsnap-test-web"


@pytest.fixture
def monday(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")


def listed(vmsnap):
    return {
        row["name"]: row for row in vmsnap("snapshot", "list", NAME, "--json").data["snapshots"]
    }


def test_it_says_what_the_group_became(vmsnap, monday):
    run = vmsnap("group", "ungroup", NAME, "monday")
    assert run.out.splitlines() == [
        f"ungrouped group 'monday' of domain '{NAME}'",
        "  snapshot 'monday/vda'",
        "  snapshot 'monday/vdb'",
        "  backup 'monday'",
    ]
    assert vmsnap("group", "list", NAME, "--json").data == {"groups": []}
    (nvram, _) = vmsnap("backup", "list", NAME, "--json").data["backups"]
    assert (nvram["name"], nvram["resource_kind"]) == ("monday", "standalone")


def test_a_dry_run_changes_nothing(vmsnap, monday):
    run = vmsnap("group", "ungroup", NAME, "monday", "--drop-backup", "--dry-run")
    assert "would ungroup" in run.out
    assert "its backup is dropped" in run.out
    assert vmsnap("group", "list", NAME, "--json").data["groups"][0]["name"] == "monday"


def test_the_list_tells_members_from_single_snapshots(vmsnap, monday):
    before = listed(vmsnap)
    assert {(row["is_single"], row["group"]) for row in before.values()} == {(False, "monday")}
    vmsnap("group", "ungroup", NAME, "monday")
    after = listed(vmsnap)
    assert list(after) == list(before) == ["monday/vda", "monday/vdb"]
    assert {(row["is_single"], row["group"]) for row in after.values()} == {(True, None)}
    assert "single" in vmsnap("snapshot", "list").out


def test_single_snapshots_are_deleted(vmsnap, monday):
    vmsnap("group", "ungroup", NAME, "monday")
    run = vmsnap("snapshot", "delete", NAME, "monday/vda", "--yes")
    assert run.out.startswith(f"deleted snapshot 'monday/vda' of domain '{NAME}'\n")
    run = vmsnap("snapshot", "delete", NAME, "monday/vdb", "--yes", "--json")
    assert (run.changed, run.data["snapshots"], run.data["groups"]) == (True, ["monday/vdb"], [])
    assert listed(vmsnap) == {}


def test_a_member_of_a_group_is_refused(vmsnap, monday):
    run = vmsnap("snapshot", "delete", NAME, "monday/vda", "--yes", "--json", status=14)
    assert run.document["errors"][0]["hint"] == f"vmsnap group ungroup {NAME} monday"


def test_a_delete_asks_and_takes_what_it_showed(vmsnap, monday, terminal):
    vmsnap("group", "ungroup", NAME, "monday")
    run = vmsnap("snapshot", "delete", NAME, "monday/vda", status=2)
    assert run.err.endswith(f"hint: vmsnap snapshot delete {NAME} monday/vda --yes\n")
    with terminal("stdin", "stderr", typed="y\n") as screen:
        vmsnap("snapshot", "delete", NAME, "monday/vda")
    assert "  monday/vda" in screen.shown
    assert list(listed(vmsnap)) == ["monday/vdb"]


def test_children_that_are_single_snapshots_go_along_after_the_question(vmsnap, monday, terminal):
    vmsnap("snapshot", "create", NAME, "--name", "tuesday")
    vmsnap("group", "ungroup", NAME, "tuesday")
    with terminal("stdin", "stderr", typed="y\n"):
        run = vmsnap("group", "delete", NAME, "monday", "--children", "--json")
    assert (run.data["groups"], run.data["snapshots"]) == (
        ["monday"],
        ["tuesday/vda", "tuesday/vdb"],
    )
    assert listed(vmsnap) == {}
