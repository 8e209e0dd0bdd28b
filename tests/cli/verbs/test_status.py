"""The verb status: the table, the JSON, the exit statuses, and what config.toml says of domains."""

import re
from pathlib import Path

import pytest

from vmsnap.host.locks import FileLocks

WEB = "vmsnap-test-web"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write a config file for the test."""

    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setenv("VMSNAP_CONFIG", str(path))

    return write


def test_without_a_limit_domains_are_listed_and_not_judged(vmsnap, host):
    run = vmsnap("status")
    header, row = run.out.splitlines()
    assert header.split()[:2] == ["DOMAIN", "STATUS"]
    assert row.split()[:3] == [WEB, "not", "judged"]
    assert (
        run.err == "hint: --max-age 26h, or max_age in config.toml, says how old a group may be\n"
    )


def test_a_young_group_is_fine(vmsnap, host):
    vmsnap("snapshot", "create", WEB, "--name", "monday")
    run = vmsnap("status", "--max-age", "26h")
    row = run.out.splitlines()[1]
    assert re.fullmatch(rf"{WEB}  fine +[0-9.]+ s  1 d 2 h  monday +[0-9.]+ [KM]iB", row)
    assert run.err == ""


def test_a_domain_without_a_group_ends_with_3_and_is_told_with_its_command(vmsnap, host):
    run = vmsnap("status", "--max-age", "26h", status=3)
    assert run.out.splitlines()[-2:] == [
        f"critical: domain '{WEB}': it has no complete group",
        f"  vmsnap snapshot create {WEB}",
    ]
    assert run.err == ""


def test_json_says_all_of_it(vmsnap, host):
    vmsnap("snapshot", "create", WEB, "--name", "monday", "--without", "tpm")
    run = vmsnap("--json", "status", "--max-age", "26h", status=3)
    assert (run.document["status"], run.document["changed"]) == ("partial", False)
    (domain,) = run.data["domains"]
    assert (domain["domain"], domain["level"], domain["max_age_seconds"]) == (
        WEB,
        "critical",
        93600,
    )
    assert domain["newest"]["name"] == "monday"
    assert domain["newest"]["lacks"] == ["tpm was skipped"]
    assert domain["newest_complete"] is None
    assert domain["troubles"][0]["code"] == "no_complete_group"
    assert (domain["groups"], domain["backups"], domain["busy"]) == ({"ready": 1}, {}, None)
    assert run.code == "no_complete_group"


def test_quietly_it_says_nothing_when_all_is_fine_and_one_line_when_not(vmsnap, host):
    vmsnap("snapshot", "create", WEB)
    run = vmsnap("-q", "status", "--max-age", "26h")
    assert (run.out, run.err) == ("", "")
    run = vmsnap("-q", "status", "--max-age", "0s", status=3)
    assert run.out == ""
    assert run.err.count("\n") == 1
    assert run.err.startswith(f"error: domain '{WEB}': its newest complete group ")


def test_the_limit_of_config_toml_is_of_each_domain(vmsnap, host, config):
    config('[defaults]\nmax_age = "26h"\n[domain."*-web"]\nmax_age = "none"\n')
    assert vmsnap("--json", "status").data["domains"][0]["level"] is None
    config('[defaults]\nmax_age = "26h"\n')
    assert vmsnap("--json", "status", status=3).data["domains"][0]["level"] == "critical"


def test_what_was_typed_goes_before_config_toml(vmsnap, host, config):
    config('[defaults]\nmax_age = "none"\n')
    vmsnap("status", "--max-age", "1h", status=3)


def test_what_config_toml_leaves_out_is_not_missed(vmsnap, host, config):
    vmsnap("snapshot", "create", WEB, "--without", "tpm", "--exclude", "vdb")
    vmsnap("status", "--max-age", "1h", status=3)
    config('[defaults]\nexclude = ["vdb"]\nwithout = ["tpm"]\n')
    vmsnap("status", "--max-age", "1h")


@pytest.mark.parametrize("age", ["", "26", "26x", "-1h", "one day"])
def test_an_age_that_is_none_is_a_wrong_usage(vmsnap, host, age):
    run = vmsnap("--json", "status", "--max-age", age, status=2)
    assert run.code == "usage"
    assert "26h" in run.document["errors"][0]["message"]


def test_a_warning_behind_the_limit_is_a_wrong_usage(vmsnap, host):
    vmsnap("status", "--max-age", "1h", "--warn-age", "2h", status=2)


def test_a_domain_that_is_not_there_ends_with_11(vmsnap, host):
    vmsnap("status", "nothing", status=11)


def test_a_host_without_domains_is_said_to_be_so(vmsnap, host):
    host.machines.clear()
    assert vmsnap("status", "--max-age", "1h").err == "this host has no domains\n"


def test_who_is_at_work_is_said_and_no_alarm_raised(vmsnap, host, tmp_path):
    vmsnap("snapshot", "create", WEB)
    state = tmp_path / "home" / ".local" / "state" / "vmsnap"
    with FileLocks(state).hold(next(iter(host.machines)), "group delete", 0):
        header, row = vmsnap("status", "--max-age", "1h").out.splitlines()
        busy = vmsnap("--json", "status").data["domains"][0]["busy"]
    assert header.endswith("  AT WORK")
    assert row.endswith("  group delete")
    assert busy["verb"] == "group delete"


def test_it_needs_no_writing(vmsnap, host, tmp_path):
    vmsnap("status", "--max-age", "26h", status=3)
    assert not (tmp_path / "home" / ".local" / "share" / "vmsnap").exists()


# --- as a plugin of Nagios ----------------------------------------------------------------------


def plugin(vmsnap, status, *words):
    """Run the plugin; return its one line."""
    run = vmsnap("status", "--nagios", *words, status=status)
    assert run.err == ""
    (line,) = run.out.splitlines()
    return line


def test_a_plugin_is_ok_with_the_age_behind_the_bar(vmsnap, host):
    vmsnap("snapshot", "create", WEB)
    line = plugin(vmsnap, 0, "--max-age", "26h", "--warn-age", "25h")
    text, data = line.split(" |")
    assert re.fullmatch(r"OK - 1 domain with a complete group, the oldest [0-9.]+ s old", text)
    assert data in {f"'{WEB}'={age}s;90000;93600;0" for age in range(20)}


def test_a_plugin_is_critical_without_a_group(vmsnap, host):
    line = plugin(vmsnap, 2, "--max-age", "26h")
    assert line == (
        f"CRITICAL - 1 of 1 domain not fine; {WEB}: it has no complete group |'{WEB}'=U;;93600;0"
    )


def test_a_plugin_warns_from_the_lower_limit_on(vmsnap, host):
    vmsnap("snapshot", "create", WEB)
    assert plugin(vmsnap, 1, "--max-age", "26h", "--warn-age", "0s").startswith("WARNING - ")


def test_groups_that_are_damaged_since_the_newest_complete_one_are_a_warning(vmsnap, host):
    """H59: the age of an older one hides nothing."""
    for name in ("g1", "g2"):
        vmsnap("snapshot", "create", WEB, "--name", name)
    (lost, *_) = vmsnap("group", "show", WEB, "g2", "--json").data["group"]["disks"]
    Path(lost["frozen_path"]).unlink()
    message = (
        "group 'g2' is damaged, and so is what its disks stand on:"
        f" disk vda: layer '{lost['frozen_path']}' is missing"
    )
    run = vmsnap("status", WEB, "--max-age", "26h", status=3)
    assert run.out.splitlines()[-2:] == [
        f"warning: domain '{WEB}': {message}",
        f"  vmsnap doctor {WEB}",
    ]
    (domain,) = vmsnap("status", WEB, "--json", status=3).data["domains"]
    assert [(item["level"], item["code"]) for item in domain["troubles"]] == [
        ("warning", "damaged")
    ]
    assert message in plugin(vmsnap, 1, "--max-age", "26h")


def test_a_plugin_that_judges_nothing_is_unknown_and_never_green(vmsnap, host):
    vmsnap("snapshot", "create", WEB)
    assert plugin(vmsnap, 3).startswith("UNKNOWN - no domain is judged")
    host.machines.clear()
    assert plugin(vmsnap, 3, "--max-age", "26h") == "UNKNOWN - this host has no domains"


@pytest.mark.parametrize(
    "words",
    [
        ("--max-age", "much"),
        ("--no-such-option",),
        ("--max-age",),
        ("nothing",),
        ("--database",),
    ],
)
def test_a_plugin_that_is_asked_wrongly_is_unknown(vmsnap, host, words):
    assert plugin(vmsnap, 3, *words).startswith("UNKNOWN - ")


def test_a_plugin_without_a_database_that_can_be_used_is_unknown(vmsnap, host, tmp_path):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 100)
    broken.chmod(0o600)
    line = plugin(vmsnap, 3, "--max-age", "26h", "--database", str(broken))
    assert line.startswith("UNKNOWN - ")


def test_a_plugin_without_libvirt_is_unknown(vmsnap, process):
    done = process(
        "status", "--nagios", "--max-age", "26h", env={"XDG_RUNTIME_DIR": "/nonexistent"}
    )
    assert done.returncode == 3
    assert done.stdout.startswith(b"UNKNOWN - ")
    assert done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


def test_a_plugin_that_has_a_bug_is_unknown_without_a_traceback(vmsnap, host, monkeypatch):
    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr("vmsnap.engine.status.domain_statuses", broken)
    assert plugin(vmsnap, 3, "--max-age", "1h").startswith("UNKNOWN - this is a bug in vmsnap")


def test_a_plugin_that_is_interrupted_is_unknown(vmsnap, host, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("vmsnap.engine.status.domain_statuses", interrupted)
    assert plugin(vmsnap, 3, "--max-age", "1h") == "UNKNOWN - interrupted; nothing was changed"


def test_a_plugin_prints_its_line_even_where_json_is_the_rule(vmsnap, host, monkeypatch):
    monkeypatch.setenv("VMSNAP_JSON", "1")
    assert plugin(vmsnap, 2, "--max-age", "1h").startswith("CRITICAL - ")
    monkeypatch.setenv("VMSNAP_QUIET", "1")
    assert plugin(vmsnap, 2, "--max-age", "1h").startswith("CRITICAL - ")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("it's", "'it''s'"),
        ("a b", "'a b'"),
        ("a=b", "'a\\x3db'"),
        ("a|b", "'a\\x7cb'"),
        ("wéb", "'wéb'"),
        ("a\u202eb", "'a\\u202eb'"),
    ],
)
def test_names_of_any_kind_do_not_break_the_line(vmsnap, host, name, label):
    machine = next(iter(host.machines.values()))
    machine.xml = machine.xml.replace(WEB, name)
    line = plugin(vmsnap, 2, "--max-age", "1h")
    assert line.count("|") == 1
    assert line.endswith(f" |{label}=U;;3600;0")


def test_the_help_of_a_plugin_is_help(vmsnap):
    assert "Usage" in vmsnap("status", "--nagios", "--help").out


def test_a_chain_that_is_nearly_too_long_is_told_by_create_and_status(vmsnap, host):
    vmsnap("snapshot", "create", WEB)
    host.depth = 4
    command = f"vmsnap prune --keep-last 1 --dry-run {WEB}"
    run = vmsnap("--json", "snapshot", "create", WEB)
    assert any("vda has 3 layers of at most 4" in note for note in run.data["notes"])
    run = vmsnap("-q", "status", status=3)
    assert run.err.startswith(f"error: domain '{WEB}': disk vda has 3 layers of at most 4\n")
    problem = vmsnap("--json", "status", status=3).document["errors"][0]
    assert (problem["code"], problem["hint"]) == ("chain_deep", command)


@pytest.mark.parametrize("words", [("--nagios", "--json"), ("--json", "--nagios")])
def test_one_line_for_nagios_and_a_document_exclude_each_other(vmsnap, host, words):
    run = vmsnap("status", *words, status=2)
    assert run.code == "usage"
    assert run.document["errors"][0]["message"] == "--nagios and --json exclude each other"


def test_json_in_the_settings_leaves_nagios_its_line(vmsnap, host, monkeypatch):
    monkeypatch.setenv("VMSNAP_JSON", "1")
    vmsnap("snapshot", "create", WEB)
    assert vmsnap("status", "--nagios", "--max-age", "1h").out.startswith("OK - 1 domain with")
