"""The command line in this process: real engine, images and database, and a libvirt in memory."""

import json
import logging
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.hypervisor import FakeHypervisor

from vmsnap.cli import main as program
from vmsnap.cli import wiring
from vmsnap.host.domain_xml import XmlDefinitions

# As root vmsnap believes the passwd entry alone: this one has the test's home.
PROGRAM = """
import os, pwd, sys
entry_of = pwd.getpwuid
def with_home(uid):
    entry = entry_of(uid)
    return pwd.struct_passwd((*entry[:5], os.environ["HOME"], entry[6]))
pwd.getpwuid = with_home
from vmsnap.cli.entry import main
sys.exit(main())
"""
OTHER = "vmsnap-test-other"
OTHER_UUID = "bbbbbbbb-0000-4000-8000-000000000002"
DOMAIN_UUID = "aaaaaaaa-0000-4000-8000-000000000001"
DOMAIN_XML = """<domain type="qemu">
  <name>vmsnap-test-web</name>
  <uuid>{uuid}</uuid>
  <memory unit="KiB">262144</memory>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram>{folder}/nvram.fd</nvram>
  </os>
  <devices>
    <disk type="file" device="disk"><driver name="qemu" type="qcow2"/>
      <source file="{folder}/vda.qcow2"/><target dev="vda" bus="virtio"/></disk>
    <disk type="file" device="disk"><driver name="qemu" type="raw"/>
      <source file="{folder}/vdb.raw"/><target dev="vdb" bus="virtio"/></disk>
    <disk type="file" device="cdrom"><target dev="sda" bus="sata"/><readonly/></disk>
    <tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>
    <graphics type="vnc" passwd="hush"/>
  </devices>
</domain>
"""


@dataclass(frozen=True)
class Run:
    """What one command gave."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; fails if there is more or less than one."""
        return json.loads(self.out)

    @property
    def data(self) -> Any:
        return self.document["data"]

    @property
    def changed(self) -> bool | None:
        return self.document["changed"]

    @property
    def code(self) -> str:
        return self.document["errors"][0]["code"]


@pytest.fixture(autouse=True)
def _process():
    """Give the process back as it was: main() sets signals, umask and log handlers."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    mask = os.umask(0o022)
    log = logging.getLogger("vmsnap")
    before = list(log.handlers), log.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.umask(mask)
    log.handlers[:], level = before
    log.setLevel(level)


class Terminal:
    """A terminal of 80 columns in place of standard streams, inside a `with` block.

    `typed` is what a person types ahead; `shown` is all that was printed, known after the block: a
    terminal hands on what is written to it in its own time. No fixture: pytest sets the streams
    anew between setup and call.
    """

    def __init__(self, *streams: str, typed: str = ""):
        self._names = streams
        self._typed = typed
        self._patch = pytest.MonkeyPatch()
        self.shown = ""

    def __enter__(self):
        self._master, slave = pty.openpty()
        os.write(self._master, self._typed.encode())
        self._streams = []
        for name in self._names:
            mode = "r" if name == "stdin" else "w"
            stream = os.fdopen(os.dup(slave), mode, encoding="utf-8", buffering=1)
            self._patch.setattr(sys, name, stream)
            self._streams.append(stream)
        os.close(slave)
        self._patch.setenv("TERM", "xterm-256color")
        self._patch.setenv("COLUMNS", "80")
        return self

    def __exit__(self, *_error):
        self._patch.undo()
        for stream in self._streams:
            stream.close()
        parts = []
        with suppress(OSError):  # EIO: all was read and nobody has it open any more
            while part := os.read(self._master, 65536):
                parts.append(part)
        os.close(self._master)
        self.shown = b"".join(parts).decode()


@pytest.fixture
def terminal():
    """Make terminals: `with terminal("stdin", "stderr", typed="y") as it: ...`."""
    return Terminal


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A libvirt in memory with one UEFI and TPM domain of two disks, shut off."""
    folder = tmp_path / "host"
    tpm = folder / "swtpm" / DOMAIN_UUID / "tpm2"
    tpm.mkdir(parents=True)
    (tpm / "tpm2-00.permall").write_bytes(b"sealed")
    (folder / "nvram.fd").write_bytes(b"boot order" * 100)
    # As libvirt makes them.
    (folder / "nvram.fd").chmod(0o600)
    tpm.chmod(0o700)
    for name, format_ in (("vda.qcow2", "qcow2"), ("vdb.raw", "raw")):
        command = ["qemu-img", "create", "-q", "-f", format_, str(folder / name), "1M"]
        subprocess.run(command, check=True)
    definitions = XmlDefinitions(folder / "nvram", folder / "swtpm")
    hypervisor = FakeHypervisor(definitions)
    hypervisor.add(DOMAIN_XML.format(uuid=DOMAIN_UUID, folder=folder))
    monkeypatch.setattr(wiring.XmlDefinitions, "for_uri", lambda _uri: definitions)
    monkeypatch.setattr(wiring, "LibvirtHypervisor", lambda _uri, _definitions: hypervisor)
    # Not qemu:///system: its folders are the machine's own.
    monkeypatch.setenv("VMSNAP_CONNECT", "qemu:///session")
    return hypervisor


@pytest.fixture
def other(host, tmp_path):
    """A second domain, without a group."""
    folder = tmp_path / "other"
    (folder / "swtpm").mkdir(parents=True)
    for name, format_ in (("vda.qcow2", "qcow2"), ("vdb.raw", "raw")):
        command = ["qemu-img", "create", "-q", "-f", format_, str(folder / name), "1M"]
        subprocess.run(command, check=True)
    (folder / "nvram.fd").write_bytes(b"boot order")
    xml = DOMAIN_XML.format(uuid=OTHER_UUID, folder=folder)
    tpm = '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm>'
    host.add(xml.replace("vmsnap-test-web", OTHER).replace(tpm, ""))


@pytest.fixture
def nvram(tmp_path) -> Path:
    """The domain's variable store."""
    return tmp_path / "host" / "nvram.fd"


@pytest.fixture
def log_file(tmp_path) -> Path:
    """Where runs of this test are logged."""
    return tmp_path / "home" / ".local" / "state" / "vmsnap" / "log" / "vmsnap.log"


@pytest.fixture
def vmsnap(capfd, monkeypatch):
    """Call the program with words; it gets no terminal. `status` None accepts any."""
    monkeypatch.setenv("VMSNAP_CONNECT", "qemu:///session")

    def call(*words: str, status: int | None = 0) -> Run:
        capfd.readouterr()
        got = program.main(words)
        sys.stdout.flush()
        out, err = capfd.readouterr()
        assert status is None or got == status, f"{words} ended with {got}\n{out}{err}"
        return Run(got, out, err)

    return call


@pytest.fixture
def process():
    """Run the program in a process of its own, without a libvirt."""

    def call(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "VMSNAP_CONNECT": "qemu:///session", **options.pop("env", {})}
        command = [sys.executable, "-c", PROGRAM, *words]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            env=environment,
            timeout=60,
            check=False,
            **options,
        )

    return call
