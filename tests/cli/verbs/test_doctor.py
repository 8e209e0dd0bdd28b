"""The verb doctor on the command line: its table, its JSON, its questions and its statuses."""

import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vmsnap.model import HostId, Operation, OperationId
from vmsnap.store.opening import open_catalog

NAME = "vmsnap-test-web"
LOGS_WITHOUT_A_FILE = (
    "import logging, vmsnap.cli.session; logging.getLogger('vmsnap.engine.identity').warning('x')"
)
KEYS = {
    "code", "severity", "fix", "domain", "domain_uuid", "subject", "message", "meaning", "command",
}  # fmt: skip


@pytest.fixture
def tpm(tmp_path) -> Path:
    """The domain's TPM state, which others can read."""
    (folder,) = (tmp_path / "host" / "swtpm").glob("*/tpm2")
    folder.chmod(0o755)
    return folder


@pytest.fixture
def orphan(vmsnap, host, tmp_path) -> Path:
    """An overlay that this database does not know."""
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    path = tmp_path / "host" / "vda.vmsnap-0123456789ab.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1M"], check=True)
    path.chmod(0o600)
    return path


def test_a_healthy_host_has_status_0_with_and_without_a_database(vmsnap, host):
    assert vmsnap("doctor").err == "nothing is wrong\n"
    vmsnap("snapshot", "create", NAME)
    run = vmsnap("doctor", "--json")
    assert (run.data, run.changed) == ({"findings": []}, False)
    assert vmsnap("doctor", NAME).out == ""


def test_doctor_makes_no_database(vmsnap, host, tmp_path, tpm):
    vmsnap("doctor", "--fix")
    assert not list(tmp_path.rglob("vmsnap.db"))


def test_notes_alone_have_status_0(vmsnap, host):
    (uuid,) = host.machines
    host.start(uuid)
    host.suspend(uuid)
    out = vmsnap("doctor").out
    assert out.splitlines()[0].split() == ["SEVERITY", "DOMAIN", "WHAT", "WHERE"]
    assert "guest paused" in out


def test_a_finding_says_what_it_means_and_what_mends_it(vmsnap, host, tpm):
    run = vmsnap("doctor", status=3)
    assert run.err == ""
    lines = run.out.splitlines()
    assert lines[1].split() == ["danger", NAME, "tpm", "readable", "tpm2"]
    assert f"danger: tpm readable of domain '{NAME}'" in lines
    assert f"  tpm: '{tpm}' has the mode 0755" in lines
    assert f"  chmod -R o-rwx {tpm}" in lines
    assert lines[-1] == "  ('--fix' mends it)"
    meaning = [line for line in lines if "unlock its disks" in line or "copy or change" in line]
    assert max(map(len, meaning)) <= 80
    assert tpm.stat().st_mode & 0o777 == 0o755


def test_findings_of_a_kind_share_what_they_mean(vmsnap, host, orphan):
    other = orphan.with_name("vda.vmsnap-ba9876543210.qcow2")
    shutil.copy(orphan, other)
    out = vmsnap("doctor", status=3).out
    for path in (orphan, other):
        assert f"nothing names '{path}'" in out
        assert out.count(path.name) == 2
    assert out.count("takes space") == out.count("  vmsnap doctor --fix\n") == 1


def test_its_json_has_every_key(vmsnap, host, tpm):
    run = vmsnap("doctor", NAME, "--json", status=3)
    (found,) = run.data["findings"]
    assert set(found) == KEYS
    assert (found["code"], found["severity"], found["fix"]) == ("tpm_readable", "danger", "surely")
    assert (run.document["status"], run.code, run.changed) == ("partial", "tpm_readable", False)


def test_the_worst_comes_first(vmsnap, host, tpm, nvram):
    nvram.chmod(0o644)
    found = vmsnap("doctor", "--json", status=3).data["findings"]
    assert [item["severity"] for item in found] == ["danger", "warning"]


def test_fix_mends_what_is_sure(vmsnap, host, tpm):
    run = vmsnap("doctor", "--fix", "--json")
    assert run.changed
    (mended,) = run.data["mended"]
    assert (mended["is_mended"], mended["problem"]) == (True, None)
    assert run.data["findings"] == []
    assert tpm.stat().st_mode & 0o777 == 0o750


def test_fix_says_what_it_mended(vmsnap, host, tpm):
    assert (
        vmsnap("doctor", "--fix").out == f"mended: tpm readable: tpm: '{tpm}' has the mode 0755\n"
    )
    assert vmsnap("doctor", "--fix", "--json").changed is False


def test_a_dry_run_shows_what_fix_would_do(vmsnap, host, tpm, orphan):
    run = vmsnap("doctor", "--fix", "--dry-run", status=3)
    assert f"would mend: tpm readable: tpm: '{tpm}'" in run.out
    assert f"would ask: remove '{orphan}' for ever?" in run.out
    assert orphan.exists()
    data = vmsnap("doctor", "--fix", "--dry-run", "--json", status=3).data
    assert [item["code"] for item in data["would_mend"]] == ["tpm_readable", "orphan_overlay"]


def test_without_a_terminal_what_has_to_be_asked_is_left_and_said(vmsnap, host, orphan):
    run = vmsnap("doctor", "--fix", status=3)
    assert orphan.exists()
    assert "no terminal to ask on" in run.err
    assert run.err.endswith("hint: --yes answers all questions\n")


