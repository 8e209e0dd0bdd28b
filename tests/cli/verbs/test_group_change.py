"""The changing verbs of groups: what their options ask of the engine, and how they end."""

from dataclasses import replace

import pytest

from vmsnap.cli.options import bytes_per_second, rate
from vmsnap.engine import delete, revert
from vmsnap.engine.requests import Power, RevertRequest
from vmsnap.engine.results import DeleteResult, MergeResult
from vmsnap.errors import NotAvailableError
from vmsnap.model import HostFileType, LeftOutDisk

NAME = "vmsnap-test-web"


@pytest.fixture
def group(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")


def test_revert_brings_the_host_files_back_and_undo_takes_it_back(vmsnap, group, nvram):
    nvram.write_bytes(b"friday" * 100)
    run = vmsnap("group", "revert", NAME, "monday")
    assert run.out.startswith(f"reverted domain '{NAME}' to group 'monday'\n")
    assert "kept the state before it as group 'safety-" in run.out
    assert run.err == f"hint: vmsnap undo {NAME}\n"
    assert nvram.read_bytes() == b"boot order" * 100
    assert vmsnap("undo", NAME).out.startswith(f"brought back domain '{NAME}'")
    assert nvram.read_bytes() == b"friday" * 100


def test_a_disk_that_could_not_be_kept_is_named_and_no_undo_is_advised(vmsnap, group, monkeypatch):
    real = revert.revert_group

    def lacking(*args):
        lost = LeftOutDisk("vda", "image '/v/a' does not exist")
        return replace(real(*args), not_kept=(lost,), can_undo=False)

    monkeypatch.setattr(revert, "revert_group", lacking)
    run = vmsnap("group", "revert", NAME, "monday")
    assert "  disk vda could not be kept: image '/v/a' does not exist\n" in run.out
    assert "kept the rest of the state before it as group 'safety-" in run.out
    assert run.err == ""
    told = vmsnap("group", "revert", NAME, "monday", "--dry-run")
    assert "disk vda cannot be kept" in told.out
    data = vmsnap("group", "revert", NAME, "monday", "--json").data
    assert data["not_kept"] == [{"target": "vda", "reason": "image '/v/a' does not exist"}]


def test_every_option_of_revert_reaches_the_engine(vmsnap, host, monkeypatch):
    asked = []

    def refuse(_ports, _domain, _group, request):
        asked.append(request)
        raise NotAvailableError("no")

    monkeypatch.setattr(revert, "revert_group", refuse)
    words = (
        "--no-safety --keep-definition --allow-disk-changes --drop-managed-save"
        " --leave tpm --leave nvram --shutdown --shutdown-timeout 7 --start --yes"
    )
    vmsnap("group", "revert", NAME, "monday", *words.split(), status=15)
    vmsnap("group", "revert", NAME, "monday", "--dry-run", status=15)
    assert asked == [
        RevertRequest(
            with_safety=False,
            keep_definition=True,
            allow_disk_changes=True,
            drop_managed_save=True,
            leave=frozenset(HostFileType),
            power=Power(shut_down=True, timeout_seconds=7, start=True),
        ),
        RevertRequest(dry_run=True),
    ]


def test_a_delete_that_is_not_complete_is_partial_and_tells_how_to_go_on(vmsnap, host, monkeypatch):
    merges = (
        MergeResult("monday", "vda", merged=True),
        MergeResult("monday", "vdb", merged=False, code="image", message="no space left"),
    )
    result = DeleteResult(NAME, ("monday",), merges, (), is_done=True)
    monkeypatch.setattr(delete, "delete_groups", lambda *_words, **_options: result)
    run = vmsnap("group", "delete", NAME, "monday", "--yes", status=3)
    assert "monday/vdb: not merged: no space left" in run.out
    assert run.err == (
        "error: 'monday/vdb' is not merged yet: no space left\n"
        f"hint: vmsnap group delete {NAME} monday --yes\n"
    )
    run = vmsnap("group", "delete", NAME, "monday", "--yes", "--json", status=3)
    assert (run.document["status"], run.changed, run.code) == ("partial", True, "image")
    assert [row["merged"] for row in run.data["results"]] == [True, False]


def test_several_groups_are_deleted_at_once(vmsnap, group):
    vmsnap("snapshot", "create", NAME, "--name", "tuesday")
    run = vmsnap("group", "delete", NAME, "monday", "tuesday", "--yes")
    assert run.out.startswith("deleted groups 'monday', 'tuesday' of domain")
    assert vmsnap("group", "list", "--json").data == {"groups": []}


def test_a_dry_run_of_delete_shows_the_merges_and_no_failures(vmsnap, group):
    run = vmsnap("group", "delete", NAME, "monday", "--dry-run")
    assert run.out.startswith(f"would delete group 'monday' of domain '{NAME}'\n")
    assert "not merged" not in run.out


@pytest.mark.parametrize(
    ("typed", "bytes_"),
    [("50", 50 << 20), ("1.5", 3 << 19), ("50M", 50 << 20), ("800k", 800 << 10), ("2G", 2 << 30)],
)
def test_a_bandwidth_is_mebibytes_unless_it_says_otherwise(
    vmsnap, host, monkeypatch, typed, bytes_
):
    asked = []
    done = DeleteResult(NAME, ("monday",), (), (), is_done=True)

    def delete_groups(_ports, _domain, _groups, request):
        asked.append(request.bandwidth)
        return done

    monkeypatch.setattr(delete, "delete_groups", delete_groups)
    vmsnap("group", "delete", NAME, "monday", "--yes", "--bandwidth", typed)
    vmsnap("snapshot", "delete", NAME, "monday/vda", "--yes", "--bandwidth", typed)
    vmsnap("group", "delete", NAME, "monday", "--yes")
    assert asked == [bytes_, bytes_, 0]


@pytest.mark.parametrize("typed", ["", "fast", "0", "-1", "5T", "1e3", "0.0001", "1 M"])
def test_what_is_no_bandwidth_is_refused_before_anything_is_looked_at(vmsnap, host, typed):
    run = vmsnap("group", "delete", NAME, "monday", "--yes", f"--bandwidth={typed}", status=2)
    assert "is no bandwidth" in run.err


def test_what_waits_until_the_domain_is_off_says_how_to_get_there(vmsnap, host, monkeypatch):
    waits = "layer '/i/a' waits: it is on a branch"
    merge = MergeResult("monday", "vda", merged=False, code="domain_running", message=waits)
    result = DeleteResult(NAME, ("monday",), (merge,), (), is_done=True)
    monkeypatch.setattr(delete, "delete_groups", lambda *_words, **_options: result)
    run = vmsnap("group", "delete", NAME, "monday", "--yes", status=3)
    assert run.err == (
        f"error: 'monday/vda' is not merged yet: {waits}\nhint: virsh shutdown {NAME}\n"
    )


def test_the_hint_of_a_question_keeps_every_option_that_was_given(vmsnap, group):
    words = (
        "--no-safety --keep-definition --allow-disk-changes --drop-managed-save --shutdown --start"
        " --leave nvram --leave tpm --shutdown-timeout 7"
    )
    run = vmsnap("group", "revert", NAME, "monday", *words.split(), status=2)
    assert run.err.endswith(f"hint: vmsnap group revert {NAME} monday {words} --yes\n")
    words = "--children --bandwidth 1536K"
    run = vmsnap("group", "delete", NAME, "monday", *words.split(), status=2)
    assert run.err.endswith(f"hint: vmsnap group delete {NAME} monday {words} --yes\n")


@pytest.mark.parametrize("typed", ["50", "1.5", "0.1", "800k", "1.0001K", "2G", "0.3333G", "7.77"])
def test_a_bandwidth_in_a_hint_is_the_one_that_was_typed(typed):
    assert bytes_per_second(rate(bytes_per_second(typed))) == bytes_per_second(typed)
