"""Where the hypervisor contract runs: the fake, and the libvirtd of a private host."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Protocol

from fakes.hypervisor import FakeHypervisor

from vmsnap.errors import LibvirtError
from vmsnap.host.domain_xml import XmlDefinitions
from vmsnap.model import DomainId, ForeignSnapshot
from vmsnap.ports import Hypervisor, LiveMerge, MergeKind

URI = "qemu:///system"
DISK = """
<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{path}'/>
<target dev='{target}' bus='{bus}'/></disk>"""
SIZE = "4M"


def new_id() -> DomainId:
    """Return a random id for a domain."""
    return DomainId(str(uuid.uuid4()))


def domain_xml(
    domain_id: DomainId,
    devices: str = "",
    *,
    machine: str = "q35",
    os: str = "",
    firmware: str = "",
    name: str | None = None,
) -> str:
    """Return a small machine without an operating system, as a person would write it."""
    return f"""<domain type='qemu'>
<name>{name or name_of(domain_id)}</name><uuid>{domain_id}</uuid>
<memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os{firmware}><type arch='x86_64' machine='{machine}'>hvm</type>{os}</os>
<features><acpi/></features>
<devices>{devices}<memballoon model='none'/></devices></domain>"""


def name_of(domain_id: DomainId) -> str:
    """Return the name that the test domains have."""
    return f"vmsnap-test-{domain_id[:8]}"


def disk_xml(path: Path, target: str, bus: str = "virtio", format_: str = "qcow2") -> str:
    """Return a `<disk>`."""
    return DISK.format(path=path, target=target, bus=bus, format=format_)


def volume_xml(pool: str, name: str, target: str) -> str:
    """Return a `<disk>` that names a volume of a storage pool."""
    source = f"<source pool='{pool}' volume='{name}'/>"
    return f"<disk type='volume'>{source}<target dev='{target}' bus='virtio'/></disk>"


def make_image(path: Path, base: Path | None = None) -> Path:
    """Make a qcow2 image, or an overlay over one."""
    backing = () if base is None else ("-b", str(base), "-F", "qcow2")
    size = (SIZE,) if base is None else ()
    run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(path), *size)
    return path


def chain_of(path: Path) -> tuple[Path, ...]:
    """Return an image and all that it stands on, topmost first."""
    command = ("qemu-img", "info", "-U", "--backing-chain", "--output=json", str(path))
    return tuple(Path(image["filename"]) for image in json.loads(run(*command)))


def content_of(path: Path) -> str:
    """Return the digest of what a qcow2 image gives to read, also while QEMU has it open."""
    raw = path.with_suffix(".read")
    run("qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(path), str(raw))
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def run(*command: str) -> str:
    """Run a program of the host; raises LibvirtError with what it says if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise LibvirtError(done.stderr.strip())
    return done.stdout


def merge_into(bed: "Bed", domain_id: DomainId, base: Path) -> None:
    """Merge the active layer of vda into `base`."""
    top = bed.hypervisor.domain(domain_id).active_paths["vda"]
    order = LiveMerge(MergeKind.COMMIT_ACTIVE, "vda", top, base)
    bed.hypervisor.merge_live(domain_id, order, lambda _done, _total: None)


class Bed(Protocol):
    """A hypervisor, and what only others than vmsnap do to its domains."""

    hypervisor: Hypervisor
    definitions: XmlDefinitions
    folder: Path

    def start(self, domain_id: DomainId) -> None: ...
    def stop(self, domain_id: DomainId) -> None: ...
    def suspend(self, domain_id: DomainId) -> None: ...
    def save(self, domain_id: DomainId) -> None: ...
    def take_snapshot(self, domain_id: DomainId, name: str) -> None: ...
    def add_volume(self, pool: str, path: Path) -> None: ...
    def close(self) -> None: ...


class FakeBed:
    """The fake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definitions = XmlDefinitions.for_uri(URI)
        self.hypervisor = FakeHypervisor(self.definitions, chain_of=chain_of)
        self.start = self.hypervisor.start
        self.stop = self.hypervisor.stop
        self.suspend = self.hypervisor.suspend
        self.save = self.hypervisor.save

    def take_snapshot(self, domain_id: DomainId, name: str) -> None:
        machine = self.hypervisor.machines[domain_id]
        paths = tuple(self.hypervisor.domain(domain_id).active_paths.values())
        made = ForeignSnapshot(name, is_external=False, kept_paths=paths)
        machine.foreign_snapshots = (*machine.foreign_snapshots, made)

    def add_volume(self, pool: str, path: Path) -> None:
        self.hypervisor.volumes[pool, path.name] = path

    def close(self) -> None:
        pass


class LiveBed:
    """The private host; removes the domains that were made through it."""

    def __init__(self) -> None:
        if os.environ.get("VMSNAP_TEST_HOST") != "private":
            raise RuntimeError("not on a private host")
        from vmsnap.host.hypervisor import LibvirtHypervisor

        # QEMU's user must be able to reach the images, which pytest's own folders do not allow.
        self.folder = Path(tempfile.mkdtemp(prefix="vmsnap-test-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.definitions = XmlDefinitions.for_uri(URI)
        self.hypervisor = LibvirtHypervisor(URI, self.definitions)
        self.pools: list[str] = []

    def start(self, domain_id: DomainId) -> None:
        self.virsh("start", domain_id)

    def stop(self, domain_id: DomainId) -> None:
        self.virsh("destroy", domain_id)

    def suspend(self, domain_id: DomainId) -> None:
        self.virsh("suspend", domain_id)

    def save(self, domain_id: DomainId) -> None:
        self.virsh("managedsave", domain_id)

    def take_snapshot(self, domain_id: DomainId, name: str) -> None:
        self.virsh("snapshot-create-as", domain_id, name)

    def add_volume(self, pool: str, path: Path) -> None:
        """Make a pool of the folder that a file is in; the file is a volume of that name."""
        self.virsh("pool-create-as", pool, "dir", "--target", str(path.parent))
        self.pools.append(pool)

    def virsh(self, *arguments: str) -> str:
        """Run virsh; raises LibvirtError if it fails."""
        return run("virsh", "-q", "-c", URI, *arguments)

    def close(self) -> None:
        for pool in self.pools:
            self.virsh("pool-destroy", pool)
        for name in self.virsh("list", "--all", "--name").split():
            if not name.startswith("vmsnap-test-"):
                continue
            for command in (
                ("destroy", name),
                ("undefine", name, "--nvram", "--managed-save", "--snapshots-metadata"),
            ):
                subprocess.run(
                    ("virsh", "-q", "-c", URI, *command), capture_output=True, check=False
                )
        shutil.rmtree(self.folder)
