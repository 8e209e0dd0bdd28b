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


def test_recover_makes_no_database(vmsnap, host, tmp_path):
    assert vmsnap("recover").err == "nothing was interrupted\n"
    assert not list(tmp_path.rglob("vmsnap.db"))
