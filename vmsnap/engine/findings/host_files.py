"""Findings on NVRAM and TPM state: who else on the host can read or write them."""

from collections.abc import Iterator

from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.scene import Scene
from vmsnap.engine.hints import operands
from vmsnap.model import HostFileType
from vmsnap.ports import HostFileSpec, Ports

OTHERS = 0o007
"""Permission bits of users that are neither owner nor in the group; libvirt gives them none."""

NVRAM_READABLE = Kind(
    "nvram_readable",
    Severity.WARNING,
    Cure.SURELY,
    "other users of this host can read or change the firmware's variables, Secure Boot's keys among"
    " them",
)
TPM_READABLE = Kind(
    "tpm_readable",
    Severity.DANGER,
    Cure.SURELY,
    "other users of this host can copy or change the machine's TPM, and with it unlock its disks",
)


def find_readable_host_files(scene: Scene) -> Iterator[Finding]:
    """Find NVRAM and TPM state that users can read or write who have no business with them."""
    if scene.domain is None:
        return
    for type_ in HostFileType:
        spec = host_file_spec(scene.domain.definition, type_)
        if spec is None:
            continue
        mode = scene.ports.host_files.modes(spec).get(spec.path, 0)
        # Nobody else gets to what is in a directory that is closed.
        if mode & OTHERS:
            kind = TPM_READABLE if type_ is HostFileType.TPM else NVRAM_READABLE
            message = f"{type_.value}: '{spec.path}' has the mode {mode:04o}"
            recursive = "-R " if spec.is_directory else ""
            command = f"chmod {recursive}o-rwx {operands(str(spec.path))}"
            yield scene.find(kind, spec.path, message, command, _narrowing(spec))


def _narrowing(spec: HostFileSpec) -> Mend:
    def narrow(ports: Ports) -> None:
        ports.host_files.take_from_others(spec)

    return narrow
