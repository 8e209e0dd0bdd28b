"""A whole machine for the engine: real images, host files, journal, locks and SQLite; fake libvirt.

`host` is that machine; `world` remembers bytes and rows, so that a test can say "as before".
"""

import hashlib
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contracts.hypervisor_beds import chain_of
from fakes.hypervisor import HOST_ID, FakeHypervisor
from fakes.watcher import FakeWatcher

from vmsnap.engine.backup import create_backup
from vmsnap.engine.create import create_group
from vmsnap.engine.delete import delete_groups
from vmsnap.engine.requests import CreateRequest, DeleteRequest, RevertRequest, UndoRequest
from vmsnap.engine.revert import revert_group
from vmsnap.engine.undo import undo_last
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.host.hooks import ProcessHooks
from vmsnap.host.host_files import LocalHostFiles
from vmsnap.host.identity_files import HiddenIdentityFiles
from vmsnap.host.images import QemuImages
from vmsnap.host.journal_files import FolderJournals
from vmsnap.host.locks import FileLocks
from vmsnap.model import HostId
from vmsnap.ports import Ports
from vmsnap.store.opening import open_catalog

KIB = 1024
WEEK = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""When the first group of `week` is made."""
DISK_BYTES = 1024 * KIB
SECTOR = 64 * KIB
OTHER_HOST = HostId("99999999-2222-4333-8444-555555555555")
DOMAIN_UUID = "aaaaaaaa-0000-4000-8000-000000000001"

DOMAIN_XML = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>262144</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram>{nvram}</nvram>
  </os>
  <devices>
    {disks}
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
    <graphics type='vnc' passwd='hush'/>
  </devices>
</domain>
"""


class Clock:
    """Time that moves by a second at each look, and ids that can be told apart."""

    def __init__(self):
        self.time = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        self.elapsed = 0.0

    def now(self):
        self.time += timedelta(seconds=1)
        return self.time

    def ticks(self):
        self.elapsed += 0.001
        return self.elapsed

    def new_id(self):
        return str(uuid.uuid4())


class Reporter:
    """Keeps what was said."""

    def __init__(self):
        self.warnings = []

    def step(self, text):
        pass

    def warn(self, text):
        self.warnings.append(text)

    def progress(self, text, done, total):
        pass


def disk_xml(target, path, format_="qcow2", extra=""):
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{format_}'/>"
        f"<source file='{path}'/><target dev='{target}' bus='virtio'/>{extra}</disk>"
    )


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def _looks(folder):
    for image in folder.glob("*/*.qcow2"), folder.glob("*/*.raw"), folder.glob("*.qcow2"):
        for path in image:
            status = path.stat()
            yield (str(path), status.st_mtime_ns, status.st_size)


