"""The metrics file: what it tells of domains and runs, when it is written, and that it is valid."""

import os
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vmsnap.errors import LibvirtError

WEB = "vmsnap-test-web"


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    """The metrics file of all runs of the test."""
    path = tmp_path / "collector" / "vmsnap.prom"
    path.parent.mkdir()
    monkeypatch.setenv("VMSNAP_METRICS_FILE", str(path))
    return path


def figures(path):
    """Read the file as Prometheus does: values by name and labels, in the labels' order."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_status_writes_it(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB, "--name", "monday")
    metrics.unlink()
    vmsnap("status", "--max-age", "26h")
    found = figures(metrics)
    assert found["vmsnap_domain_max_age_seconds", WEB] == 93600
    assert found["vmsnap_newest_group_complete", WEB] == 1
    made = found["vmsnap_newest_complete_group_timestamp_seconds", WEB]
    assert abs(made - found["vmsnap_collected_timestamp_seconds",]) < 60
    assert found["vmsnap_newest_group_timestamp_seconds", WEB] == made
    assert found["vmsnap_newest_complete_group_size_bytes", WEB] > 0
    assert found["vmsnap_interrupted", WEB] == 0
    assert found["vmsnap_groups", WEB, "ready"] == 1
    assert found["vmsnap_collection_success",] == 1
    assert found["vmsnap_last_operation_success", WEB, "snapshot create"] == 1
    assert 0 < found["vmsnap_last_operation_duration_seconds", WEB, "snapshot create"] < 60
    assert len([name for name, *_ in found if name == "vmsnap_build_info"]) == 1


def test_an_option_names_it_too(vmsnap, host, tmp_path):
    vmsnap("status", "--metrics-file", str(tmp_path / "here.prom"))
    assert figures(tmp_path / "here.prom")["vmsnap_interrupted", WEB] == 0


def test_a_group_that_is_not_complete_is_told(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB, "--without", "tpm")
    found = figures(metrics)
    assert found["vmsnap_newest_group_complete", WEB] == 0
    assert ("vmsnap_newest_complete_group_timestamp_seconds", WEB) not in found


def test_every_changing_run_rewrites_it(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB, "--name", "monday")
    assert figures(metrics)["vmsnap_groups", WEB, "ready"] == 1
    vmsnap("backup", "create", WEB, "--name", "kept")
    assert figures(metrics)["vmsnap_backups", WEB, "standalone"] == 1
    vmsnap("group", "delete", WEB, "monday", "--yes")
    found = figures(metrics)
    assert ("vmsnap_groups", WEB, "ready") not in found
    verbs = {key[1] for key in found if key[0] == "vmsnap_last_run_exit_status"}
    assert verbs == {"snapshot create", "backup create", "group delete"}


def test_a_refused_run_is_told_although_the_history_has_it_not(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB, "--name", "monday")
    vmsnap("snapshot", "create", WEB, "--name", "monday", status=13)
    found = figures(metrics)
    assert found["vmsnap_last_run_exit_status", "snapshot create"] == 13
    assert found["vmsnap_runs_total", "0", "snapshot create"] == 1
    assert found["vmsnap_runs_total", "13", "snapshot create"] == 1
    vmsnap("snapshot", "create", WEB)
    assert figures(metrics)["vmsnap_runs_total", "0", "snapshot create"] == 2


def test_a_database_that_cannot_be_used_leaves_the_old_figures_and_tells_the_run(
    vmsnap, host, metrics, tmp_path
):
    vmsnap("snapshot", "create", WEB)
    before = figures(metrics)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 100)
    broken.chmod(0o600)
    vmsnap("snapshot", "create", WEB, "--database", str(broken), status=10)
    after = figures(metrics)
    assert after["vmsnap_last_run_exit_status", "snapshot create"] == 10
    changed = {key for key in after if after[key] != before.get(key)}
    assert {name for name, *_ in changed} <= {
        "vmsnap_last_run_exit_status",
        "vmsnap_last_run_timestamp_seconds",
        "vmsnap_runs_total",
    }


def test_figures_that_cannot_be_had_are_warned_of_and_said_to_be_old(
    vmsnap, host, metrics, monkeypatch
):
    def fail(*_):
        message = "libvirt is gone"
        raise LibvirtError(message)

    vmsnap("snapshot", "create", WEB)
    monkeypatch.setattr("vmsnap.engine.status.domain_statuses", fail)
    run = vmsnap("snapshot", "create", WEB)
    assert run.err.splitlines()[-1] == "warning: libvirt is gone"
    found = figures(metrics)
    assert found["vmsnap_collection_success",] == 0
    assert found["vmsnap_groups", WEB, "ready"] == 1
    assert found["vmsnap_runs_total", "0", "snapshot create"] == 2


def test_a_bug_in_it_never_changes_how_a_run_ends(vmsnap, host, metrics, monkeypatch):
    def broken(*_):
        raise RuntimeError("boom")

    monkeypatch.setattr("vmsnap.cli.monitoring.metrics.collect", broken)
    run = vmsnap("snapshot", "create", WEB)
    assert run.err.splitlines()[-1] == "warning: no metrics: RuntimeError('boom')"


def test_a_file_that_cannot_be_written_is_a_warning_of_a_changing_run(
    vmsnap, host, tmp_path, log_file
):
    missing = tmp_path / "missing" / "vmsnap.prom"
    run = vmsnap("-q", "--metrics-file", str(missing), "snapshot", "create", WEB)
    assert re.fullmatch(r"warning: the metrics are not written: .*\n", run.err)
    assert "the metrics are not written" in log_file.read_text()


def test_a_file_that_cannot_be_written_fails_status_which_answers_all_the_same(
    vmsnap, host, tmp_path
):
    missing = tmp_path / "missing" / "vmsnap.prom"
    words = ("--metrics-file", str(missing), "status", "--max-age", "1h")
    run = vmsnap("--json", *words, status=10)
    assert [error["code"] for error in run.document["errors"]] == ["no_complete_group", "config"]
    assert run.data["domains"][0]["level"] == "critical"
    assert run.err == ""
    run = vmsnap(*words, status=10)
    assert f"critical: domain '{WEB}'" in run.out
    assert re.fullmatch(r"warning: the metrics are not written: [^\n]*\n", run.err)
    run = vmsnap("-q", *words, status=10)
    assert [line.split(":")[0] for line in run.err.splitlines()] == ["error", "warning"]


@pytest.mark.parametrize("content", [b"SQLite format 3\0...", b"precious\n", b"vmsnap_groups 3\n"])
def test_a_file_of_something_else_is_neither_replaced_nor_changed(vmsnap, host, metrics, content):
    metrics.write_bytes(content)
    metrics.chmod(0o600)
    run = vmsnap("status", status=10)
    assert "holds something else" in run.err
    run = vmsnap("snapshot", "create", WEB)
    assert re.search(r"^warning: the metrics are not written: .* holds something else", run.err)
    assert (metrics.read_bytes(), metrics.stat().st_mode & 0o777) == (content, 0o600)


def test_the_database_is_never_taken_for_one(vmsnap, host, tmp_path, monkeypatch):
    monkeypatch.setenv("VMSNAP_DATABASE", f"sqlite:///{tmp_path}/kept.db")
    vmsnap("snapshot", "create", WEB, "--metrics-file", str(tmp_path / "kept.db"))
    assert len(vmsnap("group", "list", "--json").data["groups"]) == 1


def test_a_link_is_refused_and_its_target_named(vmsnap, host, metrics, tmp_path):
    metrics.symlink_to(tmp_path / "elsewhere.prom")
    run = vmsnap("status", status=10)
    assert f"is a link to '{tmp_path}/elsewhere.prom'" in run.err
    assert metrics.is_symlink()
    assert not (tmp_path / "elsewhere.prom").exists()


@pytest.mark.parametrize("path", ["/dev/full", "/dev/stdout"])
def test_a_device_is_refused_and_stays(vmsnap, host, path):
    before = os.lstat(path)
    run = vmsnap("status", "--metrics-file", path, status=10)
    assert "the metrics are not written" in run.err
    assert os.lstat(path).st_ino == before.st_ino


@pytest.mark.parametrize("word", ["none", "/dev/null"])
def test_none_and_dev_null_switch_off_what_the_settings_name(vmsnap, host, metrics, word):
    vmsnap("snapshot", "create", WEB, "--metrics-file", word)
    vmsnap("status", "--metrics-file", word)
    assert not metrics.exists()
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("path", ["", "."])
def test_a_path_of_no_file_is_a_wrong_usage(vmsnap, host, path):
    run = vmsnap("status", "--metrics-file", path, status=2)
    assert run.err.endswith("hint: --metrics-file none writes none\n")


def test_a_plugin_that_is_told_to_write_it_is_unknown(vmsnap, host, tmp_path):
    words = ("--nagios", "--max-age", "1h", "--metrics-file", str(tmp_path / "x.prom"))
    assert vmsnap("status", *words, status=3).out == "UNKNOWN - --nagios writes no metrics file\n"


def test_reading_verbs_dry_runs_and_plugins_leave_it_alone(vmsnap, host, metrics):
    vmsnap("vm", "list")
    vmsnap("snapshot", "create", WEB, "--dry-run")
    vmsnap("status", WEB)
    vmsnap("status", "--nagios", "--max-age", "1h", status=2)
    assert not metrics.exists()


def test_without_the_setting_none_is_written(vmsnap, host, tmp_path):
    vmsnap("snapshot", "create", WEB)
    assert list(tmp_path.rglob("*.prom")) == []


def test_a_name_of_any_kind_stays_one_label(vmsnap, host, metrics):
    name = 'we"b\\ {x="1"} \u2028é'
    machine = next(iter(host.machines.values()))
    machine.xml = machine.xml.replace(WEB, name.replace('"', "&quot;"))
    vmsnap("snapshot", "create", name)
    assert figures(metrics)["vmsnap_groups", name, "ready"] == 1


def test_no_secret_stands_in_it(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB)
    assert "hush" not in metrics.read_text()


def test_each_family_has_its_help_and_type_once(vmsnap, host, metrics):
    vmsnap("snapshot", "create", WEB)
    vmsnap("snapshot", "create", WEB)
    lines = metrics.read_text().splitlines()
    for word in ("HELP", "TYPE"):
        names = [line.split()[2] for line in lines if line.startswith(f"# {word} ")]
        assert len(names) == len(set(names)) > 10
    assert len(lines) == len(set(lines))
