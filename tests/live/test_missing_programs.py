"""A qemu-img that is not installed, or that the kernel kills."""

import shutil

import pytest
from livebed.refusing import refused

pytestmark = pytest.mark.live


def test_a_missing_qemu_img_is_named(machine, vmsnap, tmp_path, monkeypatch):
    """H5: nothing was changed, and readers that need none go on."""
    web = machine(disk_mib=4, firmware="bios", tpm=None)
    vmsnap("snapshot", "create", web.name, "--name", "monday")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        ended = vmsnap("snapshot", "create", web.name, status=14)
        assert vmsnap("group", "list", web.name).data["groups"]
    (error,) = ended.document["errors"]
    assert "the program 'qemu-img' is not installed" in error["message"]
    assert ended.document["changed"] is False
    assert len(vmsnap("group", "list", web.name).data["groups"]) == 1


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
