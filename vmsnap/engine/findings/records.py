"""Findings on single identity records: whose they are, and who else on the host can read them."""

from collections.abc import Iterator
from pathlib import Path

from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.engine.identity.record import FORMATS
from vmsnap.engine.paths import real
from vmsnap.errors import HostFileError
from vmsnap.model import is_device_path
from vmsnap.ports import Ports

OTHERS = 0o077
"""Permission bits of all but a file's owner."""

IDENTITY_FOREIGN = Kind(
    "identity_foreign",
    Severity.WARNING,
    Cure.BY_HAND,
    "it is never overwritten, so this host's groups of the domain are in no record there, and"
    " 'vmsnap db rebuild' would not bring them back; move it away only if nobody needs what it"
    " names",
)
RECORD_READABLE = Kind(
    "record_readable",
    Severity.WARNING,
    Cure.SURELY,
    "other users of this host can read or change it, and it holds the definitions of groups, which"
    " may have passwords in them",
)


def find_foreign_records(scene: Scene) -> Iterator[Finding]:
    """Find a domain's records that another host or version wrote: they are not this host's."""
    for folder, path in _copies(scene):
        message = foreign_record(scene, folder)
        if message is not None:
            command = f"mv -n {operands(str(path), f'{path}.foreign')}"
            yield scene.find(IDENTITY_FOREIGN, path, f"'{path}' {message}", command)


def find_readable_records(scene: Scene) -> Iterator[Finding]:
    """Find a domain's records that others than their owner can read or write."""
    for _folder, path in _copies(scene):
        mode = scene.ports.images.mode(path)
        if mode is not None and mode & OTHERS:
            message = f"'{path}' has the mode {mode:04o}"
            command = f"chmod 0600 {operands(str(path))}"
            yield scene.find(RECORD_READABLE, path, message, command, _narrowing(path))


def has_foreign_record(scene: Scene) -> bool:
    """Tell whether a domain has a record that vmsnap does not overwrite here."""
    return any(foreign_record(scene, folder) is not None for folder, _path in _copies(scene))


def foreign_record(scene: Scene, folder: Path) -> str | None:
    """Say whose a domain's record in a folder is and what to do; None if it is this host's.

    One that cannot be read, or is no record, is nobody's: it is written anew.
    """
    try:
        data = scene.ports.identities.read(folder, scene.id)
    except HostFileError:
        return None
    if data is None:
        return None
    host_id = data.get("host_id", scene.host_id)
    if host_id != scene.host_id:
        return f"was written by host '{host_id}', where 'vmsnap db rebuild' may need it"
    if data.get("format") not in FORMATS:
        return "was written by another version, whose 'vmsnap db rebuild' reads it"
    return None


def _copies(scene: Scene) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of the domain's layers that have a record of it, and the records."""
    paths = (layer.path for layer in scene.layers.values() if not is_device_path(layer.path))
    for folder in sorted({real(path).parent for path in paths}):
        if scene.id in scene.ports.identities.domains(folder):
            yield folder, scene.ports.identities.path(folder, scene.id)


def _narrowing(path: Path) -> Mend:
    def narrow(ports: Ports) -> None:
        ports.images.make_private(path)

    return narrow
