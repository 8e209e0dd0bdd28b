"""Tell where the database has lost what vmsnap made: it knows no layer that a disk stands on."""

import logging

from vmsnap.engine.find import find_known_domain
from vmsnap.engine.hints import operands
from vmsnap.engine.overlay_names import is_overlay_name
from vmsnap.engine.paths import real
from vmsnap.errors import VmsnapError
from vmsnap.model import Definition, HostId
from vmsnap.ports import Ports

log = logging.getLogger(__name__)


def lost_overlays(ports: Ports, domain: str | None = None) -> tuple[str, ...]:
    """Name the domains with a disk on an overlay of vmsnap's that no layer is recorded for.

    Of all, or of one that a listing showed no group of. What cannot be read counts as none.
    """
    try:
        host_id = ports.hypervisor.host_id()
        only = find_known_domain(ports, domain, host_id)[0] if domain is not None else None
        return tuple(
            definition.name
            for definition in ports.hypervisor.definitions()
            if only in {None, definition.id} and _stands_on_lost(ports, host_id, definition)
        )
    except VmsnapError as error:
        log.info("%s", error.message)
        return ()


def warn_of_lost(ports: Ports, definition: Definition) -> None:
    """Warn before a create that what the database has lost can still be brought back.

    The create goes on: without it a machine would have no group at all of that night.
    """
    if _stands_on_lost(ports, ports.hypervisor.host_id(), definition):
        command = f"vmsnap db rebuild {operands(definition.name)}"
        ports.reporter.warn(
            f"domain '{definition.name}' stands on overlays that vmsnap made and the database does"
            f" not know; '{command}' brings back what was lost"
        )


def _stands_on_lost(ports: Ports, host_id: HostId, definition: Definition) -> bool:
    paths = {real(disk.path) for disk in definition.disks if disk.path is not None}
    ours = {path for path in paths if is_overlay_name(path.name)}
    if not ours:
        return False
    return not ours <= {real(row.path) for row in ports.catalog.layers(host_id, definition.id)}
