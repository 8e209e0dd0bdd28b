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


def test_a_list_of_all_hosts_has_a_column_for_them(vmsnap, host):
    """H61."""
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    assert "HOST" not in vmsnap("snapshot", "list").out
    for words in (("snapshot", "list"), ("group", "list"), ("backup", "list"), ("history",)):
        title, *rows = vmsnap(*words, "--all-hosts").out.splitlines()
        assert title.endswith("HOST")
        assert rows[0].endswith(f"{host.host} (this host)")


def test_without_snapshots_it_says_what_to_do_next(vmsnap, host):
    run = vmsnap("snapshot", "list")
    assert (run.out, run.err) == (
        "",
        "no snapshots yet\nhint: vmsnap snapshot create DOMAIN\n",
    )


# --- several domains --------------------------------------------------------------------------


def test_several_domains_are_taken_and_the_others_stay_when_one_fails(vmsnap, host):
    run = vmsnap("snapshot", "create", NAME, "nobody", "--json", status=3)
    assert [(found["domain"], found["error"]) for found in run.data["results"]] == [
        (NAME, None),
        ("nobody", "domain_not_found"),
    ]
    assert len(run.data["groups"]) == 1
    assert run.changed is True
    assert "error: no domain 'nobody'" in vmsnap("snapshot", "create", "nobody", NAME, status=3).err


def test_all_domains_of_the_host_are_taken(vmsnap, host):
    assert f"of domain '{NAME}'" in vmsnap("snapshot", "create", "--all").out


def test_all_over_none_is_no_failure(vmsnap, host):
    host.machines.clear()
    run = vmsnap("snapshot", "create", "--all", "--json")
    assert (run.data["groups"], run.data["results"], run.changed) == ([], [], False)


@pytest.mark.parametrize("words", [(), (NAME, "--all")])
def test_names_or_all_and_not_both(vmsnap, host, words):
    assert "--all" in vmsnap("snapshot", "create", *words, status=2).err


def test_a_single_domain_answers_as_it_always_did(vmsnap, host):
    data = vmsnap("snapshot", "create", NAME, "--name", "monday", "--json").data
    assert (data["domain"], data["name"], data["groups"][0]["name"]) == (NAME, "monday", "monday")
    assert data["groups"][0]["instant"]["proof"] == "offline"


def test_a_create_after_the_database_was_lost_warns_even_if_it_is_to_be_quiet(
    vmsnap, host, tmp_path
):
    vmsnap("snapshot", "create", NAME, "--name", "monday")
    (database,) = tmp_path.rglob("vmsnap.db")
    database.unlink()
    run = vmsnap("-q", "snapshot", "create", NAME, "--dry-run")
    assert run.err.startswith(f"warning: domain '{NAME}' stands on overlays that vmsnap made")
    run = vmsnap("-q", "--json", "snapshot", "create", NAME, "--name", "tuesday")
    (warning,) = run.document["warnings"]
    assert f"'vmsnap db rebuild {NAME}'" in warning
    assert vmsnap("-q", "snapshot", "create", NAME).err == ""
