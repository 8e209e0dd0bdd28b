"""The verb backup clone: its answer for one target, for several, and for such that fail."""

import re

import pytest

SOURCE = "vmsnap-test-web"
TARGET = "vmsnap-test-copy"
THIRD = "vmsnap-test-third"
UUIDS = {
    TARGET: "bbbbbbbb-0000-4000-8000-000000000002",
    THIRD: "cccccccc-0000-4000-8000-000000000003",
}


@pytest.fixture
def copies(host, tmp_path):
    """Two more domains like the source, with host files of their own, by name."""
    (machine,) = host.machines.values()
    (uuid,) = host.machines
    stores = {}
    for name, other in UUIDS.items():
        xml = re.sub("<disk .*?</disk>", "", machine.xml, flags=re.DOTALL)
        xml = xml.replace(uuid, other).replace(SOURCE, name)
        host.add(xml.replace("nvram.fd", f"{name}.fd"))
        stores[name] = tmp_path / "host" / f"{name}.fd"
        stores[name].write_bytes(b"own order!" * 100)
        tpm = tmp_path / "host" / "swtpm" / other / "tpm2"
        tpm.mkdir(parents=True)
        (tpm / "tpm2-00.permall").write_bytes(b"own")
    return stores


def test_one_target_is_answered_with_what_was_kept_and_the_way_back(vmsnap, copies, nvram):
    run = vmsnap("backup", "clone", SOURCE, TARGET)
    assert run.out.startswith(f"cloned domain '{SOURCE}' to domain '{TARGET}'\n")
    assert "kept the state before it as safety 'safety-" in run.out
    assert run.err == f"hint: vmsnap undo {TARGET}\n"
    assert copies[TARGET].read_bytes() == nvram.read_bytes()
    vmsnap("undo", TARGET)
    assert copies[TARGET].read_bytes() == b"own order!" * 100


def test_a_second_run_changes_nothing(vmsnap, copies):
    assert vmsnap("backup", "clone", SOURCE, TARGET, "--json").changed is True
    run = vmsnap("backup", "clone", SOURCE, TARGET, "--json")
    assert (run.changed, run.data["results"][0]["is_done"]) == (False, True)


def test_keeping_the_tpm_is_warned_of(vmsnap, copies):
    """H46."""
    run = vmsnap("backup", "clone", SOURCE, TARGET, "--tpm", "keep", "--json")
    assert "one TPM identity" in run.err
    assert "one TPM identity" in run.data["notes"][0]


def test_what_fails_on_one_target_alone_is_its_own_status(vmsnap, copies, host):
    host.start(UUIDS[TARGET])
    run = vmsnap("backup", "clone", SOURCE, TARGET, "--json", status=14)
    assert (run.code, run.changed) == ("domain_running", False)


def test_of_several_targets_some_may_fail(vmsnap, copies, host, nvram):
    host.start(UUIDS[TARGET])
    run = vmsnap("backup", "clone", SOURCE, TARGET, THIRD, "--json", status=3)
    assert (run.document["status"], run.changed, run.code) == ("partial", True, "domain_running")
    assert [row["error"] for row in run.data["results"]] == ["domain_running", None]
    assert copies[THIRD].read_bytes() == nvram.read_bytes()


def test_if_all_fail_the_highest_status_counts(vmsnap, copies, host):
    host.start(UUIDS[TARGET])
    run = vmsnap("backup", "clone", SOURCE, TARGET, "nobody", status=14)
    assert "error: no domain 'nobody' on this host" in run.err


def test_a_backup_can_be_cloned(vmsnap, copies, nvram):
    vmsnap("backup", "create", SOURCE, "--name", "weekly")
    nvram.write_bytes(b"friday" * 100)
    run = vmsnap("backup", "clone", SOURCE, TARGET, "--from", "weekly", "--dry-run", status=0)
    assert run.out.startswith(f"would clone backup 'weekly' of domain '{SOURCE}' to domain")
    assert copies[TARGET].read_bytes() == b"own order!" * 100
    run = vmsnap("backup", "clone", SOURCE, TARGET, "--from", "weekly")
    assert copies[TARGET].read_bytes() == b"boot order" * 100


def test_no_undo_is_hinted_at_where_it_could_take_nothing_back(vmsnap, copies, tmp_path):
    """H18: the target was never started."""
    copies[TARGET].unlink()
    (tmp_path / "host" / "swtpm" / UUIDS[TARGET] / "tpm2" / "tpm2-00.permall").unlink()
    run = vmsnap("backup", "clone", SOURCE, TARGET)
    assert "note: nvram: there was none yet; 'vmsnap undo' cannot take it away" in run.out
    assert "hint:" not in run.err
