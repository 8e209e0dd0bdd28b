"""The error boundary: what every ending of a run looks like, in words, in JSON and as a status."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from vmsnap import errors
from vmsnap.engine import create, show

STATUSES = {
    "UsageError": 2,
    "InvalidNameError": 2,
    "QuestionError": 2,
    "ConfigError": 10,
    "AccessError": 10,
    "ProgramMissingError": 10,
    "DatabaseUnusableError": 10,
    "SchemaError": 10,
    "OutputError": 10,
    "DomainNotFoundError": 11,
    "ResourceNotFoundError": 12,
    "GroupNotFoundError": 12,
    "BackupNotFoundError": 12,
    "AmbiguousIdError": 12,
    "NameTakenError": 13,
    "StateError": 14,
    "DomainRunningError": 14,
    "UnsupportedError": 14,
    "InUseError": 14,
    "UndoRefusedError": 14,
    "OtherHostError": 14,
    "PinnedError": 14,
    "NotAvailableError": 15,
    "NoSpaceError": 16,
    "HookError": 17,
    "LibvirtError": 20,
    "HostFileError": 21,
    "HostFileChangedError": 21,
    "DatabaseError": 22,
    "ContentError": 23,
    "ImageError": 24,
    "ImageExistsError": 24,
    "LeftChangedError": 30,
    "BusyError": 75,
    "SignalError": 130,
    "TerminatedError": 143,
}
BASES = {"VmsnapError", "RefusedError", "UndoneError"}


def raising(error):
    def verb(*_words, **_options):
        raise error

    return verb


def all_errors(base=errors.VmsnapError):
    return {base, *(found for child in base.__subclasses__() for found in all_errors(child))}


def test_every_error_class_has_its_status_in_this_table():
    names = {found.__name__ for found in all_errors() if found.__module__ == errors.__name__}
    assert names - BASES == set(STATUSES)


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_an_expected_failure_is_one_sentence_a_hint_and_its_status(
    name, status, vmsnap, host, monkeypatch
):
    """H5: whatever fails, there is a message and a status that is not zero."""
    error = getattr(errors, name)("the thing 'x' failed", hint="vmsnap vm list")
    monkeypatch.setattr(show, "list_domains", raising(error))
    run = vmsnap("vm", "list", status=status)
    assert run.out == ""
    assert run.err == "error: the thing 'x' failed\nhint: vmsnap vm list\n"


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_an_expected_failure_is_one_json_document(name, status, vmsnap, host, monkeypatch):
    error = getattr(errors, name)("the thing 'x' failed", hint="vmsnap vm list")
    monkeypatch.setattr(show, "list_domains", raising(error))
    run = vmsnap("vm", "list", "--json", status=status)
    assert run.document == {
        "vmsnap": 1,
        "command": "vm list",
        "status": "partial" if status == 3 else "error",
        "exit_code": status,
        "changed": name == "LeftChangedError",
        "data": None,
        "errors": [
            {"code": error.code, "message": "the thing 'x' failed", "hint": "vmsnap vm list"}
        ],
        "warnings": [],
    }
    assert run.err == ""


def test_an_error_that_knows_whether_something_changed_is_believed(vmsnap, host, monkeypatch):
    error = errors.LibvirtError("failed behind the commit")
    error.vmsnap_changed = True
    monkeypatch.setattr(show, "list_domains", raising(error))
    assert vmsnap("vm", "list", "--json", status=20).changed is True


def test_a_bug_shows_its_traceback_and_asks_for_a_report(vmsnap, host, monkeypatch, log_file):
    monkeypatch.setattr(show, "list_domains", raising(ZeroDivisionError("by \x1b nothing")))
    run = vmsnap("vm", "list", status=1)
    assert "Traceback (most recent call last)" in run.err
    assert "error: this is a bug in vmsnap: ZeroDivisionError: by \\x1b nothing" in run.err
    assert "hint: report it" in run.err
    assert "\x1b" not in run.err
    assert "Traceback (most recent call last)" in log_file.read_text()


def test_a_bug_is_one_json_document_too(vmsnap, host, monkeypatch):
    monkeypatch.setattr(show, "list_domains", raising(ZeroDivisionError()))
    run = vmsnap("vm", "list", "--json", status=1)
    assert (run.code, run.document["status"]) == ("bug", "error")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 143, "terminated"),
    ],
)
def test_a_signal_before_anything_was_begun_says_so(
    number, status, code, vmsnap, host, monkeypatch
):
    def verb(*_words, **_options):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(create, "create_group", verb)
    run = vmsnap("snapshot", "create", "vmsnap-test-web", "--json", status=status)
    assert (run.code, run.changed, run.document["command"]) == (code, False, "snapshot create")


@pytest.mark.parametrize("changed", [True, False])
def test_a_signal_tells_what_the_journal_made_of_it(changed, vmsnap, host, monkeypatch):
    def verb(*_words, **_options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            error.vmsnap_changed = changed
            raise

    monkeypatch.setattr(create, "create_group", verb)
    run = vmsnap("snapshot", "create", "vmsnap-test-web", "--json", status=143)
    assert run.changed is changed


def test_a_signal_that_left_something_of_a_delete_says_how_to_go_on(vmsnap, host, monkeypatch):
    def verb(*_words, **_options):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException as error:
            error.vmsnap_changed = error.vmsnap_partial = True
            raise

    monkeypatch.setattr(create, "create_group", verb)
    run = vmsnap("snapshot", "create", "vmsnap-test-web", status=130)
    assert "interrupted; what was begun is not finished\nhint: run the command again" in run.err


@pytest.mark.parametrize("is_left", [True, False])
def test_a_signal_after_an_operation_was_done_or_in_an_earlier_ones_settlement_tells_of_a_change(
    is_left, vmsnap, host, monkeypatch
):
    """`changed` is never null: only a signal within an operation knows better by itself."""

    def verb(ports, _domain, _request):
        domain_id = ports.hypervisor.domains()[0].id
        ports.journals.start(domain_id, {"format": 1})
        if not is_left:
            ports.journals.remove(domain_id)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(create, "create_group", verb)
    run = vmsnap("snapshot", "create", "vmsnap-test-web", "--json", status=143)
    assert run.changed is True


def test_a_second_signal_does_not_break_into_the_settlement(vmsnap, host, monkeypatch):
    settled = []

    def verb(*_words, **_options):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            settled.append(True)
            raise

    monkeypatch.setattr(create, "create_group", verb)
    vmsnap("snapshot", "create", "vmsnap-test-web", status=130)
    assert settled == [True]


def test_a_signal_in_the_middle_of_a_real_create_takes_it_back(vmsnap, host):
    host.on("switch_disks", lambda: os.kill(os.getpid(), signal.SIGTERM), when="after")
    run = vmsnap("snapshot", "create", "vmsnap-test-web", "--json", status=143)
    assert run.changed is False
    assert vmsnap("group", "list", "--json").data == {"groups": []}


def test_signals_that_the_caller_ignores_stay_ignored(vmsnap, host):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    host.on("domains", lambda: os.kill(os.getpid(), signal.SIGHUP))
    vmsnap("vm", "list")


def test_the_version_needs_no_engine():
    code = (
        "import sys; from vmsnap.cli.main import main; main(['--version']);"
        "heavy = ('vmsnap.engine', 'vmsnap.model', 'sqlalchemy', 'libvirt', 'lxml', 'rich');"
        "sys.exit(' '.join(name for name in heavy if name in sys.modules) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_version_is_that_of_the_package(vmsnap):
    version = metadata.version("vmsnap")
    assert vmsnap("--version").out == f"vmsnap {version}\n"
    assert vmsnap("vm", "list", "--json", "--version").data == {"version": version}


def test_a_reader_that_goes_away_ends_the_output_quietly(process):
    for words in (("--help",), ("db", "status", "--json"), ("db", "status", "-q")):
        read, write = os.pipe()
        os.close(read)
        done = process(*words, stdout=write)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, b""), words


@pytest.mark.parametrize("words", [("db", "status"), ("db", "status", "--json"), ("--help",)])
def test_a_full_disk_under_stdout_is_said_and_is_no_bug(words, process):
    with Path("/dev/full").open("wb") as full:
        done = process(*words, stdout=full)
    assert done.returncode == 10
    assert done.stderr == b"error: the result cannot be written: No space left on device\n"


@pytest.fixture
def full_disk(monkeypatch):
    """Make the disk under stdout full, for the length of a `with` block."""

    @contextmanager
    def make():
        with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", full)
            yield

    return make


def groups(vmsnap):
    return [group["name"] for group in vmsnap("group", "list", "--json").data["groups"]]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_was_changed_ends_with_3_where_the_result_cannot_be_written(
    words, vmsnap, host, full_disk
):
    """A script that takes 10 for 'nothing was changed' would do it once more."""
    for verb, left in ((("snapshot", "create"), ["x"]), (("group", "delete"), [])):
        with full_disk():
            options = ("--name", "x") if left else ("x", "--yes")
            run = vmsnap(*words, *verb, "vmsnap-test-web", *options, status=3)
        assert run.err.splitlines()[-1] == (
            "error: the result cannot be written: No space left on device;"
            " the operation itself is done"
        )
        assert groups(vmsnap) == left


def test_what_changed_nothing_ends_with_10_where_the_result_cannot_be_written(
    vmsnap, host, full_disk
):
    with full_disk():
        run = vmsnap("snapshot", "create", "vmsnap-test-web", "--dry-run", status=10)
    assert run.err == "error: the result cannot be written: No space left on device\n"


def test_what_failed_is_told_where_the_document_cannot_be_written(vmsnap, host, full_disk):
    with full_disk():
        run = vmsnap("vm", "show", "nothing", "--json", status=11)
    assert run.err.startswith("error: no domain 'nothing' on this host\n")


def test_a_closed_stdout_is_no_reason_to_fail(process):
    assert process("db", "status", preexec_fn=lambda: os.close(1)).returncode == 0


def test_help_names_the_log_file_and_every_global_option(vmsnap):
    out = vmsnap("--help").out
    assert "/.local/state/vmsnap/log/vmsnap.log" in out
    for option in ("--connect", "--database", "--config", "--json", "--quiet", "--wait"):
        assert option in out


def test_help_works_with_settings_that_cannot_be_used(vmsnap, monkeypatch):
    monkeypatch.setenv("VMSNAP_CONFIG", "/nowhere/config.toml")
    assert "/var/log/vmsnap/vmsnap.log" in vmsnap("--help").out


@pytest.mark.parametrize("words", [(), ("vm",), ("group",), ("db",)])
def test_a_missing_verb_prints_help(words, vmsnap):
    run = vmsnap(*words, status=2)
    assert run.out.startswith("Usage: vmsnap")
    assert run.err == ""


def test_a_missing_verb_is_a_usage_error_in_json(vmsnap):
    run = vmsnap("group", "--json", status=2)
    assert (run.code, run.document["command"]) == ("usage", "group")


def test_files_that_vmsnap_makes_are_nobody_elses(vmsnap, host, log_file):
    vmsnap("backup", "create", "vmsnap-test-web")
    assert log_file.stat().st_mode & 0o777 == 0o600
    assert log_file.parent.stat().st_mode & 0o777 == 0o700