def test_yes_answers(vmsnap, host, orphan):
    assert vmsnap("doctor", "--fix", "--yes", "--json").data["findings"] == []
    assert not orphan.exists()


@pytest.mark.parametrize(("typed", "is_removed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks(vmsnap, host, orphan, terminal, typed, is_removed):
    with terminal("stdin", "stderr", typed=typed) as screen:
        vmsnap("doctor", "--fix", status=0 if is_removed else 3)
    assert f"remove '{orphan}' for ever? [y/N]" in screen.shown
    assert "another database may" in screen.shown.replace("\r\n  ", " ")
    assert orphan.exists() is not is_removed


def test_what_could_not_be_mended_says_why(vmsnap, host, tpm, monkeypatch):
    from vmsnap.errors import HostFileError
    from vmsnap.host.host_files import LocalHostFiles

    def fail(*_arguments):
        raise HostFileError("read-only file system")

    monkeypatch.setattr(LocalHostFiles, "take_from_others", fail)
    run = vmsnap("doctor", "--fix", status=3)
    line = f"not mended: tpm readable: tpm: '{tpm}' has the mode 0755: read-only file system\n"
    assert run.out.startswith(line)


def test_a_domain_that_is_gone_can_be_asked_after(vmsnap, host):
    vmsnap("snapshot", "create", NAME)
    (uuid,) = host.machines
    host.undefine(uuid)
    assert "domain gone" in vmsnap("doctor", NAME).out
    assert vmsnap("doctor", "nobody", "--json", status=11).code == "domain_not_found"


def test_a_database_that_cannot_be_opened_is_status_10_and_not_all_that_is_said(
    vmsnap, host, tmp_path, tpm
):
    vmsnap("snapshot", "create", NAME)
    (database,) = tmp_path.rglob("vmsnap.db")
    database.write_bytes(b"no database" * 1000)
    run = vmsnap("doctor", "--json", status=10)
    assert run.code == "database_unusable"
    assert [item["code"] for item in run.data["findings"]] == ["tpm_readable"]
    shown = vmsnap("doctor", status=10)
    assert "tpm readable" in shown.out
    assert shown.out.endswith("  ('--fix' mends it once the database can be opened)\n")
    assert shown.err.startswith("error: database ")


def test_fix_mends_nothing_while_the_database_of_what_was_interrupted_cannot_be_opened(
    vmsnap, host, tmp_path, monkeypatch
):
    from vmsnap.errors import ImageError
    from vmsnap.host.images import QemuImages

    make = QemuImages.create_overlay

    def make_and_fail(*arguments):
        make(*arguments)
        fail()

    def fail(*_arguments):
        raise ImageError("no")

    with monkeypatch.context() as patch:
        patch.setattr(QemuImages, "create_overlay", make_and_fail)
        patch.setattr(QemuImages, "remove_overlay", fail)
        vmsnap("snapshot", "create", NAME, status=30)
    (database,) = tmp_path.rglob("vmsnap.db")
    kept = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    run = vmsnap("doctor", "--fix", "--yes", "--json", status=22)
    assert (run.code, run.changed) == ("database", False)
    assert [item["code"] for item in run.data["findings"]] == ["journal_left"]
    database.write_bytes(kept)
    assert vmsnap("doctor", "--fix", "--json").data["findings"] == []


def test_a_terminal_of_80_columns_shows_the_whole_table(vmsnap, host, tpm, terminal):
    with terminal("stdout") as screen:
        vmsnap("doctor", status=3)
    assert all(title in screen.shown for title in ("SEVERITY", "DOMAIN", "WHAT", "tpm readable"))


def test_the_log_has_what_was_mended(vmsnap, host, tpm, log_file):
    vmsnap("doctor", "--fix")
    text = log_file.read_text()
    assert "start: doctor" in text
    assert "mending: tpm:" in text


@pytest.mark.parametrize(("answer", "status"), [("n", 3), ("y", 0)])
def test_what_another_host_has_pending_is_asked_about(
    vmsnap, host, tmp_path, terminal, answer, status
):
    """H61: with a warning that it is for a host that is gone for good."""
    vmsnap("snapshot", "create", NAME)
    (uuid,) = host.machines
    (path,) = tmp_path.rglob("vmsnap.db")
    pending = Operation(
        id=OperationId("dddddddd-0000-4000-8000-000000000004"),
        verb="group revert",
        host_id=HostId("99999999-2222-4333-8444-555555555555"),
        domain_id=uuid,
        domain_name=NAME,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    with closing(open_catalog(f"sqlite:///{path}", create=False)) as catalog:
        catalog.reserve(pending, (), {})
    hint = vmsnap("snapshot", "delete", NAME, "x", "--yes", "--json", status=14).document["errors"]
    assert hint[0]["hint"].endswith(f"vmsnap doctor {uuid}")
    with terminal("stdin", "stderr", typed=f"{answer}\n") as it:
        vmsnap("doctor", "--fix", NAME, status=status)
    assert "only if that host is gone for good" in " ".join(it.shown.split())
    assert "is that host gone for good, and its operation to be struck off?" in it.shown


def test_a_record_that_is_no_json_is_a_finding_and_no_line_of_logging(vmsnap, host, tmp_path):
    vmsnap("snapshot", "create", NAME)
    (record,) = (tmp_path / "host").glob(".*.vmsnap.json")
    record.write_text("garbage")
    command = [sys.executable, "-c", LOGS_WITHOUT_A_FILE]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert vmsnap("doctor", "--json", status=3).data["findings"][0]["code"] == "identity_stale"
