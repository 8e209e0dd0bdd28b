"""What virsh lists, with a program in its place that hangs, fails or looks around.

The real virsh is asked in live/test_completion.py.
"""

import time
from pathlib import Path

import pytest

from vmsnap.host.listed_names import disk_targets, domain_names, domain_uuids

URI = "qemu:///system"
AT_ONCE_SECONDS = 5.0


@pytest.fixture
def virsh(tmp_path, monkeypatch):
    """Put a shell script in the place of virsh."""
    path = tmp_path / "bin" / "virsh"
    path.parent.mkdir()

    def write(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return write


def test_names_are_lines_whatever_they_hold(virsh):
    virsh("printf '%s\\n' 'web 1' 'grün' '-dash' 'line\u2028separator' ''")
    assert domain_names(URI) == ["web 1", "grün", "-dash", "line\u2028separator"]


def test_virsh_is_asked_read_only_and_quietly(virsh, tmp_path):
    virsh(f'printf "%s|" "$@" > {tmp_path}/words')
    assert domain_names(URI) == []
    words = (tmp_path / "words").read_text()
    assert words == f"--readonly|--quiet|--connect|{URI}|list|--all|--name|"


def test_a_domain_s_name_is_no_option_of_virsh(virsh, tmp_path):
    virsh(f'printf "%s|" "$@" > {tmp_path}/words')
    domain_uuids(URI, "--all")
    assert (tmp_path / "words").read_text().endswith("|domuuid|--domain|--all|")


def test_only_disks_are_targets(virsh):
    virsh(
        "cat <<'END'\n"
        " file   disk     vda   /images/a b.qcow2\n"
        " file   cdrom    sda   -\n"
        " file   floppy   fda   -\n"
        "END"
    )
    assert disk_targets(URI, "web1") == ["vda"]


def test_a_libvirt_that_hangs_is_not_waited_for_and_virsh_is_ended(virsh, tmp_path):
    virsh(f"echo $$ > {tmp_path}/process; echo half; exec sleep 60")
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        domain_names(URI)
    assert time.monotonic() - begin < AT_ONCE_SECONDS
    process = (tmp_path / "process").read_text().strip()
    assert not Path("/proc", process).exists()


def test_a_virsh_that_fails_is_not_taken_for_a_host_without_domains(virsh):
    virsh("echo half; exit 1")
    with pytest.raises(ChildProcessError):
        domain_names(URI)


def test_virsh_has_no_terminal_and_none_of_vmsnap_s_variables(virsh, monkeypatch):
    monkeypatch.setenv("VMSNAP_DATABASE", "mysql://me:secret@db/vmsnap")
    virsh("env | grep ^VMSNAP_; cat; ! (: </dev/tty) 2>/dev/null || echo terminal")
    assert domain_names(URI) == []


def test_a_virsh_that_is_not_installed_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        domain_names(URI)
