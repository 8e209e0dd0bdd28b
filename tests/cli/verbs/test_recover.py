"""The verb recover: its status says whether anything is left to be done."""

from datetime import UTC, datetime

import pytest

from vmsnap.engine import recover
from vmsnap.engine.results import RecoverResult

STARTED = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def result(outcome):
    return RecoverResult("uuid", "web1", "group revert", STARTED, outcome, "it was so")


@pytest.mark.parametrize(
    ("outcomes", "status", "word", "changed"),
    [
        ((), 0, "ok", False),
        (("finished",), 0, "ok", True),
        (("undone", "fence_lifted"), 0, "ok", True),
        (("waiting",), 14, "error", False),
        (("busy",), 75, "error", False),
        (("busy", "waiting"), 75, "error", False),
        (("undone", "waiting"), 3, "partial", True),
        (("busy", "finished"), 3, "partial", True),
        (("waits_for_shutdown",), 0, "ok", False),
        (("waits_for_shutdown", "finished"), 0, "ok", True),
        (("waits_for_shutdown", "waiting"), 14, "error", False),
    ],
)
def test_the_status_tells_what_is_left(
    outcomes, status, word, changed, *, vmsnap, host, monkeypatch
):
    results = tuple(result(outcome) for outcome in outcomes)
    monkeypatch.setattr(recover, "recover_all", lambda _ports, **_options: results)
    run = vmsnap("recover", "--json", status=status)
    assert (run.document["status"], run.changed) == (word, changed)
    assert [row["outcome"] for row in run.data["operations"]] == list(outcomes)
    assert len(run.document["errors"]) == len({"busy", "waiting"} & set(outcomes))


def test_what_became_of_each_is_shown(vmsnap, host, monkeypatch):
    monkeypatch.setattr(recover, "recover_all", lambda _ports, **_options: (result("waiting"),))
    run = vmsnap("recover", status=14)
    assert "group revert" in run.out
    assert run.err == "error: domain 'web1' is not recovered yet: it was so\n"


def test_a_dry_run_changes_nothing_and_is_never_an_error(vmsnap, host, monkeypatch):
    monkeypatch.setattr(recover, "recover_all", lambda _ports, **_options: (result("pending"),))
    assert vmsnap("recover", "--dry-run", "--json").changed is False


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write the config file of a test."""

    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setenv("VMSNAP_CONFIG", str(path))
        return path

    return write


@pytest.mark.parametrize("verb", ["recover", "doctor"])
def test_a_key_that_only_prune_needs_is_only_warned_of(verb, vmsnap, host, config):
    path = config("[defaults]\nkeep_dayly = 7\n")
    warning = (
        f"[defaults] of '{path}' has the unknown key 'keep_dayly'"
        " (perhaps 'keep_daily' is meant); other verbs refuse until it is mended"
    )
    run = vmsnap("-q", verb)
    assert (run.out, run.err) == ("", f"warning: {warning}\n")
    assert vmsnap("--json", verb).document["warnings"] == [warning]
    assert vmsnap("--json", "group", "list", status=10).code == "config"


def test_a_machine_is_recovered_in_spite_of_a_wrong_key(vmsnap, host, config, monkeypatch):
    monkeypatch.setattr(recover, "recover_all", lambda _ports, **_options: (result("finished"),))
    config("[[hook]]\nwhen = 1\n")
    assert vmsnap("--json", "recover").changed is True


def test_a_recover_with_wrong_keys_leaves_the_metrics_of_domains(vmsnap, host, config, tmp_path):
    metrics = tmp_path / "vmsnap.prom"
    config('[defaults]\nmax_age = "1h"\n')
    vmsnap("status", "--metrics-file", str(metrics), status=3)
    before = [line for line in metrics.read_text().splitlines() if "max_age" in line]
    config('[defaults]\nmax_age = "1h"\nkeep_dayly = 7\n')
    vmsnap("recover", "--metrics-file", str(metrics))
    assert before
    assert before == [line for line in metrics.read_text().splitlines() if "max_age" in line]
    assert 'verb="recover"' in metrics.read_text()


@pytest.mark.parametrize("text", ["database = 3\n", "data_base = 3\n", "[defaults\n"])
def test_a_file_that_may_mean_another_database_stops_a_recover(vmsnap, host, config, text):
    config(text)
    run = vmsnap("--json", "recover", status=10)
    assert (run.code, run.changed) == ("config", False)


def test_recover_makes_no_database(vmsnap, host, tmp_path):
    assert vmsnap("recover").err == "nothing was interrupted\n"
    assert not list(tmp_path.rglob("vmsnap.db"))
