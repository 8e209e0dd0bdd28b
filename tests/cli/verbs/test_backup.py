"""The verbs of backups."""

import pytest

from vmsnap.engine import backup

NAME = "vmsnap-test-web"


@pytest.fixture
def weekly(vmsnap, host):
    vmsnap("backup", "create", NAME, "--name", "weekly", "--description", "before it")


def test_a_taken_name_is_refused_unless_it_is_to_be_replaced(vmsnap, weekly):
    assert (
        vmsnap("backup", "create", NAME, "--name", "weekly", "--json", status=13).changed is False
    )
    words = ("backup", "create", NAME, "--name", "weekly", "--replace", "--json")
    assert vmsnap(*words).changed is True


def test_restore_brings_back_what_was_asked_for(vmsnap, weekly, nvram):
    nvram.write_bytes(b"friday" * 100)
    vmsnap("backup", "restore", NAME, "weekly", "--only", "tpm")
    assert nvram.read_bytes() == b"friday" * 100
    run = vmsnap("backup", "restore", NAME, "weekly", "--only", "nvram")
    assert nvram.read_bytes() == b"boot order" * 100
    assert run.out.startswith(f"restored backup 'weekly' of domain '{NAME}'\n")
    assert run.err == f"hint: vmsnap undo {NAME}\n"


def test_show_and_list_tell_what_was_captured(vmsnap, weekly):
    assert "description:  before it" in vmsnap("backup", "show", NAME, "weekly").out
    assert [line.split()[1:5] for line in vmsnap("backup", "list").out.splitlines()[1:]] == [
        ["weekly", "standalone", "nvram", "captured"],
        ["weekly", "standalone", "tpm", "captured"],
    ]


def test_without_backups_it_says_what_to_do_next(vmsnap, host):
    run = vmsnap("backup", "list", NAME)
    assert run.err == f"no backups yet\nhint: vmsnap backup create {NAME}\n"
    assert vmsnap("backup", "verify").err == "no backups yet\n"


def test_verify_says_whole_or_what_is_wrong(vmsnap, weekly, monkeypatch):
    assert vmsnap("backup", "verify").out.splitlines()[1].split() == [
        NAME,
        "weekly",
        "nvram",
        "whole",
    ]
    from dataclasses import replace

    real = backup.verify_backups

    def damaged(*words):
        first, *others = real(*words)
        return (replace(first, problem="content is damaged"), *others)

    monkeypatch.setattr(backup, "verify_backups", damaged)
    run = vmsnap("backup", "verify", NAME, "weekly", "--json", status=23)
    assert (run.code, run.changed) == ("content", False)
    assert [row["is_whole"] for row in run.data["backups"]] == [False, True]
    assert run.document["errors"][0]["message"] == (
        f"nvram of backup 'weekly' of domain '{NAME}': content is damaged"
    )
    run = vmsnap("backup", "verify", status=23)
    assert run.out.count("content is damaged") == 1
    assert run.err == "", "each problem is told once"


def test_several_domains_are_kept_side_by_side(vmsnap, host):
    run = vmsnap("backup", "create", NAME, "nobody", "--json", status=3)
    assert [(found["domain"], found["error"]) for found in run.data["results"]] == [
        (NAME, None),
        ("nobody", "domain_not_found"),
    ]
    assert vmsnap("backup", "create", "--all", "--name", "all", "--json").data["backups"]
