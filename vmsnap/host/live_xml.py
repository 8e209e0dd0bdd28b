"""Read what only a running libvirt says in XML: the host's UUID, merges, chains, the agent."""

import re
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from vmsnap.host.domain_xml_parse import disk_elements, load, parse, source_path

_CAPABILITIES = "what libvirt says of the host's capabilities"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where a disk of a running domain is being merged or copied to."""

    path: Path | None
    is_ready: bool


def host_uuid(capabilities: str) -> str | None:
    """Return the host's UUID from libvirt's capabilities; the test driver has none."""
    found = parse(capabilities, _CAPABILITIES).findtext("host/uuid")
    return found.strip().lower() if found else None


def qemu_owner(capabilities: str) -> tuple[int, int] | None:
    """Return uid and gid that the capabilities say QEMU runs with; a session has none."""
    root = parse(capabilities, _CAPABILITIES).getroot()
    for model in root.iterfind("host/secmodel"):
        label = model.findtext("baselabel") or ""
        found = re.fullmatch(r"\+(\d+):\+(\d+)", label.strip())
        if model.findtext("model") == "dac" and found:
            return int(found[1]), int(found[2])
    return None


def mirror_of(xml: str, target: str) -> Mirror | None:
    """Return where a disk is being merged or copied to, None if it is not."""
    disk = disk_elements(load(xml).getroot()).get(target)
    mirror = None if disk is None else disk.find("mirror")
    if mirror is None:
        return None
    source = mirror.find("source")
    path = None if source is None else source.get("file") or source.get("dev")
    return Mirror(Path(path) if path else None, mirror.get("ready") == "yes")


def disk_chains(xml: str) -> dict[str, tuple[Path, ...]]:
    """Return the files that QEMU has open for each disk, topmost first.

    A part of a chain that is no file ends it.
    """
    found = {}
    for target, disk in disk_elements(load(xml).getroot()).items():
        chain: list[Path] = []
        layer: etree._Element | None = disk
        while layer is not None:
            path = source_path(layer)
            if path is None:
                break
            chain.append(path)
            layer = layer.find("backingStore")
        found[target] = tuple(chain)
    return found


def agent_state(xml: str) -> str | None:
    """Return whether a guest agent is "connected" or "disconnected"; None without a channel."""
    channel = load(xml).getroot().find("devices/channel/target[@name='org.qemu.guest_agent.0']")
    return None if channel is None else channel.get("state", "disconnected")
