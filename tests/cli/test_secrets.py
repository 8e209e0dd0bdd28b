"""What is planted in NVRAM, TPM, definition and database URL is found in nothing that is written.

Searched are the output of every verb, with -v and with --json, the log file, the journals and the
arguments and environment of every program that is started.
"""

import base64
import os
import stat
from pathlib import Path

import pytest
from servers.mariadb import running_mariadb

from vmsnap.host.host_files import LocalHostFiles
from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.regular_files import FileReading

NAME = "vmsnap-test-web"
NVRAM_SECRET = b"vmsnap-planted-nvram-7f3a91c2"
TPM_SECRET = b"vmsnap-planted-tpm-0d41be77"
VNC_SECRET = b"vmsnap-planted-vnc-55aa01fe"
DATABASE_SECRET = b"vmsnap-planted-database-c0ffee"
ALL = (NVRAM_SECRET, TPM_SECRET, VNC_SECRET, DATABASE_SECRET)
VERBS = """
snapshot create {name} --name one --dry-run
snapshot create {name} --name one --description words
snapshot create {name} --name two
snapshot create {name} --name two
vm list
vm show {name}
group list
group show {name} one
group tree {name}
group check {name}
group diff {name} one
backup create {name} --name alone
backup list
backup show {name} alone
backup verify {name}
group revert {name} one
undo {name}
backup restore {name} alone
undo {name}
group ungroup {name} one
snapshot list
snapshot delete {name} one/vda --yes
group delete {name} two --yes
group delete {name} two --yes
backup delete {name} alone --yes
backup clone {name} nobody
history {name}
doctor
recover
db status
db upgrade
purge {name} --yes
no-such-verb
"""
SPY = """#!/bin/sh
{{ tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; }} >>{seen}
exec {program} "$@"
"""


@pytest.fixture(scope="module")
def server():
    with running_mariadb() as server:
        server.run([f"CREATE USER v@localhost IDENTIFIED BY '{DATABASE_SECRET.decode()}'",
                    "GRANT ALL ON *.* TO v@localhost"])  # fmt: skip
        yield server


@pytest.fixture
def database(server, monkeypatch):
    """A database whose password is a planted secret; only the environment names it."""
    server.run(["DROP DATABASE IF EXISTS planted", "CREATE DATABASE planted"])
    url = f"mysql://v:{DATABASE_SECRET.decode()}@localhost/planted?unix_socket={server.socket}"
    monkeypatch.setenv("VMSNAP_DATABASE", url)


@pytest.fixture
def planted(host, nvram, tmp_path) -> Path:
    """Plant secrets in the domain's NVRAM, TPM state and definition; return the NVRAM."""
    nvram.write_bytes(NVRAM_SECRET * 9)
    state = next((tmp_path / "host" / "swtpm").rglob("*.permall"))
    state.write_bytes(TPM_SECRET * 9)
    for machine in host.machines.values():
        machine.xml = machine.xml.replace('passwd="hush"', f'passwd="{VNC_SECRET.decode()}"')
        assert VNC_SECRET.decode() in machine.xml
    return nvram


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """Write down what every program is started with."""
    import shutil

    seen, folder = tmp_path / "programs-seen", tmp_path / "programs"
    folder.mkdir()
    spy = folder / "qemu-img"
    spy.write_text(SPY.format(seen=seen, program=shutil.which("qemu-img")))
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return seen


@pytest.fixture
def journals(monkeypatch):
    """Keep what is written to journals, which are gone when an operation has ended."""
    kept: list[tuple[int, bytes]] = []
    for name in ("start", "append"):
        write = getattr(FolderJournals, name)

        def keep(self, domain_id, entry, write=write):
            write(self, domain_id, entry)
            path = self._path(domain_id)
            kept.append((stat.S_IMODE(path.stat().st_mode), path.read_bytes()))

        monkeypatch.setattr(FolderJournals, name, keep)
    return kept


def forms(secret):
    """Return how bytes may look in a text: as they are, in hex, in base64 at any offset."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for lead in range(3):
        # Without the letters at the edges, which depend on what stands beside.
        yield base64.b64encode(b"x" * lead + secret)[4:-4]


def found_in(text, secrets=ALL):
    return [secret for secret in secrets for form in forms(secret) if form in text]


def test_the_search_finds_each_form():
    for text in (
        b"<" + TPM_SECRET,
        TPM_SECRET.hex().encode(),
        base64.b64encode(b"ab" + TPM_SECRET),
    ):
        assert found_in(text) == [TPM_SECRET]


def test_no_verb_writes_a_secret(vmsnap, planted, database, programs, journals, log_file):
    """H50: nor is one in `ps`, or in the environment of a program that does not need it."""
    done = []
    for line in VERBS.strip().splitlines():
        words = line.format(name=NAME).split()
        # Files that are as they were are not written again.
        planted.write_bytes(NVRAM_SECRET * (10 + len(done) % 7))
        for extra in (["-v"], ["--json"]):
            run = vmsnap(*words, *extra, status=None)
            assert run.status != 1, run.err
            assert found_in(f"{run.out}\0{run.err}".encode()) == [], line
            done.append(run.status)
    assert done.count(0) > 40
    assert found_in(log_file.read_bytes()) == []
    assert len(log_file.read_bytes()) > 5000
    assert found_in(programs.read_bytes()) == []
    assert b"qemu-img create" in programs.read_bytes()
    # A definition has to be in the journal: it is what a crash puts back. Bytes and URL have not.
    assert {mode for mode, _ in journals} == {0o600}
    assert found_in(b"".join(text for _, text in journals), (NVRAM_SECRET, TPM_SECRET)) == []
    assert found_in(b"".join(text for _, text in journals), (DATABASE_SECRET,)) == []


@pytest.mark.parametrize("place", ["read", "stage"])
def test_a_bug_s_traceback_holds_no_secret(vmsnap, planted, database, log_file, monkeypatch, place):
    vmsnap("snapshot", "create", NAME, "--name", "one")
    planted.write_bytes(NVRAM_SECRET * 10)

    def fail(_self, *arguments):
        raise RuntimeError(f"a bug with {len(arguments)} arguments")

    monkeypatch.setattr(LocalHostFiles, place, fail)
    verb = ("group", "revert", NAME, "one") if place == "stage" else ("backup", "create", NAME)
    run = vmsnap(*verb, "-v", status=None)
    assert run.status in {1, 30}
    assert found_in(f"{run.out}\0{run.err}".encode() + log_file.read_bytes()) == []


def test_what_holds_secret_bytes_does_not_show_them(host_reading):
    assert found_in(repr(host_reading).encode()) == []


@pytest.fixture(params=["file", "reading", "archived", "definition"])
def host_reading(request, host, planted):
    """Values that hold secrets, as a debugger or a failed assertion would print them."""
    from vmsnap.host.tpm_archive import ArchivedFile
    from vmsnap.model import FileMeta, HostFileType
    from vmsnap.ports import HostFileSpec

    meta = FileMeta(uid=0, gid=0, mode=0o600)
    if request.param == "file":
        return FileReading(NVRAM_SECRET, meta, 0, 0)
    if request.param == "reading":
        return LocalHostFiles().read(HostFileSpec(HostFileType.NVRAM, planted))
    if request.param == "archived":
        return ArchivedFile("state", TPM_SECRET, meta)
    return [host.domain(item.id) for item in host.domains()]
