"""The verbs of snapshots."""

import pytest

NAME = "vmsnap-test-web"


def test_create_says_what_was_taken(vmsnap, host):
    run = vmsnap("snapshot", "create", NAME, "--name", "monday")
    assert run.out.splitlines()[:4] == [
        f"created group 'monday' of domain '{NAME}'",
        "  disks: vda, vdb",
        "  NVRAM: captured",
        "  TPM: captured",
    ]


def test_quiet_creates_in_silence(vmsnap, host):
    run = vmsnap("snapshot", "create", NAME, "-q")
    assert (run.out, run.err) == ("", "")


def test_verbose_tells_the_steps_on_stderr(vmsnap, host):
    run = vmsnap("snapshot", "create", NAME, "--name", "monday", "-v", "--json")
    assert "creating group 'monday'" in run.err
    assert run.changed is True


def test_a_dry_run_makes_no_database_and_no_log(vmsnap, host, tmp_path, log_file):
    run = vmsnap("snapshot", "create", NAME, "--dry-run", "--json")
    assert (run.changed, run.data["groups"]) == (False, [])
    assert not log_file.exists()
    assert not list(tmp_path.rglob("vmsnap.db"))


def test_disks_and_host_files_can_be_left_out(vmsnap, host):
    words = ("--exclude", "vdb", "--without", "tpm", "--without", "nvram")
    group = vmsnap("snapshot", "create", NAME, *words, "--json").data["groups"][0]
    assert [disk["target"] for disk in group["disks"]] == ["vda"]
    assert group["backup"] == {"nvram": "skipped", "tpm": "skipped"}


@pytest.mark.parametrize("name", ["a/b", "a\nb", "-x", ".x", "", "x" * 300])
def test_a_bad_name_is_refused_and_nothing_is_changed(name, vmsnap, host):
    """H51: names with slashes, control characters and 300 letters."""
    run = vmsnap("snapshot", "create", NAME, f"--name={name}", "--json", status=2)
    assert (run.code, run.changed) == ("invalid_name", False)
    assert vmsnap("group", "list", "--json").data == {"groups": []}


def test_a_taken_name_is_refused(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "网络")
    assert (
        vmsnap("snapshot", "create", NAME, "--name", "网络", "--json", status=13).changed is False
    )


def test_snapshots_are_listed_disk_by_disk(vmsnap, host):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    rows = vmsnap("snapshot", "list", NAME, "--json").data["snapshots"]
    assert [row["name"] for row in rows] == ["monday/vda", "monday/vdb"]
    assert "monday/vdb" in vmsnap("snapshot", "list").out


def test_without_snapshots_it_says_what_to_do_next(vmsnap, host):
    run = vmsnap("snapshot", "list")
    assert (run.out, run.err) == (
        "",
        "no snapshots yet\nhint: vmsnap snapshot create DOMAIN\n",
    )
