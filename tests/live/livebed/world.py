"""A machine with its groups whose whole state can be read, kept and put back."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livebed.databases import SqliteDatabase, WorldDatabase
from livebed.machine import IMAGES, Machine, VirshError, virsh
from lxml import etree

STATE = Path("/var/lib/vmsnap")
FENCE = STATE / "interrupted-run-vmsnap-recover"
VARIANTS = 4
OVERLAY = re.compile(r"\.vmsnap-[0-9a-f]{12}\.")
SAFETY = re.compile(r"^safety-[0-9-]+$")
# What a machine's folder has that is no part of it: they differ with every start or change.
UNCOUNTED = re.compile(r"^(console\.log|define\.xml|\.[0-9a-f-]{36}\.vmsnap\.json)$")


@dataclass(frozen=True)
class Seen:
    """All that counts of a machine and of its groups; what is random in names is left out.

    `files` are the machine's folder byte for byte, under their own names. `machine` is what a start
    would find: the disks' contents, the host files, the definition. `groups` are all rows of groups
    and backups, with the contents of their layers.
    """

    files: dict[str, str]
    machine: tuple[Any, ...]
    groups: tuple[Any, ...]

    @property
    def essence(self) -> tuple[Any, ...]:
        """Return what must be equal after the same operation was done a second time."""
        return (len(self.files), self.machine, self.groups)


class World:
    """One machine, off, with a database and folders that only it uses.

    `rows` is the database; without it, it is SQLite's file `database`.
    """

    def __init__(self, machine: Machine, rows: WorldDatabase | None = None) -> None:
        self.machine = machine
        self.name = machine.name
        self.folder = IMAGES / f"{machine.name}-world"
        self.folder.mkdir(mode=0o700)
        self.database = self.folder / "database" / "vmsnap.db"
        self.rows = rows or SqliteDatabase(self.database)
        self.source = ""
        """The name of another machine, for verbs on two."""
        self._domain: Any = None
        self._variants: list[Path] = []
        self._contents: dict[Any, str] = {}

    def remove(self) -> None:
        """Remove what the machine itself does not."""
        shutil.rmtree(self.folder)
        for path in self.journals():
            path.unlink()

    def definition(self) -> str:
        """Return the inactive definition with its secrets; "" if the machine is not defined.

        Libvirt is asked directly, not by virsh.
        """
        import libvirt

        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        try:
            if self._domain is None:
                libvirt.registerErrorHandler(lambda *_: None, None)
                connection = libvirt.open("qemu:///system")
                self._domain = connection.lookupByUUIDString(self.machine.id)
            return str(self._domain.XMLDesc(flags))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            return ""

    @property
    def state(self) -> str:
        """Return the machine's state as virsh words it; "" if it is not defined."""
        import libvirt

        words = {
            libvirt.VIR_DOMAIN_RUNNING: "running",
            libvirt.VIR_DOMAIN_PAUSED: "paused",
            libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
        }
        if not self.definition():
            return ""
        state = self._domain.state()[0]
        return words.get(state, f"state {state}")

    def reconnect(self) -> None:
        """Forget the connection to a libvirtd that has ended."""
        self._domain = None

    def disks(self) -> dict[str, Path]:
        """Return what the definition says that each disk uses, by target; {} without one."""
        definition = self.definition() or "<domain/>"
        disks = etree.fromstring(definition).iterfind("devices/disk")
        return {
            disk.find("target").get("dev"): Path(disk.find("source").get("file")) for disk in disks
        }

    # --- changing ---

    def make_variants(self) -> None:
        """Let libvirt make several NVRAMs and TPM states, all of which a start accepts."""
        for number in range(VARIANTS):
            shutil.rmtree(self.machine.tpm.parent, ignore_errors=True)
            self.machine.make_host_files()
            with self.machine.nvram.open("r+b") as file:
                file.seek(-16, 2)
                file.write(bytes([number]) * 16)
            variant = self.folder / f"variant{number}"
            variant.mkdir()
            _copy(self.machine.nvram, variant / "nvram")
            _copy(self.machine.tpm, variant / "tpm")
            self._variants.append(variant)
        self.change(0)

    def change(self, number: int) -> None:
        """Give the host files another content, and write to the disks what nobody else wrote."""
        if self._variants:
            _put(self._variants[number] / "nvram", self.machine.nvram)
            _put(self._variants[number] / "tpm", self.machine.tpm)
        for target, path in self.disks().items():
            self.write(target, path, number + 1)

    def change_tpm(self, number: int) -> None:
        """Give the TPM, of a machine that is off, another state."""
        _put(self._variants[number % VARIANTS] / "tpm", self.machine.tpm)

    @staticmethod
    def write(target: str, path: Path, number: int, size: str = "192k") -> None:
        """Write a pattern to an image, at a place of its own."""
        place = f"{number * 512 + ord(target[-1]) * 4 - 388}k"
        command = ["qemu-io", "-f", path.suffix[1:], "-c", f"write -q -P {number} {place} {size}"]
        subprocess.run([*command, str(path)], check=True, capture_output=True, timeout=30)

    # --- keeping ---

    def save(self, name: str) -> "Saved":
        """Copy all there is to this world."""
        return Saved(self, self.folder / name)

    def journals(self) -> list[Path]:
        """Return the machine's journals."""
        return sorted((STATE / "journal").glob(f"{self.machine.id}*"))

    # --- looking ---

    @property
    def is_fenced(self) -> bool:
        """Whether the definition has the fence."""
        return str(FENCE) in self.definition()

    def seen(self) -> Seen:
        """Look at everything; fail if something is left that should be nowhere."""
        return Seen(self.files(), self.seen_machine(), self._groups())

    def seen_machine(self) -> tuple[Any, ...]:
        """Look at what a start would find."""
        disks = {target: self._content(path) for target, path in self.disks().items()}
        definition = OVERLAY.sub(".vmsnap.", self.definition())
        return (disks, self.machine.host_files(), self._modes(), definition)

    def leftovers(self) -> list[str]:
        """Return what an operation should not have left, in words."""
        found = [f"journal {path}" for path in self.journals()]
        if self.is_fenced:
            found.append("the fence")
        folders = {self.machine.nvram.parent, self.machine.tpm.parent, self.machine.folder}
        found += [str(path) for folder in folders for path in folder.glob(".vmsnap-*")]
        known = {path for (path,) in self.rows.query("SELECT path FROM layer")}
        found += [
            f"{what}: {row}" for what, query in UNWANTED.items() for row in self.rows.query(query)
        ]
        images = {str(path) for path in self.machine.folder.glob("*.vmsnap-*")}
        found += [f"orphan {path}" for path in sorted(images - known)]
        found += [f"missing {path}" for path in known if not Path(path).exists()]
        return found

    def states(self, state: str) -> int:
        """Return how many groups are in a state."""
        states = self.rows.query("SELECT state FROM snapshot_group")
        return [found for (found,) in states].count(state)

    def torn_contents(self) -> list[str]:
        """Return the contents that are not the bytes that they are known by."""
        packed: dict[str, bytes] = {}
        for digest, data in self.rows.query(
            "SELECT sha256, data FROM content_chunk ORDER BY sha256, number"
        ):
            packed[digest] = packed.get(digest, b"") + data
        known = {digest for (digest,) in self.rows.query("SELECT sha256 FROM content")}
        torn = [
            digest
            for digest, data in packed.items()
            if hashlib.sha256(zlib.decompress(data)).hexdigest() != digest
        ]
        return [*torn, *sorted(known ^ set(packed))]

    def damaged(self) -> list[str]:
        """Return the images in which qemu-img finds anything wrong."""
        return [
            path.name
            for path in sorted(self.machine.folder.glob("*.qcow2"))
            if subprocess.run(
                ["qemu-img", "check", "-q", "-f", "qcow2", str(path)],
                capture_output=True,
                timeout=30,
                check=False,
            ).returncode
        ]

    def files(self) -> dict[str, str]:
        """Return the digest of each file in the machine's folder."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.machine.folder.iterdir())
            if not UNCOUNTED.match(path.name)
        }

    def _modes(self) -> list[tuple[int, int, int]]:
        files = (self.machine.nvram, self.machine.tpm, *sorted(self.machine.tpm.glob("*")))
        looks = [path.stat() for path in files if path.exists() and path.name != ".lock"]
        return [(look.st_mode, look.st_uid, look.st_gid) for look in looks]

    def _groups(self) -> tuple[Any, ...]:
        rows = {name: self.rows.query(query) for name, query in QUERIES.items()}
        rows["layers"] = [(group, target, self._content(Path(path)))
                          for group, target, path in rows["layers"]]  # fmt: skip
        return tuple(
            (name, sorted((tuple(map(_unnumbered, row)) for row in found), key=repr))
            for name, found in rows.items()
        )

    def _content(self, path: Path) -> str:
        """Return the SHA-256 of what an image reads as, through all that it stands on."""
        looks = [(layer, layer.stat()) for layer in _chain(path)]
        key = tuple((layer, look.st_size, look.st_mtime_ns) for layer, look in looks)
        if key not in self._contents:
            raw = self.folder / "content.raw"
            subprocess.run(
                ["qemu-img", "convert", "-f", path.suffix[1:], "-O", "raw", str(path), str(raw)],
                check=True,
                timeout=30,
            )
            self._contents[key] = hashlib.sha256(raw.read_bytes()).hexdigest()
        return self._contents[key]


QUERIES = {
    "groups": """
        SELECT r.name, g.state, g.kind, g.is_pinned, p.name FROM snapshot_group g
        JOIN resource r ON r.uuid = g.resource_uuid LEFT JOIN resource p ON p.uuid = g.parent_uuid
        """,
    "backups": """
        SELECT r.name, r.kind, b.type, b.capture, b.sha256, b.uid, b.gid, b.mode FROM resource r
        JOIN backup b ON b.resource_uuid = r.uuid
        """,
    "records": """
        SELECT d.name, c.name, s.name FROM domain d LEFT JOIN resource c ON c.uuid = d.current_uuid
        LEFT JOIN resource s ON s.uuid = d.safety_uuid
        """,
    "layers": """
        SELECT r.name, s.target, l.path FROM snapshot s JOIN layer l ON l.uuid = s.layer_uuid
        JOIN resource r ON r.uuid = s.group_uuid
        """,
    "tree": """
        SELECT l.target, l.is_made_by_vmsnap, l.is_active, l.mtime_ns IS NULL, count(c.uuid)
        FROM layer l LEFT JOIN layer c ON c.parent_uuid = l.uuid GROUP BY l.uuid
        """,
}
UNWANTED = {
    "a pending operation": "SELECT verb FROM pending",
    "a pending content": "SELECT sha256 FROM pending_content",
    "a claim": "SELECT * FROM claim",
    "a resource that is not ready": "SELECT name FROM resource WHERE NOT is_ready",
    "a group that is not ready": "SELECT state FROM snapshot_group WHERE state != 'ready'",
    "a content that nothing names": """
        SELECT sha256 FROM content WHERE sha256 NOT IN
        (SELECT sha256 FROM backup WHERE sha256 IS NOT NULL
         UNION SELECT definition_sha256 FROM snapshot_group)
        """,
    "a snapshot without its layer": """
        SELECT group_uuid, target FROM snapshot WHERE layer_uuid NOT IN (SELECT uuid FROM layer)
        AND group_uuid IN (SELECT resource_uuid FROM snapshot_group WHERE state = 'ready')
        """,
}


class Saved:
    """A copy of a world."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.definition = world.definition()
        self.places = [path for path in self._places() if path.exists()]
        folder.mkdir()
        for number, path in enumerate(self.places):
            _copy(path, folder / str(number))
        world.rows.keep(folder)

    def put_back(self) -> World:
        """Make the world what it was."""
        world = self.world
        for path in world.journals():
            path.unlink()
        if world.definition() and not self.definition:
            virsh("undefine", world.machine.id, "--keep-nvram")
        world.rows.put_back(self.folder)
        for number, path in enumerate(self.places):
            _put(self.folder / str(number), path)
        for path in world.machine.nvram.parent.glob(".vmsnap-*"):
            path.unlink()
        if world.definition() != self.definition:
            world.reconnect()
            world.machine.define(self.definition)
        return world

    def remove(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self.folder)

    def _places(self) -> tuple[Path, ...]:
        machine = self.world.machine
        return (machine.folder, machine.nvram, machine.tpm.parent)


def refusal(machine: Machine) -> str | None:
    """Start a machine; return why it does not start, or None: then it was stopped again."""
    try:
        machine.start("--paused")
    except VirshError as error:
        return str(error)
    machine.destroy()
    return None


def _chain(path: Path) -> list[Path]:
    """Return the files of an image's chain, topmost first, as the headers of qcow2 say."""
    with path.open("rb") as file:
        header = file.read(20)
        if not header.startswith(b"QFI\xfb"):
            return [path]
        offset, size = struct.unpack(">QI", header[8:])
        file.seek(offset)
        return [path, *_chain(Path(os.fsdecode(file.read(size))))] if offset else [path]


def _unnumbered(value: Any) -> Any:
    return "safety" if isinstance(value, str) and SAFETY.match(value) else value


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "-T", str(source), str(target)], check=True, timeout=60)


def _put(source: Path, target: Path) -> None:
    """Replace a file or a folder by a copy."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    _copy(source, target)