@dataclass
class World:
    """The machine, and what tests do to it and ask of it."""

    folder: Path
    ports: Ports
    uuid: str = DOMAIN_UUID
    name: str = "vmsnap-test-web"
    disks: dict[str, Path] = field(default_factory=dict)
    seen: dict[tuple, bytes] = field(default_factory=dict)

    @property
    def hypervisor(self):
        return self.ports.hypervisor

    @property
    def nvram(self):
        return self.folder / "nvram" / f"{self.name}_VARS.fd"

    @property
    def tpm(self):
        return self.folder / "swtpm" / self.uuid / "tpm2"

    def with_ports(self, **changes):
        """Return the same machine seen through other ports."""
        return replace(self, ports=replace(self.ports, **changes))

    # --- what an administrator does -----------------------------------------------------------

    def create(self, name=None, **options):
        return create_group(self.ports, self.name, CreateRequest(name=name, **options))

    def revert(self, group, **options):
        return revert_group(self.ports, self.name, group, RevertRequest(**options))

    def undo(self, **options):
        return undo_last(self.ports, self.name, UndoRequest(**options))

    def delete(self, *groups, **options):
        return delete_groups(self.ports, self.name, groups, DeleteRequest(**options))

    def active(self, target):
        return self.hypervisor.domain(self.uuid).active_paths[target]

    def edit(self, before, after):
        """Edit the definition as `virsh edit` would."""
        before, after = before.replace("'", '"'), after.replace("'", '"')
        machine = self.hypervisor.machines[self.uuid]
        assert before in machine.xml
        machine.xml = machine.xml.replace(before, after)

    def stacked(self, path, name):
        """Put an overlay of somebody else's on an image, as `virsh snapshot-create-as` would."""
        made = path.with_name(f"{name}.qcow2")
        qemu_img("create", "-q", "-f", "qcow2", "-F", path.suffix[1:], "-b", path, made)
        return made

    # --- what the guest does ------------------------------------------------------------------

    def write(self, target, value, sector=0):
        """Let the guest write one sector of a disk."""
        path = self.active(target)
        format_ = "raw" if path.suffix == ".raw" else "qcow2"
        command = f"write -q -P {value} {sector * SECTOR} {SECTOR}"
        subprocess.run(["qemu-io", "-f", format_, "-c", command, str(path)], check=True)

    def touch_firmware(self, value):
        """Let the guest change a UEFI variable and the TPM's state."""
        self.nvram.write_bytes(bytes([value]) * 4096)
        (self.tpm / "tpm2-00.permall").write_bytes(bytes([value]) * 100)

    def fill(self, value):
        """Let the guest change everything."""
        for target in self.disks:
            self.write(target, value)
        self.touch_firmware(value)

    # --- what is asked ------------------------------------------------------------------------

    def read(self, path, format_=None):
        """Read all that an image gives; once for each state of the files in its folder."""
        format_ = format_ or ("raw" if path.suffix == ".raw" else "qcow2")
        key = (path, format_, *sorted(_looks(self.folder)))
        if key not in self.seen:
            self.seen[key] = self._read(path, format_)
        return self.seen[key]

    def _read(self, path, format_):
        raw = self.folder / "read.raw"
        qemu_img("convert", "-U", "-f", format_, "-O", "raw", path, raw)
        data = raw.read_bytes()
        raw.unlink()
        return data

    def digest(self, layer):
        """What a layer reads as."""
        return hashlib.sha256(self.read(layer.path, layer.format)).hexdigest()

    def machine(self):
        """All that the machine would start with."""
        tpm = self.tpm / "tpm2-00.permall"
        return {
            **{
                target: hashlib.sha256(self.read(self.active(target))).hexdigest()
                for target in self.disks
            },
            "nvram": self.nvram.read_bytes() if self.nvram.exists() else None,
            "tpm": tpm.read_bytes() if tpm.exists() else None,
        }

    def group_disks(self, group):
        """What the frozen layers of a group read as, by target."""
        return {
            disk.target: hashlib.sha256(self.read(disk.frozen_path, disk.format)).hexdigest()
            for disk in group.disks
        }

    def files(self):
        """Every file of the machine and of vmsnap, but for the database and the locks."""
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and "state" not in path.parts and path.name != "read.raw"
        )

    def rows(self):
        """Everything that the catalog says."""
        catalog = self.ports.catalog
        return (
            catalog.groups(),
            catalog.resources(),
            tuple(sorted(catalog.layers(HOST_ID, self.uuid), key=lambda layer: layer.id)),
            catalog.records(),
        )

    def definition(self):
        return self.ports.definitions.with_sources(self.hypervisor.machines[self.uuid].xml, {})

    def everything(self):
        """The whole state, for "as before"."""
        return (self.machine(), self.files(), self.rows(), self.definition())

    def journals(self):
        return self.ports.journals.pending()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A migrated SQLite file, made once."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    open_catalog(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def ports(tmp_path, empty_database):
    """The ports of a host of its own."""
    folder = tmp_path / "host"
    state = folder / "state"
    state.mkdir(parents=True)
    shutil.copy(empty_database, state / "vmsnap.db")
    (state / "vmsnap.db").chmod(0o600)
    catalog = open_catalog(f"sqlite:///{state / 'vmsnap.db'}", create=True)
    definitions = XmlDefinitions(folder / "nvram", folder / "swtpm")
    locks = FileLocks(state)
    yield Ports(
        hypervisor=FakeHypervisor(definitions, chain_of=chain_of),
        definitions=definitions,
        images=QemuImages(locks.inherited_fds),
        host_files=LocalHostFiles(),
        catalog=catalog,
        journals=FolderJournals(state),
        locks=locks,
        reporter=Reporter(),
        clock=Clock(),
        watcher=FakeWatcher(),
        identities=HiddenIdentityFiles(),
        hooks=ProcessHooks(()),
    )
    catalog.close()


@pytest.fixture
def world_on():
    """Build the same machine in another folder, on another host: `world_on(folder, ports)`."""
    return lambda folder, ports: built(World(folder, ports))


@pytest.fixture
def world(tmp_path, ports):
    """A machine that is shut off: two disks, NVRAM, TPM, a CD-ROM."""
    return built(World(tmp_path / "host", ports))


@pytest.fixture
def other(tmp_path, world, world_on):
    """The same domain, by name and UUID, on another host: its own files, the same database."""
    folder = tmp_path / "other"
    state = folder / "state"
    state.mkdir(parents=True)
    definitions = XmlDefinitions(folder / "nvram", folder / "swtpm")
    locks = FileLocks(state)
    ports = replace(
        world.ports,
        hypervisor=FakeHypervisor(definitions, host=OTHER_HOST, chain_of=chain_of),
        definitions=definitions,
        images=QemuImages(locks.inherited_fds),
        journals=FolderJournals(state),
        locks=locks,
    )
    return world_on(folder, ports)


@pytest.fixture
def berlin(monkeypatch):
    """The host is in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def week(world, berlin):
    """A group and a backup of each of five days; the clock stands at the sixth."""
    for number in range(5):
        world.ports.clock.time = WEEK + timedelta(days=1) * number
        world.fill(number + 1)
        world.create(f"day{number + 1}")
        create_backup(world.ports, world.name, CreateRequest(name=f"kept{number + 1}"))
    world.fill(9)
    world.ports.clock.time = WEEK + timedelta(days=1) * 5
    return world


def built(made):
    """Make the files of a world's machine, and define it."""
    for target, format_ in (("vda", "qcow2"), ("vdb", "raw")):
        folder = made.folder / f"pool-{target}"
        folder.mkdir()
        path = folder / f"web.{format_}"
        qemu_img("create", "-q", "-f", format_, path, DISK_BYTES)
        made.disks[target] = path
    made.nvram.parent.mkdir()
    made.tpm.mkdir(parents=True)
    made.tpm.parent.chmod(0o711)
    made.tpm.chmod(0o700)
    disks = "".join(disk_xml(target, path, path.suffix[1:]) for target, path in made.disks.items())
    xml = DOMAIN_XML.format(name=made.name, uuid=made.uuid, nvram=made.nvram, disks=disks)
    made.hypervisor.add(xml.replace("'", '"'))
    made.fill(1)
    made.nvram.chmod(0o600)
    return made
