"""The verb prune: rules typed or from config.toml, what is printed, and the exit statuses."""

import re

import pytest
from cli.conftest import DOMAIN_UUID, OTHER

NAME = "vmsnap-test-web"


@pytest.fixture
def three(vmsnap, host):
    """Three groups, and a backup of its own."""
    for name in ("before-upgrade", "tuesday", "wednesday"):
        vmsnap("snapshot", "create", NAME, "--name", name)
    vmsnap("backup", "create", NAME, "--name", "weekly")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write a config.toml: `config(text)`."""
    path = tmp_path / "config.toml"

    def write(text):
        path.write_text(text)
        monkeypatch.setenv("VMSNAP_CONFIG", str(path))

    return write


def groups(vmsnap, domain=NAME):
    return [item["name"] for item in vmsnap("group", "list", domain, "--json").data["groups"]]


def test_each_point_is_shown_with_the_reason_why_it_stays_or_goes(vmsnap, three):
    run = vmsnap("prune", NAME, "--keep-last", "1", "--keep-name", "before-*", "--dry-run", "-q")
    head, titles, *rows = run.out.splitlines()
    assert head == f"would prune domain '{NAME}': 1 of 4 points go"
    assert titles.split() == ["POINT", "KIND", "CREATED", "VERDICT", "WHY"]
    cells = [re.split(" {2,}", row) for row in rows]
    assert [(name, kind, *verdict) for name, kind, _created, *verdict in cells] == [
        ("before-upgrade", "group", "stays", "named before-*"),
        ("tuesday", "group", "goes", "no rule keeps it"),
        ("wednesday", "group", "stays", "last 1 of 1"),
        ("weekly", "backup", "stays", "last 1 of 1"),
    ]
    assert len(groups(vmsnap)) == 3


def test_it_asks_nothing_and_says_what_it_did(vmsnap, three):
    run = vmsnap("prune", NAME, "--keep-last", "1")
    assert run.out.splitlines()[0] == f"pruned domain '{NAME}': 2 of 4 points are gone"
    assert run.err == ""
    assert groups(vmsnap) == ["wednesday"]
    run = vmsnap("prune", NAME, "--keep-last", "1")
    assert run.out.splitlines()[0] == (
        f"nothing to prune: domain '{NAME}' keeps all of its 2 points"
    )
    assert vmsnap("history", NAME).out.count("prune") == 1


def test_json_tells_of_each_point(vmsnap, three):
    run = vmsnap("prune", NAME, "--keep-last", "2", "--json")
    assert (run.changed, run.document["status"]) == (True, "ok")
    points = {item["name"]: item for item in run.data["points"]}
    gone = points["before-upgrade"]
    assert (gone["kind"], gone["is_safety"], gone["is_pinned"]) == ("group", False, False)
    assert (gone["is_kept"], gone["reasons"], gone["damage"]) == (
        False,
        ["no rule keeps it"],
        None,
    )
    assert points["weekly"]["kind"] == "backup"
    assert points["weekly"]["reasons"] == ["last 1 of 2"]
    assert (run.data["is_done"], run.data["is_complete"]) == (True, True)
    assert {merge["group"] for merge in run.data["merges"]} == {"before-upgrade"}
    assert run.data["results"][0]["error"] is None
    again = vmsnap("prune", NAME, "--keep-last", "2", "--json")
    assert (again.changed, again.data["is_done"], again.data["merges"]) == (False, False, [])


def test_with_q_it_is_silent_where_all_went_well(vmsnap, three):
    for _ in range(2):
        run = vmsnap("prune", NAME, "--keep-last", "1", "-q")
        assert (run.out, run.err) == ("", "")


def test_without_a_rule_it_is_refused(vmsnap, three):
    for words in ((), ("--keep-last", "0"), ("--keep-safety", "1d")):
        run = vmsnap("prune", NAME, *words, status=2)
        assert run.err == (
            f"error: no rule says what to keep of domain '{NAME}'\n"
            f"hint: vmsnap prune --keep-daily 7 --dry-run {NAME}\n"
        )
    run = vmsnap("prune", "--all", status=2)
    assert run.err == (
        "error: no rule says what to keep, of no domain of this host\n"
        "hint: vmsnap prune --all --keep-daily 7 --dry-run\n"
    )
    assert len(groups(vmsnap)) == 3


@pytest.mark.parametrize("option", ["--keep-within", "--keep-safety"])
def test_what_is_no_duration_is_refused(vmsnap, host, option):
    run = vmsnap("prune", NAME, option, "soon", status=2)
    assert f"{option} takes a duration such as 90s" in run.err


def test_the_rules_of_config_toml_hold_where_none_is_typed(vmsnap, three, config):
    config('[defaults]\nkeep_last = 9\n[domain."vmsnap-*"]\nkeep_last = 0\nkeep_name = ["tues*"]\n')
    run = vmsnap("prune", NAME, "--groups", "--dry-run", "--json")
    kept = {item["name"]: item["reasons"] for item in run.data["points"] if item["is_kept"]}
    assert kept == {"tuesday": ["named tues*"], "wednesday": ["the domain's last complete group"]}
    run = vmsnap("prune", NAME, "--keep-last", "2", "--groups", "--dry-run", "--json")
    kept = [item["name"] for item in run.data["points"] if item["is_kept"]]
    assert kept == ["tuesday", "wednesday"], "what is typed takes the place of all of it"


def test_the_age_limit_of_safety_points_is_typed_or_configured_by_itself(vmsnap, three, config):
    vmsnap("group", "revert", NAME, "tuesday")
    config('[defaults]\nkeep_last = 9\nkeep_safety = "0s"\n')

    def reason(*words):
        points = vmsnap("prune", NAME, *words, "--dry-run", "--json").data["points"]
        return next(item["reasons"] for item in points if item["is_safety"])

    assert reason() == ["older than 0.0 s"]
    assert reason("--keep-last", "9") == ["older than 0.0 s"]
    assert reason("--keep-safety", "6w") == ["younger than 42 d"]


def test_all_domains_are_pruned_side_by_side_and_those_without_a_rule_left(
    vmsnap, three, other, config
):
    vmsnap("snapshot", "create", OTHER, "--name", "mine")
    config(f'[domain."{NAME}"]\nkeep_last = 1\n')
    run = vmsnap("prune", "--all")
    assert f"domain '{OTHER}' is left alone: no rule says what to keep of it" in run.out
    assert f"pruned domain '{NAME}': 2 of 4 points are gone" in run.out
    assert (groups(vmsnap), groups(vmsnap, OTHER)) == (["wednesday"], ["mine"])
    run = vmsnap("prune", "--all", "--keep-last", "1", "--json")
    assert {(item["domain"], item["name"]) for item in run.data["points"]} == {
        *((NAME, "wednesday"), (NAME, "weekly"), (OTHER, "mine")),
    }
    assert run.changed is False
    run = vmsnap("prune", NAME, OTHER, "--json", status=3)
    assert [error["code"] for error in run.document["errors"]] == ["usage"]


def test_a_domain_is_emptied_only_if_it_is_named_for_that(vmsnap, three, other):
    for domain in (NAME, OTHER):
        vmsnap("snapshot", "create", domain, "--name", "last")
    vmsnap("prune", "--all", "--keep-within", "0s", "--keep-name", "none", "--allow-empty", OTHER)
    assert (groups(vmsnap), groups(vmsnap, OTHER)) == (["last"], [])


@pytest.mark.parametrize("whom", [(NAME,), (NAME, OTHER), ("--all",)])
@pytest.mark.parametrize("name", ["nosuch", "vmsnap-*", DOMAIN_UUID[:-1] + "9"])
def test_what_may_be_empty_has_to_be_a_domain(vmsnap, three, other, whom, name):
    before = groups(vmsnap)
    words = ("prune", *whom, "--keep-last", "1", "--allow-empty", name, "--json")
    run = vmsnap(*words, status=11)
    assert (run.code, run.changed, groups(vmsnap)) == ("domain_not_found", False, before)
    assert f"no domain '{name}' on this host" in run.document["errors"][0]["message"]
    vmsnap(*words, "--dry-run", status=11)


def test_what_may_be_empty_has_to_be_among_what_is_pruned(vmsnap, three, other):
    before = groups(vmsnap)
    run = vmsnap("prune", NAME, "--keep-last", "1", "--allow-empty", OTHER, status=2)
    assert f"--allow-empty names domain '{OTHER}', which is not to be pruned" in run.err
    assert groups(vmsnap) == before


def test_a_domain_may_be_named_by_its_uuid_to_be_emptied(vmsnap, three):
    words = ("--keep-within", "0s", "--keep-name", "none", "--allow-empty", DOMAIN_UUID[:8])
    vmsnap("prune", NAME, *words)
    assert groups(vmsnap) == []


def test_what_waits_for_the_machine_is_status_3_and_told_with_q_too(vmsnap, three, host):
    vmsnap("group", "revert", NAME, "before-upgrade")
    host.start(DOMAIN_UUID)
    run = vmsnap("prune", NAME, "--groups", "--keep-name", "before-*", "-q", status=3)
    assert run.out == ""
    assert "error: 'tuesday/vda' is not merged yet: " in run.err
    run = vmsnap("prune", NAME, "--groups", "--keep-name", "before-*")
    assert run.out.splitlines()[0].startswith("nothing to prune: ")
    assert "begun before, waits until the machine is off" in run.out
    host.stop(DOMAIN_UUID)
    run = vmsnap("prune", NAME, "--groups", "--keep-name", "before-*", "--dry-run")
    assert run.out.splitlines()[0] == f"would go on with what was begun on domain '{NAME}'"
    run = vmsnap("prune", NAME, "--groups", "--keep-name", "before-*")
    assert run.out.splitlines()[0] == f"finished what was begun on domain '{NAME}'"


def test_a_host_without_a_database_has_nothing_to_prune_and_gets_none(vmsnap, host, tmp_path):
    run = vmsnap("prune", NAME, "--keep-last", "1")
    assert run.out == f"nothing to prune: domain '{NAME}' has no groups or backups\n"
    assert not list(tmp_path.rglob("vmsnap.db"))


def test_a_typed_uuid_is_allowed_to_be_empty_by_the_domains_name(vmsnap, three):
    words = ("--keep-within", "0s", "--keep-name", "none", "--allow-empty", NAME)
    vmsnap("prune", DOMAIN_UUID, *words)
    assert groups(vmsnap) == []
