"""Findings on NVRAM and TPM state that an operation put beside the live ones and nobody names."""

import re
from collections.abc import Iterator
from pathlib import Path

from vmsnap.engine.capture import host_file_spec
from vmsnap.engine.findings.claims import operations_elsewhere
from vmsnap.engine.findings.finding import Cure, Finding, Kind, Mend, Severity
from vmsnap.engine.findings.host import texts_of_journals
from vmsnap.engine.placing import staged_path
from vmsnap.errors import HostFileError
from vmsnap.model import Definition, HostFileType
from vmsnap.ports import HostFileSpec, Ports

HOST_FILE_LEFT = Kind(
    "host_file_left",
    Severity.WARNING,
    Cure.ASKS,
    "an operation put NVRAM or TPM state there, new or former, and its journal is lost; look first"
    " whether the live file is the right one",
)

# As engine.placing names what it stages.
_STAGED = re.compile(r"\.vmsnap-[0-9a-f]{12}-(nvram|tpm)")


def find_staged_host_files(ports: Ports) -> Iterator[Finding]:
    """Find what was staged or set aside beside host files and no journal names.

    Listed first, and the journals read afterwards: what is just being staged is in one of them.
    Nothing is found while a journal cannot be read, and nothing of an operation that another host
    has pending: its journal is there.
    """
    found = list(_candidates(ports))
    try:
        known = texts_of_journals(ports) if found else frozenset()
    except HostFileError:
        return
    seen = {
        staged_path(spec, operation.id)
        for operation in (operations_elsewhere(ports) if found else ())
        for _definition, spec, _path in found
    }
    for definition, spec, path in found:
        if path in seen or str(path) in known or ports.host_files.identity(path) is None:
            continue
        seen.add(path)
        # A TPM's folder is its domain's own, that of NVRAM files is everybody's.
        is_own = spec.type is HostFileType.TPM
        yield Finding(
            HOST_FILE_LEFT,
            definition.id if is_own else None,
            definition.name if is_own else None,
            str(path),
            f"no journal names '{path}'",
            "vmsnap doctor --fix",
            _discarding(spec, path),
        )


def _candidates(ports: Ports) -> Iterator[tuple[Definition, HostFileSpec, Path]]:
    for definition in ports.hypervisor.definitions():
        for type_ in HostFileType:
            spec = host_file_spec(definition, type_)
            for path in ports.host_files.beside(spec) if spec is not None else ():
                named = _STAGED.fullmatch(path.name)
                if spec is not None and named is not None and named[1] == type_.value:
                    yield definition, spec, path


def _discarding(spec: HostFileSpec, path: Path) -> Mend:
    def discard(ports: Ports) -> None:
        ports.host_files.discard(spec, path)

    return discard
