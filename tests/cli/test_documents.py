"""The JSON that scripts rely on: for every verb the keys, and what they hold."""

import hashlib
import re

import pytest
from fakes.hypervisor import HOST_ID

NAME = "vmsnap-test-web"
UUID = "aaaaaaaa-0000-4000-8000-000000000001"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ENVELOPE = {"vmsnap", "command", "status", "exit_code", "changed", "data", "errors", "warnings"}
GROUP = {
    "uuid", "name", "kind", "domain", "domain_uuid", "host_uuid", "created_at", "state",
    "parent_uuid", "is_current", "description", "size_bytes", "disks", "backup",
}  # fmt: skip
BACKUP = {
    "uuid", "resource_uuid", "resource_kind", "name", "domain", "domain_uuid", "host_uuid",
    "type", "capture", "size_bytes", "sha256", "captured_at",
}  # fmt: skip
CHANGE = {"domain", "is_done", "safety", "changes", "notes"}

VERBS = [
    ("vm list", {"domains"}, False),
    (f"vm show {NAME}", {"domain"}, False),
    (f"snapshot create {NAME} --dry-run", {"groups", "parts", "captures", "left_out"}, False),
    (f"snapshot create {NAME}", {"groups", "parts", "captures", "left_out", "notes"}, True),
    ("snapshot list", {"snapshots"}, False),
    ("group list", {"groups"}, False),
    ("group list --all-hosts", {"groups"}, False),
    (f"group show {NAME} monday", {"group"}, False),
    (f"group tree {NAME}", {"domain", "tree", "stands_on_nothing"}, False),
    (f"group check {NAME}", {"groups"}, False),
    (f"group diff {NAME} monday", {"diff"}, False),
    (f"group revert {NAME} monday --dry-run", CHANGE | {"target"}, False),
    (f"group revert {NAME} monday", CHANGE | {"target"}, True),
    (f"group delete {NAME} monday --yes", {"domain", "groups", "results", "is_complete"}, True),
    (f"backup create {NAME}", CHANGE | {"name", "backups"}, True),
    ("backup list", {"backups"}, False),
    (f"backup show {NAME} monday", {"backups"}, False),
    ("backup verify", {"backups"}, False),
    (f"backup restore {NAME} monday", CHANGE | {"name", "backups"}, True),
    ("history", {"history", "is_cut"}, False),
    ("recover", {"operations"}, False),
    ("db status", {"database"}, False),
    ("db upgrade", {"database", "former_revision", "copy"}, False),
]


@pytest.fixture
def group(vmsnap, host):
    run = vmsnap("snapshot", "create", NAME, "--name", "monday", "--json")
    return run.data["groups"][0]


@pytest.mark.parametrize(("typed", "keys", "changed"), VERBS)
def test_every_verb_answers_with_one_envelope(typed, keys, changed, vmsnap, group):
    run = vmsnap(*typed.split(), "--json")
    document = run.document
    assert set(document) == ENVELOPE
    assert document["vmsnap"] == 1
    assert typed.startswith(document["command"])
    assert (document["status"], document["exit_code"]) == ("ok", 0)
    assert (document["changed"], document["errors"]) == (changed, [])
    assert document["warnings"] == []
    assert keys <= set(document["data"])
    assert run.err == ""


def test_undo_answers_with_one_envelope(vmsnap, group):
    vmsnap("group", "revert", NAME, "monday")
    document = vmsnap("undo", NAME, "--json").document
    assert CHANGE | {"target"} <= set(document["data"])
    assert (document["command"], document["changed"]) == ("undo", True)


def test_a_group_has_the_keys_that_were_promised(vmsnap, group):
    assert set(group) >= GROUP
    listed = vmsnap("group", "list", "--json").data["groups"]
    assert listed == [group]
    assert (group["name"], group["kind"], group["state"]) == ("monday", "manual", "ready")
    assert (group["domain"], group["domain_uuid"], group["host_uuid"]) == (NAME, UUID, HOST_ID)
    assert TIME.fullmatch(group["created_at"])
    assert (group["parent_uuid"], group["is_current"]) == (None, True)
    assert group["backup"] == {"nvram": "captured", "tpm": "captured"}
    assert [disk["target"] for disk in group["disks"]] == ["vda", "vdb"]
    for disk in group["disks"]:
        assert set(disk) >= {"target", "frozen_path", "active_path", "format"}
    assert isinstance(group["size_bytes"], int)


def test_a_backup_row_has_the_keys_that_were_promised(vmsnap, group, nvram):
    rows = vmsnap("backup", "list", "--json").data["backups"]
    assert [row["type"] for row in rows] == ["nvram", "tpm"]
    row = rows[0]
    assert set(row) >= BACKUP
    assert (row["resource_uuid"], row["resource_kind"]) == (group["uuid"], "group")
    assert row["size_bytes"] == nvram.stat().st_size
    assert row["sha256"] == hashlib.sha256(nvram.read_bytes()).hexdigest()
    assert TIME.fullmatch(row["captured_at"])


def test_what_was_left_out_has_no_size_and_no_digest(vmsnap, host):
    vmsnap("backup", "create", NAME, "--name", "weekly", "--without", "tpm")
    row = vmsnap("backup", "show", NAME, "weekly", "--json").data["backups"][1]
    assert (row["capture"], row["size_bytes"], row["sha256"]) == ("skipped", None, None)


def test_a_domain_has_the_keys_that_were_promised(vmsnap, host):
    found = vmsnap("vm", "list", "--json").data["domains"][0]
    assert set(found) >= {"name", "uuid", "state", "firmware", "nvram", "tpm", "disks"}
    assert (found["name"], found["uuid"], found["state"]) == (NAME, UUID, "shut off")
    assert (found["firmware"], found["tpm"]["version"]) == ("uefi", "2.0")
    assert [disk["target"] for disk in found["disks"]] == ["vda", "vdb", "sda"]
    assert found["disks"][0]["chain"] is None
    assert len(vmsnap("vm", "show", NAME, "--json").data["domain"]["disks"][0]["chain"]) == 1


def test_the_tree_holds_groups_in_groups(vmsnap, group):
    vmsnap("snapshot", "create", NAME, "--name", "tuesday")
    root = vmsnap("group", "tree", NAME, "--json").data["tree"][0]
    assert (root["name"], root["children"][0]["name"]) == ("monday", "tuesday")


def test_a_deleted_groups_disks_are_told_one_by_one(vmsnap, group):
    results = vmsnap("group", "delete", NAME, "monday", "--yes", "--json").data["results"]
    assert results == [
        {"group": "monday", "target": target, "merged": True, "code": None, "message": None}
        for target in ("vda", "vdb")
    ]


def test_no_secret_is_ever_printed(vmsnap, group):
    """Rule 12: neither definition nor host files appear in JSON, text or log."""
    for typed, _, _ in VERBS:
        for words in (typed.split(), [*typed.split(), "--json", "-v"]):
            run = vmsnap(*words, status=None)
            assert "hush" not in run.out + run.err
            assert "boot order" not in run.out + run.err
