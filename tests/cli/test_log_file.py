"""The log file: what changing runs were asked, did and came to."""

import logging

import pytest
from cli.conftest import OTHER

from vmsnap.cli.log_file import close_log, logged_of, open_log

NAME = "vmsnap-test-web"


def test_a_changing_run_is_logged_from_start_to_end(vmsnap, host, log_file):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    lines = log_file.read_text().splitlines()
    assert f"INFO start: snapshot create uid=0 name='monday' domains=('{NAME}',)" in lines[0]
    assert any("creating group 'monday'" in line for line in lines)
    assert " INFO end: snapshot create status=0 seconds=" in lines[-1]


def test_of_several_domains_each_line_says_of_which_it_is(vmsnap, host, other, log_file):
    vmsnap("snapshot", "create", "--all", "--name", "monday")
    lines = log_file.read_text().splitlines()[1:-1]
    assert {any(name in line for name in (NAME, OTHER)) for line in lines} == {True}
    assert sum(f" INFO {OTHER}: doing switch_disks" in line for line in lines) == 1


def test_a_domain_that_is_called_like_a_step_is_told_all_the_same(tmp_path):
    path = tmp_path / "vmsnap.log"
    handler = open_log(path)
    with logged_of("group"):
        logging.getLogger("vmsnap").info("doing commit_group")
        logging.getLogger("vmsnap").info("group: creating")
    close_log(handler)
    words = [line.split(" INFO ")[1] for line in path.read_text().splitlines()]
    assert words == ["group: doing commit_group", "group: creating"]


def test_a_refused_run_is_logged_with_its_status_and_reason(vmsnap, host, log_file):
    vmsnap("undo", "nope", status=11)
    assert "end: undo status=11" in log_file.read_text()
    assert "no domain 'nope'" in log_file.read_text()


def test_reading_runs_are_not_logged(vmsnap, host, log_file):
    vmsnap("group", "list")
    vmsnap("db", "status")
    assert not log_file.exists()


def test_names_cannot_forge_lines_of_the_log(vmsnap, host, log_file):
    """H51: a line break in what was typed stays inside its line."""
    vmsnap("undo", "web\n2026 INFO end: forged", status=11)
    lines = log_file.read_text().splitlines()
    assert len(lines) == 2
    assert "forged" in lines[0]


def test_a_database_url_never_reaches_the_log(vmsnap, host, log_file, monkeypatch):
    """H50: the password of the database stays out of the log."""
    monkeypatch.setenv("VMSNAP_DATABASE", "mysql://vmsnap:hush@127.0.0.1:1/vmsnap")
    run = vmsnap("backup", "create", NAME, status=10)
    assert "hush" not in run.err + run.out + log_file.read_text()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_log_that_cannot_be_opened_is_a_warning_only(kind, vmsnap, host, log_file, tmp_path):
    log_file.parent.mkdir(parents=True)
    if kind == "folder":
        log_file.mkdir()
    else:
        log_file.symlink_to(tmp_path / "elsewhere")
    run = vmsnap("backup", "create", NAME)
    assert run.err.startswith(f"warning: this run is not logged: '{log_file}': ")
    assert not (tmp_path / "elsewhere").exists()
