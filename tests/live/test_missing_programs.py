"""A qemu-img that is not installed, or that the kernel kills."""

import shutil

import pytest
from livebed.refusing import refused

pytestmark = pytest.mark.live


NEEDING_IT = (
    ("vm", "show", "NAME"),
    ("snapshot", "create", "NAME"),
    ("snapshot", "create", "NAME", "--dry-run"),
    ("group", "check", "NAME"),
    ("group", "revert", "NAME", "monday"),
    ("group", "delete", "NAME", "monday", "--yes"),
)
SENTENCE = "the program 'qemu-img' is not installed"
HINT = "apt install qemu-utils"


def test_a_missing_qemu_img_is_named(machine, vmsnap, tmp_path, monkeypatch):
    """H5: by every verb that cannot do without; nothing is changed, and the others go on."""
    web = machine(disk_mib=4, firmware="bios", tpm=None)
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    disks = web.disks
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        for words in NEEDING_IT:
            named = [web.name if word == "NAME" else word for word in words]
            ended = vmsnap(*named, status=10)
            (error,) = ended.document["errors"]
            said = (error["code"], error["message"], error["hint"])
            assert said == ("program_missing", SENTENCE, HINT), words
            assert ended.document["changed"] is False, words
        found = vmsnap("doctor", status=3).data["findings"]
        assert SENTENCE in " ".join(item["message"] for item in found)
        assert vmsnap("group", "list", web.name).data["groups"]
        assert vmsnap("vm", "list").data["domains"]
    assert len(vmsnap("group", "list", web.name).data["groups"]) == 1
    assert web.disks == disks
    vmsnap("group", "check", web.name)


def test_a_qemu_img_that_is_killed_takes_the_create_back(machine, vmsnap, tmp_path, monkeypatch):
    """H23, H31: as the kernel does for want of memory."""
    web = machine(disk_mib=4, firmware="bios", tpm=None)
    program = tmp_path / "qemu-img"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = create ] && kill -9 $$\nexec {shutil.which("qemu-img")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin:/usr/sbin:/sbin")
    sentence = refused(vmsnap, "snapshot", "create", web.name, status=24)
    assert "ended by signal 9" in sentence
    assert web.disks == web.originals
    assert list(web.folder.glob("*.vmsnap-*")) == []
